import { match, ok, strictEqual } from "node:assert/strict";
import { Command, run } from "../support/command.ts";

const WORDS = ["--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--json"];

/** A service with a relay that keeps what it is known by, and the relay's URL. */
async function startRelay(state: string, relay: string): Promise<{ readonly service: Command; readonly via: string }> {
  const service = new Command(["serve", "--relay", relay, "--relay-state", state, ...WORDS]);
  const ready = await service.fact("ready");
  ok(Array.isArray(ready["relay"]), service.log);
  return { service, via: String(ready["relay"][0]) };
}

Deno.test("serve --relay-state: after a restart URL, port and ticket are as before; the file is its owner's alone", async () => {
  const folder = await Deno.makeTempDir();
  const state = `${folder}/relay`;
  {
    const { service, via } = await startRelay(state, "127.0.0.1:0");
    await using first = service;
    strictEqual((await Deno.stat(state)).mode! & 0o777, 0o600);
    match(await Deno.readTextFile(state), /^traverse-relay-state-1 \S+ \S+\n$/);
    const input = "still here";
    await using listener = new Command(["listen", "--via", via, "--loopback", "--once"], { input });
    await listener.said(/connect TV\w+\n/);
    const ticket = /connect (TV\w+)/.exec(listener.log)![1]!;
    first.kill("SIGINT");
    strictEqual((await first.ended()).code, 0, first.log);
    // It was told: nobody had to wait for a timeout.
    await listener.said(/the connection to the relay is closed.*; trying again until it is there/);
    const { service: again, via: viaAgain } = await startRelay(state, new URL(via).host);
    await using _ = again;
    strictEqual(viaAgain, via);
    // The caller's first packets may come before the listener is back.
    const { code, stdout, stderr } = await run(["connect", String(ticket), "--loopback"]);
    strictEqual(code, 0, stderr + listener.log);
    strictEqual(new TextDecoder().decode(stdout), "still here");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("serve --relay-state with another's file, one that others may read, or no relay: one line, and what to do", async () => {
  const folder = await Deno.makeTempDir();
  {
    const [strange, open] = [`${folder}/strange`, `${folder}/open`];
    await Deno.writeTextFile(strange, "something else\n", { mode: 0o600 });
    await Deno.writeTextFile(open, "something else\n");
    await Deno.chmod(open, 0o644);
    const cases = [
      [["--relay", "127.0.0.1:0", "--relay-state", strange], 1, /is not a file of ours/],
      [["--relay", "127.0.0.1:0", "--relay-state", open], 1, /others may read .*; say chmod 600/],
      [["--relay-state", strange], 2, /--relay-state goes with --relay/],
    ] as const;
    await Promise.all(cases.map(async ([words, code, reason]) => {
      const ended = await run(["serve", ...words, ...WORDS]);
      strictEqual(ended.code, code, ended.stderr);
      match(ended.stderr, reason);
    }));
  }
  await Deno.remove(folder, { recursive: true });
});
