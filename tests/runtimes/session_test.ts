import { strictEqual } from "node:assert/strict";
import { DgramHost } from "../../io/dgram_host.ts";
import { dial, listen } from "../../mod.ts";
import type { DialOptions, Listener, PeerOptions, Session } from "../../mod.ts";
import { serve } from "../../service/serve.ts";
import type { Service } from "../../service/serve.ts";
import { acceptWebSocket } from "../../signaling/websocket.ts";
import { sameBytes } from "../support/same_bytes.ts";
import { formatRelay } from "../../transports/relay_access.ts";

/** Enough for many datagrams and several windows. */
const PAYLOAD_BYTES = 1 << 20;

Deno.test("A session over real sockets echoes a MiB, by pasting", async () => {
  await using listener = listen({ ...peer(), signaling: "ticket" });
  const options: DialOptions = {
    ...peer(),
    peer: await listener.ticket,
    onEvent: (event) => {
      if (event.type === "ticket") listener.paste(event.text);
    },
  };
  await Promise.all([echo(listener), exchange(options)]);
});

for (const transport of ["ice-then-quic", "auto"]) {
  Deno.test(`A session over real sockets echoes a MiB, by a hub over WebSocket and ${transport}`, async () => {
    await using service = await start();
    const common = { ...peer(), signaling: service.urls[0]!, transports: [transport] };
    await using listener = listen(common);
    const options = { ...common, ...peer(), peer: await listener.ticket };
    await Promise.all([echo(listener), exchange(options)]);
  });
}

Deno.test("A session over real sockets echoes a MiB, by a relay and quic-native", async () => {
  await using service = await start();
  const { addresses, certificateSha256 } = service.relay!;
  await using listener = listen({ ...peer(), via: formatRelay(addresses[0]!.toString(), certificateSha256) });
  const options = { ...peer(), peer: await listener.ticket };
  await Promise.all([echo(listener), exchange(options)]);
});

/** A hub with a relay, in this process. */
async function start(): Promise<Service> {
  const host = new DgramHost();
  return await serve({
    host,
    epochMs: host.epochMs,
    acceptUpgrade: acceptWebSocket,
    listen: "127.0.0.1:0",
    stun: ["127.0.0.1:0"],
    relay: "127.0.0.1:0",
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
  // Whoever has read all of it may be gone before it has acknowledged the end.
  await readable.pipeTo(writable).catch(() => {});
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
