#!/usr/bin/env bash
# `deno task compile` embeds every module that mod.ts reaches, and nothing is imported dynamically: what a single binary
# cannot find is found here. The runtime to embed is normally downloaded; the deno at hand stands in for it, so the result
# is looked at but not run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log" traverse' EXIT
DENORT_BIN=$(deno eval 'console.log(Deno.execPath())') deno task compile >"$log" 2>&1 || { cat "$log"; exit 1; }
deno info --json mod.ts >"$log.graph" || exit 1
deno eval '
  const [graphFile, logFile] = Deno.args;
  const root = `file://${Deno.cwd()}/`;
  const graph = JSON.parse(Deno.readTextFileSync(graphFile));
  const local = graph.modules.filter((module) => module.specifier.startsWith(root));
  const problems = [];
  for (const { specifier, error, dependencies = [] } of local) {
    if (error) problems.push(`${specifier}: ${error}`);
    for (const { specifier: target, isDynamic } of dependencies) {
      if (isDynamic) problems.push(`${specifier} imports ${target} dynamically`);
    }
    const text = Deno.readTextFileSync(new URL(specifier));
    if (/(?<![.#\w@{]\s*)\bimport\s*\(/.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""))) {
      problems.push(`${specifier} has a dynamic import`);
    }
  }
  const code = local.filter((module) => module.kind === "esm").map((module) => module.specifier.slice(root.length));
  const embedded = [...Deno.readTextFileSync(logFile).matchAll(/([\w.\/-]+\.ts) \(/g)].map((match) => match[1]);
  for (const file of code) {
    // A folder is shown once, above its files: the last part of the path is what the listing has for sure.
    const name = file.split("/").at(-1);
    if (!embedded.some((path) => path.split("/").at(-1) === name)) problems.push(`${file} is not embedded`);
  }
  console.log(`compile: ${code.length} modules reached, ${embedded.length} embedded, ${problems.length} problems`);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) Deno.exit(1);
' "$log.graph" "$log"
code=$?
rm -f "$log.graph"
exit "$code"
