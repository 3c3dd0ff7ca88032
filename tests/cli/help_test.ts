import { match, strictEqual } from "node:assert/strict";
import { run } from "../support/command.ts";
import { permissionTable } from "../support/readme.ts";

for (const command of permissionTable().keys()) {
  Deno.test(`${command} --help begins with what it does and an example, on stdout`, async () => {
    const { code, stdout, stderr } = await run([command, "--help"]);
    strictEqual(code, 0, stderr);
    strictEqual(stderr, "");
    const [summary, blank, example] = new TextDecoder().decode(stdout).split("\n");
    match(summary!, /^[A-Z].*[.,;]/);
    strictEqual(blank, "");
    match(example!, new RegExp(`^  ${command}`));
  });
}

Deno.test("every command refuses what it does not know with exit code 2 and one line that says where to look", async () => {
  await Promise.all([...permissionTable().keys()].map(async (command) => {
    const { code, stdout, stderr } = await run([command, "--nonsense"]);
    strictEqual(code, 2, stderr);
    strictEqual(stdout.length, 0);
    match(stderr, /^error: [^\n]*nonsense[^\n]*--help\n$/);
  }));
});
