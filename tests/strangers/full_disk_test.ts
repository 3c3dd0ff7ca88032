import { match, ok, strictEqual } from "node:assert/strict";
import { call, Command, run, startHub, startListener } from "../support/command.ts";
import type { Ended } from "../support/command.ts";

/** A shell line: a folder with no byte of room, in a mount namespace of its own, and what is in it in the end. */
function onFullDisk(folder: string): string {
  const steps = [
    'mount -t tmpfs -o size=4k none "$0"',
    'head -c 4096 /dev/zero > "$0/fill"',
    '"$@"',
    "code=$?",
    'rm "$0/fill"',
    'for file in "$0"/*; do [ -e "$file" ] && echo "left: $(wc -c < "$file") bytes" >&2; done',
    "exit $code",
  ];
  return `unshare --user --map-root-user --mount sh -c '${steps.join("; ")}' ${folder} "$@"`;
}

/** Whether there can be such a folder: Linux, with user namespaces. */
function hasNamespaces(): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    const args = ["--user", "--map-root-user", "--mount", "true"];
    return new Deno.Command("unshare", { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** One line that says what and why, and no stack. */
function checkOneLine({ code, stderr }: Ended, error: RegExp): void {
  strictEqual(code, 1, stderr);
  const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
  strictEqual(errors.length, 1, stderr);
  match(errors[0]!, error);
  ok(!stderr.includes("    at "), stderr);
}

Deno.test({
  name:
    "a full disk for --key and --relay-state is exit code 1 and one line, and leaves no file that the next start trips over",
  ignore: !hasNamespaces(),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const cases: readonly (readonly [readonly string[], RegExp])[] = [
        [["identity", "--key", `${folder}/key`], /Cannot write key to .*key: No space left on device/],
        [
          ["serve", "--listen", "127.0.0.1:0", "--relay", "127.0.0.1:0", "--relay-state", `${folder}/state`],
          /Cannot write relay state to .*state: No space left on device/,
        ],
      ];
      for (const [words, error] of cases) {
        await using command = new Command(words, { input: "", shell: onFullDisk(folder) });
        const ended = await command.ended();
        checkOneLine(ended, error);
        ok(!ended.stderr.includes("left:"), ended.stderr);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "a full disk for --known costs the pin and not the call, and leaves no half line",
  ignore: !hasNamespaces(),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      await using hub = await startHub();
      const { listener } = await startListener(hub, ["--name", "bob", "--allow", "any", "--once"], { input: "hello" });
      await using _ = listener;
      await using caller = call(hub, "bob", ["--known", `${folder}/known`], { input: "", shell: onFullDisk(folder) });
      const { code, stdout, stderr } = await caller.ended();
      strictEqual(code, 0, stderr);
      strictEqual(new TextDecoder().decode(stdout), "hello");
      match(stderr, /left: 0 bytes/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "a stdout that takes nothing is exit code 1 and one line, for whatever is said there",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const words of [["listen", "--help"], ["identity", "--key", `${folder}/key`]]) {
        await using command = new Command(words, { input: "", shell: '"$@" > /dev/full' });
        checkOneLine(await command.ended(), /Cannot write to stdout: No space left on device.*is the disk full/);
      }
      strictEqual((await run(["identity", "--key", `${folder}/key`])).code, 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
