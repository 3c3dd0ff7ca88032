#!/usr/bin/env bash
# The library where there is no Deno: runtimes.sh install RUNTIME@VERSION fetches a runtime and our packages with npm, and
# runtimes.sh RUNTIME@VERSION runs tests there, from a copy of the tree whose node_modules has them. TRAVERSE_PEERS_DIR
# says where they are kept.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
[ "${1-}" = install ] && { install=1; shift; }
runtime=${1:?which runtime}
folder=${TRAVERSE_PEERS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/traverse-peers}/$runtime

if [ -n "${install-}" ]; then
  # "stun/": "npm:/stun@2.1.0/" is stun@2.1.0; types are for those who check them.
  mapfile -t packages < <(sed -nE 's#^.*"npm:/?((@[^/"]+/)?[^/"@]+@[^/"]+).*$#\1#p' deno.json | grep -v '^@types/')
  wanted="$runtime ${packages[*]}"
  [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && exit 0
  mkdir -p "$folder" && timeout 180 npm install --loglevel=error --no-audit --no-fund --no-package-lock --prefix "$folder" \
    "$runtime" "${packages[@]}" || exit 1
  "$folder/node_modules/.bin/${runtime%@*}" --version || exit 1
  echo "$wanted" >"$folder/installed"
  exit 0
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files --cached --others --exclude-standard '*.ts' README.md | tar c --files-from=- | tar x -C "$copy" || exit 1
ln -s "$folder/node_modules" "$copy/node_modules"
cd "$copy" || exit 1
# Contract suites, and engines whose tests ask Deno for nothing and take any cipher.
mapfile -t files < <(ls tests/runtimes/*_test.ts tests/io/{dgram_host,driver,interfaces,resolve,virtual_host}_test.ts \
  tests/candidates/*_test.ts tests/signaling/*_test.ts tests/transports/{ice_then_quic_contract,relay_channel_contract,session}_test.ts \
  tests/protocols/{core,http3,ice,masque}/*_test.ts tests/protocols/crypto/{aead,ed25519,x25519}_test.ts \
  tests/protocols/quic/handshake_test.ts)
"node_modules/.bin/${runtime%@*}" tests/runtimes/run.ts "${files[@]}"
