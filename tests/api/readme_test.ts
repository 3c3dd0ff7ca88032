import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { codeBlocks, permissionTable } from "../support/readme.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("The examples of README, docs/plugins.md and mod.ts are valid against the API", async () => {
  ok(codeBlocks("ts").length >= 2);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--doc-only", "README.md", "docs/plugins.md", "mod.ts"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  ok(success, new TextDecoder().decode(stderr));
});

Deno.test("README begins with the two commands, and its table has every command", () => {
  const [first] = codeBlocks("sh");
  deepStrictEqual(first!.trim().split("\n"), [
    "npx --yes deno@2.9.6 task demo",
    "npx --yes deno@2.9.6 task test",
  ]);
  deepStrictEqual([...permissionTable().keys()], ["serve", "listen", "connect", "candidates", "identity", "demo"]);
});

Deno.test("README's alias has what listen and connect need", () => {
  const alias = /alias traverse='deno run (.*) mod\.ts'/.exec(codeBlocks("sh").join("\n"))![1]!.split(" ");
  for (const command of ["serve", "listen", "connect", "candidates"]) {
    deepStrictEqual(new Set(permissionTable().get(command)!.flags), new Set(alias), command);
  }
});

Deno.test("README links to files that are there", async () => {
  const links = [...(await Deno.readTextFile(new URL("README.md", ROOT))).matchAll(/\]\(([^)#:]+)\)/g)];
  ok(links.length > 0);
  for (const [, path] of links) strictEqual((await Deno.stat(new URL(path!, ROOT))).isFile, true, path!);
});
