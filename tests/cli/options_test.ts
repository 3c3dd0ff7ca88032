import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { Command, run } from "../support/command.ts";
import { permissionTable } from "../support/readme.ts";

const FOLDER = new URL("./", import.meta.url);

Deno.test("every option that help names is given to its command by a test", async () => {
  const files = [...Deno.readDirSync(FOLDER)].filter(({ name }) => name.endsWith("_test.ts")).map(({ name }) => name);
  const tests = [...files, "../support/command.ts"].map((name) => Deno.readTextFileSync(new URL(name, FOLDER)));
  await Promise.all([...permissionTable().keys()].map(async (command) => {
    const { stdout } = await run([command, "--help"]);
    const options = [...new TextDecoder().decode(stdout).matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option]) => option!);
    ok(options.length > 0 || command === "identity", command);
    deepStrictEqual(options.filter((option) => !tests.some((text) => text.includes(`"${option}"`))), [], command);
  }));
});

Deno.test("--backend runtime says nothing; ffi does without what is not allowed, and says so; another name is wrong usage", async () => {
  const words = ["listen", "--signaling", "ticket", "--loopback", "--json", "--backend"];
  const notes = async (name: string): Promise<readonly string[]> => {
    await using listener = new Command([...words, name]);
    await listener.fact("ready");
    return listener.log.split("\n").slice(1).filter((line) => line !== "" && !line.startsWith("{"));
  };
  const [runtime, auto, ffi] = await Promise.all([notes("runtime"), notes("auto"), notes("ffi")]);
  deepStrictEqual([runtime, auto], [[], []]);
  // With --json people are told nothing: the ticket is there all the same.
  deepStrictEqual(ffi, []);
  await using listener = new Command(["listen", "--signaling", "ticket", "--loopback", "--backend", "ffi"]);
  await listener.said(/one by one: needs --allow-ffi\npackets are sealed by the runtime: needs --allow-ffi\n/);
  await listener.said(/connect TV\w+\n/);
  const { code, stderr } = await run(["listen", "--signaling", "ticket", "--backend", "fast"]);
  strictEqual(code, 2);
  match(stderr, /^error: --backend takes auto, runtime, ffi, not "fast"; see listen --help\n$/);
});

Deno.test("candidates --candidates asks these providers alone; one that nobody knows is named", async () => {
  const { code, stderr } = await run(["candidates", "--candidates", "host", "--loopback", "--json"]);
  strictEqual(code, 0, stderr);
  const found = stderr.trim().split("\n").map((line) => JSON.parse(line));
  ok(found.length > 0);
  for (const { type, kind } of found) deepStrictEqual([type, kind], ["candidate", "host"]);
  const unknown = await run(["candidates", "--candidates", "nonsense", "--loopback"]);
  strictEqual(unknown.code, 2);
  match(unknown.stderr, /^error: Cannot find candidate provider "nonsense": registered are host, srflx, fixed/);
});
