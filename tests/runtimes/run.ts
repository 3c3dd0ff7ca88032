/**
 * Runs test files where there is no `Deno.test`: in Node.js and in Bun.
 *
 *     node tests/runtimes/run.ts tests/io/dgram_host_test.ts tests/runtimes/session_test.ts
 *
 * Modules see a `Deno` that collects tests and has nothing else, and no `Deno` at all while those run. Ends as `deno test`
 * does, with a line of counts and an exit code.
 *
 * @module
 */

import process from "node:process";
import { pathToFileURL } from "node:url";

/** A test that takes longer hangs. */
const MAX_TEST_MS = 30_000;

type Body = (context: { step: (name: string, body: Body) => Promise<boolean> }) => unknown;

interface Test {
  readonly name: string;
  readonly fn: Body;
  readonly ignore?: boolean;
}

const tests: Test[] = [];

/** The shapes of `Deno.test` that our tests use. */
function collect(first: string | Test, second?: Body): void {
  if (typeof first === "object") tests.push(first);
  else if (second !== undefined) tests.push({ name: first, fn: second });
}

async function step(_name: string, body: Body): Promise<boolean> {
  await body({ step });
  return true;
}

async function run({ fn }: Test): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It takes longer than ${MAX_TEST_MS} ms`)), MAX_TEST_MS);
  });
  try {
    await Promise.race([fn({ step }), late]);
  } finally {
    clearTimeout(timer);
  }
}

Object.defineProperty(globalThis, "Deno", { value: { test: collect }, configurable: true });
for (const path of process.argv.slice(2)) await import(pathToFileURL(path).href);
Reflect.deleteProperty(globalThis, "Deno");

let [passed, failed, ignored] = [0, 0, 0];
for (const test of tests) {
  if (test.ignore === true) {
    ignored++;
    console.log(`${test.name} ... ignored`);
    continue;
  }
  try {
    await run(test);
    passed++;
  } catch (error) {
    failed++;
    console.error(`${test.name} ... FAILED`, error);
  }
}
console.log(`${failed === 0 ? "ok" : "FAILED"} | ${passed} passed | ${failed} failed | ${ignored} ignored`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
