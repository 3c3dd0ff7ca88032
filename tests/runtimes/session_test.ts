import { ok, strictEqual } from "node:assert/strict";
import { DgramHost } from "../../io/dgram_host.ts";
import { dial, listen } from "../../mod.ts";
import type { DialOptions, Listener, PeerOptions, Session } from "../../mod.ts";
import { serve } from "../../service/serve.ts";
import { acceptWebSocket } from "../../signaling/websocket.ts";
import { sameBytes } from "../support/same_bytes.ts";

/** Enough for many datagrams and several windows. */
const PAYLOAD_BYTES = 1 << 20;

Deno.test("A session over real sockets echoes a MiB, by pasting", async () => {
  await using listener = listen({ ...peer(), signaling: "ticket" });
  const echoed = echo(listener);
  await exchange({
    ...peer(),
    peer: await listener.ticket,
    onEvent: (event) => {
      if (event.type === "ticket") listener.paste(event.text);
    },
  });
  await echoed;
});

for (const relay of ["never", "until-direct"] as const) {
  Deno.test(`A session over real sockets echoes a MiB, by a hub over WebSocket, relay ${relay}`, async () => {
    const host = new DgramHost();
    await using service = await serve({
      host,
      epochMs: host.epochMs,
      acceptUpgrade: acceptWebSocket,
      listen: "127.0.0.1:0",
      stun: ["127.0.0.1:0"],
      ...(relay === "never" ? {} : { relay: "127.0.0.1:0" }),
    });
    const [url] = service.urls;
    ok(url !== undefined);
    await using listener = listen({ ...peer(), signaling: url, relay });
    const echoed = echo(listener);
    await exchange({ ...peer(), peer: await listener.ticket, relay });
    await echoed;
  });
}

/** A socket of this kind whatever the runtime, and this machine alone. */
function peer(): PeerOptions {
  return { host: new DgramHost(), loopback: true, signal: AbortSignal.timeout(20_000) };
}

/** Answers one stream of one session with what it brings. */
async function echo(listener: Listener): Promise<void> {
  const session = await first<Session>(listener[Symbol.asyncIterator]());
  const { readable, writable } = await first(session.incomingStreams.values({ preventCancel: true }));
  await readable.pipeTo(writable);
}

/** Calls, and compares what comes back. */
async function exchange(options: DialOptions): Promise<void> {
  await using session = await dial(options);
  const { readable, writable } = await session.openStream();
  const sent = Uint8Array.from({ length: PAYLOAD_BYTES }, (_, i) => i * 7 + (i >> 8));
  const reply = new Response(readable).arrayBuffer();
  const writer = writable.getWriter();
  await writer.write(sent);
  await writer.close();
  sameBytes(new Uint8Array(await reply), sent);
  strictEqual(session.path.remote.host, "127.0.0.1");
}

async function first<T>(iterator: AsyncIterator<T>): Promise<T> {
  const { done, value } = await iterator.next();
  if (done === true) throw new Error("It has ended");
  return value;
}
