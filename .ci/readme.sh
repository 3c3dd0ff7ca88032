#!/usr/bin/env bash
# Runs the commands README gives: each code block opened with "```sh ci", in a shell of its own, stopping at the first
# command that fails.
set -uo pipefail
blocks=$(mktemp -d)
trap 'rm -rf "$blocks"' EXIT
awk -v dir="$blocks" '
  /^```sh ci$/ { file = sprintf("%s/%03d.sh", dir, ++count); next }
  /^```$/ { file = ""; next }
  file != "" { print > file }
' README.md
count=0 failed=0
for block in "$blocks"/*.sh; do
  [ -f "$block" ] || break
  count=$((count + 1))
  printf -- '--- README block %d\n' "$count"
  cat "$block"
  bash -euo pipefail "$block" </dev/null || { echo "README block $count failed" >&2; failed=$((failed + 1)); }
done
printf 'README: %d blocks, %d failed\n' "$count" "$failed"
((failed == 0))
