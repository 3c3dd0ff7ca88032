import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { integerOption, parseArgs, UsageError } from "../../cli/args.ts";

const OPTIONS = { boolean: ["json"], string: ["name", "stun"], collect: ["stun"] };

Deno.test("parseArgs reads flags, values, repeated values and words", () => {
  const args = parseArgs(["ticket", "--json", "--name=bob", "--stun", "a:1", "--stun", "b:2"], OPTIONS);
  deepStrictEqual([args._, args.flag("json"), args.value("name"), args.values("stun")], [
    ["ticket"],
    true,
    "bob",
    ["a:1", "b:2"],
  ]);
  const none = parseArgs([], OPTIONS);
  deepStrictEqual([none._, none.flag("json"), none.value("name"), none.values("stun")], [[], false, undefined, []]);
});

Deno.test("parseArgs takes what follows -- as words", () => {
  deepStrictEqual(parseArgs(["--", "--json"], OPTIONS)._, ["--json"]);
});

Deno.test("parseArgs refuses unknown options, missing values and repetition with a UsageError", () => {
  throws(() => parseArgs(["--nope"], OPTIONS), UsageError);
  throws(() => parseArgs(["--name"], OPTIONS), UsageError);
  throws(() => parseArgs(["--json=1"], OPTIONS), UsageError);
  throws(() => parseArgs(["--name", "a", "--name", "b"], OPTIONS), /--name may be given only once/);
});

Deno.test("integerOption refuses what is not a whole number in range", () => {
  strictEqual(integerOption("size", "16", { min: 1, max: 100 }), 16);
  for (const bad of ["0", "101", "1.5", "x", ""]) {
    throws(() => integerOption("size", bad, { min: 1, max: 100 }), UsageError);
  }
});
