/**
 * Sessions on a connection whose whole network runs while the session drains: everything that can be waited for has come
 * before there is time to wait.
 *
 * @module
 */

import { rejects, strictEqual } from "node:assert/strict";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { Session } from "../../transports/session.ts";
import { Pair, readAll, SERVER_KEY } from "../support/quic_pair.ts";

/** A client's session; a drain takes as long as a second on the network. */
function hastySession(pair: Pair): { session: Session; server: QuicConnection } {
  const { client, server } = pair.established();
  const driver = { now: (): number => pair.now, drain: (): void => pair.runTo(pair.now + 1000) };
  const session = new Session(
    { transport: "test", connection: client, peer: SERVER_KEY.publicKey.bytes, times: {}, startedAt: pair.now },
    driver,
  );
  pair.client.onEvent = (_connection, event) => session.handleEvent(event);
  return { session, server };
}

Deno.test("Session: a write goes on with room that came while it drained", async () => {
  const pair = new Pair();
  const { session } = hastySession(pair);
  let received = 0;
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") received += readAll(connection, event.id).length;
  };
  const writer = (await session.openUnidirectionalStream()).getWriter();
  await writer.write(new Uint8Array(3_000_000));
  await writer.close();
  strictEqual(received, 3_000_000);
});

Deno.test("Session: a write fails when the peer stopped it while it drained (RFC 9000 §3.5)", async () => {
  const pair = new Pair();
  const { session } = hastySession(pair);
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") connection.stopSending(event.id, 7);
  };
  const writer = (await session.openUnidirectionalStream()).getWriter();
  writer.closed.catch(() => {});
  await rejects(writer.write(new Uint8Array(3_000_000)), { name: "StreamResetError", code: 7 });
});

Deno.test("Session: a write fails when the peer closed while it drained", async () => {
  const pair = new Pair();
  const { session } = hastySession(pair);
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") connection.close(9, "enough", pair.now);
  };
  const writer = (await session.openUnidirectionalStream()).getWriter();
  writer.closed.catch(() => {});
  await rejects(writer.write(new Uint8Array(3_000_000)), /enough/);
});

Deno.test("Session: a stream opens with leave that came while it drained (RFC 9000 §4.6)", async () => {
  const pair = new Pair({ transport: { maxUnidirectionalStreams: 1 } });
  const { session } = hastySession(pair);
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") readAll(connection, event.id);
  };
  for (let i = 0; i < 3; i++) {
    const stream = await session.openUnidirectionalStream();
    const writer = stream.getWriter();
    const closed = writer.close();
    if (i < 2) continue;
    await closed;
  }
  strictEqual(pair.server.eventTypes.filter((type) => type === "streamOpened").length, 3);
});
