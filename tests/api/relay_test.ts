import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { dial, listen, quicNative } from "../../mod.ts";
import type { TraversalEvent } from "../../mod.ts";
import { startHub } from "../support/command.ts";

const TEXT = "there and back";

Deno.test("listen via a relay, dial by its ticket: the session is relayed, then direct, and tells", async () => {
  await using service = await startHub("--relay", "127.0.0.1:0");
  const via = String((await service.command.fact("ready"))["relay"]);
  await using listener = listen({ via, transports: [quicNative()], loopback: true });
  const serving = (async (): Promise<void> => {
    for await (const session of listener) {
      for await (const { readable, writable } of session.incomingStreams) {
        // A caller that has read all of it may be gone before it has acknowledged the end.
        await readable.pipeTo(writable).catch(() => {});
      }
    }
  })();
  const ticket = await listener.ticket;
  const moved = Promise.withResolvers<TraversalEvent & { readonly type: "path" }>();
  const onEvent = (event: TraversalEvent): void => {
    if (event.type === "path") moved.resolve(event);
  };
  {
    await using session = await dial({ peer: ticket, loopback: true, onEvent });
    strictEqual(session.transport, "quic-native");
    const before = session.path;
    const { readable, writable } = await session.openStream();
    const { kind, ms } = await moved.promise;
    deepStrictEqual([before.kind, kind, session.path.kind], ["relayed", "direct", "direct"]);
    ok(ms >= (session.times.handshake ?? NaN), `${ms}`);
    // Another address of the peer's, and the same of ours.
    ok(before.remote !== session.path.remote && before.local === session.path.local);
    const writer = writable.getWriter();
    const reply = new Response(readable).text();
    await writer.write(new TextEncoder().encode(TEXT));
    await writer.close();
    strictEqual(await reply, TEXT);
  }
  // A ticket of this kind is for transports that use relays.
  await rejects(dial({ peer: ticket, transports: ["ice-then-quic"], loopback: true }), /through a relay/);
  listener.close();
  await serving;
});

Deno.test("a relay that is none, or goes with nothing else that was given, is a TypeError", () => {
  const via = `https://127.0.0.1:9#${"ab".repeat(32)}`;
  for (const wrong of ["", "https://", `http://127.0.0.1:9#${"ab".repeat(32)}`, via.replace("127.0.0.1", "1.2.3")]) {
    throws(() => listen({ via: wrong }), /it is not https:\/\/HOST:PORT#SHA-256, as serve prints it/, wrong);
  }
  for (const wrong of [via.slice(0, -1), `${via}0`]) {
    throws(() => listen({ via: wrong }), /what follows # is not a SHA-256 in hexadecimal, of 64 digits/, wrong);
  }
  throws(() => listen({ via, signaling: "ticket" }), /leave signaling out, the ticket is enough/);
  throws(() => listen({ via, transports: ["ice-then-quic"] }), /Cannot use ice-then-quic through a relay/);
});
