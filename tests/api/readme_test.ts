import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { DEFAULT_RELAY_LIMITS } from "../../service/relay_limits.ts";
import { codeBlocks, permissionTable } from "../support/readme.ts";

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = [...Deno.readDirSync(ROOT)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);

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

Deno.test("README states the relay's defaults as they are", () => {
  const { bytesPerDay, bytesPerSecond, keepMs, maxPorts, portsPerAddress, portsPerKey, strangersPerMinute } =
    DEFAULT_RELAY_LIMITS;
  const text = Deno.readTextFileSync(new URL("README.md", ROOT)).replaceAll(/\s+/g, " ");
  for (
    const stated of [
      `${portsPerKey} port a key, ${portsPerAddress} ports an address`,
      `${maxPorts} in all`,
      `${bytesPerSecond * 8 / 1e6} Mb/s in each direction and ${bytesPerDay / 1024 ** 3} GiB a day a port`,
      `${strangersPerMinute} unknown sources a minute`,
      `kept for its key ${keepMs / 60_000} minutes after`,
    ]
  ) ok(text.includes(stated), stated);
});

Deno.test("docs/runtimes.md installs the packages of deno.json, in the same versions", () => {
  const { imports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  const packages = Object.values<string>(imports).map((specifier) => specifier.replace(/^npm:\/?|\/$/g, ""))
    .filter((name) => !name.startsWith("@types/"));
  const text = Deno.readTextFileSync(new URL("docs/runtimes.md", ROOT));
  strictEqual(text.match(/^npm install .*$/m)?.[0], `npm install --no-save --prefix . ${packages.join(" ")}`);
});

Deno.test("What the documents link to and name is there", async () => {
  const documents = ["README.md", "CONTRIBUTING.md", "tests/long/summary.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", ROOT))) documents.push(`docs/${name}`);
  let found = 0;
  for (const document of documents) {
    const url = new URL(document, ROOT);
    const text = await Deno.readTextFile(url);
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => new URL(path!, url));
    // `tests/long/summary.md`, with a folder of ours in front.
    const named = [...text.matchAll(/`((?:\.ci|[a-z]+)\/[\w./-]+\.(?:ts|py|sh|md))`/g)].map(([, path]) => path!)
      .filter((path) => FOLDERS.includes(path.split("/")[0]!)).map((path) => new URL(path, ROOT));
    for (const file of [...links, ...named]) {
      strictEqual((await Deno.stat(file)).isFile, true, `${document}: ${file.pathname}`);
      found++;
    }
  }
  ok(found >= 20, `only ${found} are named`);
});
