#!/usr/bin/env bash
# What would be published: the files are listed, the public API has no slow types, and nothing but source goes out. The
# dry run asks no network but the npm registry; a failure for want of it is told apart.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
deno publish --dry-run --allow-dirty >"$log" 2>&1
code=$?
cat "$log"
if ((code != 0)); then
  if grep -qiE 'error sending request|dns error|connection refused|network is unreachable' "$log"; then
    echo "publish: the registry cannot be reached from here, so nothing was proved" >&2
  fi
  exit "$code"
fi
grep -q 'mod\.ts' "$log" || { echo "publish: mod.ts is not among the files" >&2; exit 1; }
if grep -qE '/(tests|bench|\.ci)/' "$log"; then
  echo "publish: tests and benchmarks are not to be published" >&2
  exit 1
fi
if grep -qi 'slow type' <(grep -v 'Checking for slow types' "$log"); then
  echo "publish: the public API has slow types" >&2
  exit 1
fi
