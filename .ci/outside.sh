#!/usr/bin/env bash
# What somebody gets who depends on the package: a folder outside the repository holds exactly the files that
# `publish --dry-run` lists, another one imports them by the package's name, type-checks, and connects two sessions.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
mkdir "$outside/package" "$outside/user"
deno publish --dry-run --allow-dirty 2>&1 | sed -nE "s#^ *file://$root/([^ ]+) \(.*#\1#p" >"$outside/files"
[ -s "$outside/files" ] || { echo "outside: publish lists no files" >&2; exit 1; }
while read -r file; do
  mkdir -p "$outside/package/$(dirname "$file")"
  cp "$file" "$outside/package/$file" || exit 1
done <"$outside/files"

cat >"$outside/deno.json" <<'JSON'
{ "workspace": ["./package", "./user"], "unstable": ["net"] }
JSON
cat >"$outside/user/deno.json" <<'JSON'
{ "name": "@somebody/else", "version": "1.0.0", "exports": "./main.ts" }
JSON
cat >"$outside/user/main.ts" <<'TS'
import { dial, listen, type Session } from "@traverse/traverse";

await using listener = listen({ signaling: "ticket", loopback: true });
const calling: Promise<Session> = dial({
  peer: await listener.ticket,
  loopback: true,
  signal: AbortSignal.timeout(10_000),
  onEvent: (event) => {
    if (event.type === "ticket") listener.paste(event.text);
  },
});
const { value: callee } = await listener[Symbol.asyncIterator]().next();
await using caller = await calling;
const { readable, writable } = await caller.openStream();
const writer = writable.getWriter();
await writer.write(new TextEncoder().encode("hello from outside"));
const { value: incoming } = await callee.incomingStreams.getReader().read();
const echoed = incoming.readable.pipeTo(incoming.writable);
await writer.close();
const text = await new Response(readable).text();
await echoed;
console.log(text, caller.path.kind, caller.transport);
if (text !== "hello from outside") Deno.exit(1);
TS

cd "$outside/user" || exit 1
deno check main.ts || exit 1
answer=$(timeout 30 deno run --no-prompt --allow-net=127.0.0.1 --allow-sys=networkInterfaces --allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE main.ts) || exit 1
printf 'outside: %d files, %s\n' "$(wc -l <"$outside/files")" "$answer"
[ "$answer" = "hello from outside direct ice-then-quic" ]
