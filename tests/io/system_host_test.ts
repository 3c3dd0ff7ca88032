import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { DenoHost } from "../../io/deno_host.ts";
import { systemHost } from "../../io/system_host.ts";

Deno.test("systemHost has the runtime's own sockets where the flag is given, and nothing to say", () => {
  const { host, note } = systemHost();
  ok(host instanceof DenoHost);
  strictEqual(note, undefined);
});

Deno.test("A command without --unstable-net goes through node:dgram, and says so once on stderr", async () => {
  const root = new URL("../../", import.meta.url);
  const folder = Deno.makeTempDirSync();
  try {
    // Ours gives the flag: another one, with the same packages, does not.
    const { imports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));
    Deno.writeTextFileSync(`${folder}/deno.json`, JSON.stringify({ imports }));
    const flags = ["--allow-net", "--allow-sys=networkInterfaces", "--allow-env"];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-check", "--no-prompt", "--no-lock", "--config", `${folder}/deno.json`, ...flags],
        ...[new URL("mod.ts", root).pathname, "candidates", "--loopback"],
      ],
      env: { NO_COLOR: "1" },
    }).output();
    const lines = new TextDecoder().decode(stderr).trim().split("\n");
    strictEqual(code, 0);
    deepStrictEqual(lines.map((line) => line.replace(/:\d+/g, ":PORT")), [
      "packets go through node:dgram, which is slower: give --unstable-net for the runtime's own sockets",
      "host  127.0.0.1:PORT from 127.0.0.1:PORT",
    ]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
