/**
 * Command-line parsing: the one file that knows how words become options. Its `parseArgs` has the shape of the one in
 * `@std/cli`, so that it can be swapped for it.
 *
 * @module
 */

import { parseArgs as parseWords } from "node:util";

/** The command line is wrong: exit code 2. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Which options there are, as `@std/cli`'s `parseArgs` takes them. */
export interface ParseOptions {
  /** Options without a value. */
  readonly boolean?: readonly string[];
  /** Options with a value. */
  readonly string?: readonly string[];
  /** Which of the `string` ones may be given more than once. */
  readonly collect?: readonly string[];
}

/** What was given. Positional words are in `_`; an option that was not given is absent. */
export interface ParsedArgs {
  readonly _: readonly string[];
  /** Whether the option was given. */
  flag(name: string): boolean;
  /** The option's value. */
  value(name: string): string | undefined;
  /** All values of an option that may be repeated. */
  values(name: string): readonly string[];
}

/**
 * Reads the words after the subcommand.
 *
 * @throws {UsageError} For an option that does not exist, lacks its value or is given twice.
 */
export function parseArgs(words: readonly string[], options: ParseOptions): ParsedArgs {
  const config: Record<string, { type: "boolean" | "string"; multiple: boolean }> = {};
  for (const name of options.boolean ?? []) config[name] = { type: "boolean", multiple: true };
  for (const name of options.string ?? []) config[name] = { type: "string", multiple: true };
  let parsed;
  try {
    parsed = parseWords({ args: [...words], options: config, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(explain(error), { cause: error });
  }
  const given = new Map<string, readonly (string | boolean)[]>();
  for (const [name, value] of Object.entries(parsed.values)) {
    if (!Array.isArray(value)) continue;
    if (value.length > 1 && config[name]?.type === "string" && !options.collect?.includes(name)) {
      throw new UsageError(`--${name} may be given only once`);
    }
    given.set(name, value);
  }
  const values = (name: string): readonly string[] =>
    (given.get(name) ?? []).filter((value): value is string => typeof value === "string");
  return {
    _: parsed.positionals,
    flag: (name) => given.has(name),
    value: (name) => values(name)[0],
    values,
  };
}

/** A whole number in a range. @throws {UsageError} If the text is not one. */
export function integerOption(name: string, text: string, range: { min: number; max: number }): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < range.min || value > range.max) {
    throw new UsageError(`--${name} takes a whole number from ${range.min} to ${range.max}, not "${text}"`);
  }
  return value;
}

/** The parser's own words are precise but long: the first sentence says it. */
function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split(". ")[0]!.replace(/\.$/, "");
}
