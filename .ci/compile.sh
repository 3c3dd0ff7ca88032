#!/usr/bin/env bash
# `deno task compile` embeds every module that mod.ts reaches, and nothing is imported dynamically: what a single binary
# cannot find is found here. The runtime to embed is normally downloaded; the deno at hand stands in for it, so the result
# is looked at but not run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"; rm -f traverse' EXIT
export NO_COLOR=1
if ! DENORT_BIN=$(deno eval 'console.log(Deno.execPath())') deno task compile >"$work/log" 2>&1; then
  cat "$work/log"
  exit 1
fi
deno info --json mod.ts >"$work/graph" || exit 1
deno eval '
  const [graphFile, logFile] = Deno.args;
  const root = `file://${Deno.cwd()}/`;
  const problems = [];

  // What the program runs: reached by imports that are more than types.
  const modules = new Map(JSON.parse(Deno.readTextFileSync(graphFile)).modules.map((one) => [one.specifier, one]));
  const reached = new Set([`${root}mod.ts`]);
  for (const specifier of reached) {
    const { dependencies = [], error } = modules.get(specifier) ?? { error: "not in the graph" };
    if (error) problems.push(`${specifier}: ${error}`);
    for (const { code, isDynamic } of dependencies) {
      const target = code?.specifier;
      if (isDynamic) problems.push(`${specifier} imports ${target} dynamically`);
      if (code?.error) problems.push(`${specifier}: ${code.error}`);
      if (target?.startsWith(root)) reached.add(target);
    }
  }

  // The listing is a tree, two columns a level; `folder/*` stands for all of it.
  const files = new Set(), folders = [];
  const path = [];
  for (const line of Deno.readTextFileSync(logFile).split("\n")) {
    const match = /^([│ ├└─┬]+) (\S+) \(/.exec(line);
    if (match === null) continue;
    path.length = (match[1].length - 3) / 2;
    path.push(match[2]);
    if (match[2].endsWith("/*")) folders.push(path.join("/").slice(0, -1));
    else files.add(path.join("/"));
  }
  for (const specifier of reached) {
    const file = specifier.slice(root.length);
    if (!files.has(file) && !folders.some((folder) => file.startsWith(folder))) problems.push(`${file} is not embedded`);
  }
  console.log(`compile: ${reached.size} modules reached, ${problems.length} problems`);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) Deno.exit(1);
' "$work/graph" "$work/log"
