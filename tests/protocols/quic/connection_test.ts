import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { CLIENT_KEY, Pair, readAll, SERVER_KEY } from "../../support/quic_pair.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

Deno.test("Connection answers a request after two round trips, its handshake included (RFC 9001 §4)", () => {
  const pair = new Pair({ link: { latencyMs: 77.5 } });
  const arrived: string[] = [];
  pair.client.onEvent = (connection, event) => {
    if (event.type === "handshakeComplete") {
      deepStrictEqual(event.peer?.ed25519PublicKey, SERVER_KEY.publicKey.bytes);
      strictEqual(event.applicationProtocol, "q2q");
      const id = connection.openStream("bidirectional")!;
      strictEqual(connection.write(id, bytes("hello")), 5);
      connection.finish(id);
    }
    if (event.type === "streamReadable") arrived.push(`client ${pair.now} ${text(readAll(connection, event.id))}`);
  };
  pair.server.onEvent = (connection, event) => {
    if (event.type === "handshakeComplete") deepStrictEqual(event.peer?.ed25519PublicKey, CLIENT_KEY.publicKey.bytes);
    if (event.type !== "streamReadable") return;
    const data = readAll(connection, event.id);
    arrived.push(`server ${pair.now} ${text(data)}`);
    strictEqual(connection.isAtEnd(event.id), true);
    connection.write(event.id, data);
    connection.finish(event.id);
  };
  pair.connect();
  pair.runTo(500);
  deepStrictEqual(arrived, ["server 232.5 hello", "client 310 hello"]);
  // Two flights each way, the last acknowledgement after max_ack_delay, and every datagram with an Initial padded.
  deepStrictEqual(pair.trace, [
    "0.000 client 1200",
    "77.500 server 1200",
    "155.000 client 1200",
    "232.500 server 125",
    "335.000 client 32",
  ]);
  deepStrictEqual(pair.client.eventTypes, [
    "handshakeComplete",
    "handshakeConfirmed",
    "streamReadable",
    "streamFinished",
    "streamClosed",
  ]);
  deepStrictEqual(pair.server.eventTypes, [
    "handshakeComplete",
    "handshakeConfirmed",
    "streamOpened",
    "streamReadable",
    "streamFinished",
    "streamClosed",
  ]);
});

Deno.test("Connection that is closed tells the peer, and both ends forget it (RFC 9000 §10.2)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  client.close(7, "bye", pair.now);
  strictEqual(client.state, "closing");
  const closedAt = pair.now;
  pair.runUntil(() => server.state === "draining");
  strictEqual(pair.now, closedAt + 10);
  deepStrictEqual(server.closeReason, { by: "application", code: 7, reason: "bye" });
  deepStrictEqual(client.closeReason, { by: "local", code: 7, reason: "bye" });
  pair.runUntil(() => client.state === "drained" && server.state === "drained");
  for (const peer of [pair.client, pair.server]) {
    strictEqual(peer.eventTypes.filter((type) => type === "closed").length, 1);
    for (const [table, size] of Object.entries(peer.endpoint.tableSizes)) strictEqual(size, 0, `${peer.name} ${table}`);
  }
});

Deno.test("Connection of a server says on early streams what anybody may hear, with its first flight (RFC 9001 §5.7)", () => {
  const pair = new Pair({ link: { latencyMs: 50 } });
  const client = pair.connect();
  strictEqual(client.openStream("unidirectional", true), undefined);
  const heard: string[] = [];
  pair.client.onEvent = (connection, { type }) => heard.push(`${pair.now} ${type} ${connection.state}`);
  pair.server.onEvent = (_, { type }) => heard.push(`server ${pair.now} ${type}`);
  // The Initial has come in, and the answer is on its way.
  pair.runTo(50);
  const server = pair.server.connections[0]!;
  strictEqual(server.openStream("unidirectional"), undefined);
  const id = server.openStream("unidirectional", true)!;
  strictEqual(server.write(id, bytes("for anybody")), 11);
  pair.runTo(100);
  // Nothing has come from the client but its first Initial.
  deepStrictEqual(heard, [
    "100 handshakeComplete established",
    "100 streamOpened established",
    "100 streamReadable established",
  ]);
  strictEqual(text(readAll(client, id)), "for anybody");
  pair.runTo(1000);
  strictEqual(server.state, "confirmed");
  server.close(0, "", pair.now);
  strictEqual(server.openStream("unidirectional", true), undefined);
});
