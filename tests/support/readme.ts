/**
 * What README promises, as data: the flags of each command and the examples.
 *
 * @module
 */

import { readFileSync } from "node:fs";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** A row of the table of permissions. */
export interface PermissionRow {
  /** What the command needs in any case. */
  readonly flags: readonly string[];
  /** What options need besides, with `FILE` for their value. */
  readonly withOption: ReadonlyMap<string, readonly string[]>;
}

/** The table of permissions, by command. @throws {Error} If README has no such table. */
export function permissionTable(): ReadonlyMap<string, PermissionRow> {
  const rows = new Map<string, PermissionRow>();
  for (const line of README.split("\n")) {
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    const [commands, , needs, withOptions] = cells;
    if (withOptions === undefined || !`${needs}${withOptions}`.includes("--")) continue;
    const withOption = new Map<string, readonly string[]>();
    // `--allow-read=FILE` with `--key`, `--answer`; …
    for (const clause of withOptions.split(";")) {
      const [flags, options] = clause.split(" with ");
      for (const option of options === undefined ? [] : codeSpans(options)) {
        withOption.set(option.split(" ")[0]!, codeSpans(flags ?? "").flatMap((span) => span.split(" ")));
      }
    }
    const flags = codeSpans(needs ?? "").flatMap((span) => span.split(" "));
    for (const command of codeSpans(commands ?? "")) rows.set(command, { flags: [...flags, ...COMMON], withOption });
  }
  if (rows.size === 0) throw new Error("README has no table of permissions");
  return rows;
}

/** The runtime's flags for a command line, as README says them. */
export function flagsFor(words: readonly string[]): string[] {
  const row = permissionTable().get(words[0] ?? "");
  if (row === undefined) throw new Error(`README has no permissions for ${words[0]}`);
  const flags = [...row.flags];
  words.forEach((word, i) => {
    const [option, inline] = word.split("=", 2);
    const value = inline ?? words[i + 1];
    // --allow takes a key or "any" as well.
    if (value === undefined || (option === "--allow" && !value.includes("/"))) return;
    for (const flag of row.withOption.get(option ?? "") ?? []) flags.push(flag.replace("FILE", value));
  });
  return flags;
}

/** The code blocks of a language. */
export function codeBlocks(language: string): readonly string[] {
  const blocks = README.matchAll(/^```(\w+)[^\n]*\n([\s\S]*?)^```$/gm);
  return [...blocks].filter((match) => match[1] === language).map((match) => match[2]!);
}

/** The flags that README says every command needs. */
const COMMON = codeSpans(README.split("\n").find((line) => line.startsWith("Every command also needs")) ?? "");

function codeSpans(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
}
