import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Pair, readAll } from "../../support/quic_pair.ts";

Deno.test("Connection ends after the smaller idle timeout of both, silently (RFC 9000 §10.1)", () => {
  const pair = new Pair({ transport: { idleTimeoutMs: 20_000 } });
  const { client, server } = pair.established({ transport: { ...pair.transport, idleTimeoutMs: 10_000 } });
  pair.runTo(pair.now + 100);
  const datagrams = pair.trace.length;
  const lastAt = Number(pair.trace.at(-1)!.split(" ")[0]);
  pair.runUntil(() => client.state === "drained" && server.state === "drained");
  strictEqual(client.closeReason?.by, "idle");
  strictEqual(server.closeReason?.by, "idle");
  strictEqual(pair.trace.length, datagrams);
  ok(Math.abs(pair.now - (lastAt + 10_010)) <= 10, `${pair.now} after ${lastAt}`);
});

Deno.test("Keep-alive holds a connection with one PING in each interval (RFC 9000 §10.1.2)", () => {
  const pair = new Pair({ transport: { idleTimeoutMs: 30_000 } });
  const { client, server } = pair.established({ transport: { ...pair.transport, keepAliveMs: 12_000 } });
  pair.runTo(pair.now + 100);
  const before = { ...pair.sent };
  const until = pair.now + 120_000;
  pair.runTo(until);
  strictEqual(client.state, "confirmed");
  strictEqual(server.state, "confirmed");
  // 120 s, one PING each 12 s and its acknowledgement, which starts the interval over.
  deepStrictEqual([pair.sent.client - before.client, pair.sent.server - before.server], [9, 9]);
});

Deno.test("Sending alone does not hold a connection (RFC 9000 §10.1)", () => {
  const pair = new Pair({ transport: { idleTimeoutMs: 5000 } });
  const { client } = pair.established();
  pair.runTo(pair.now + 100);
  const lastHeardAt = pair.now;
  pair.filter = () => false;
  const id = client.openStream("unidirectional")!;
  for (let i = 0; i < 20; i++) {
    client.write(id, new Uint8Array(10));
    pair.runTo(pair.now + 500);
  }
  strictEqual(client.state, "drained");
  strictEqual(client.closeReason?.by, "idle");
  const closedAt = pair.client.timeOf("closed")!;
  ok(closedAt >= lastHeardAt + 4900 && closedAt <= lastHeardAt + 5000, `${closedAt}`);
});

Deno.test("Closing end answers what still comes, more and more rarely, then is gone (RFC 9000 §10.2.1)", () => {
  const pair = new Pair({ link: { latencyMs: 50 } });
  const { client, server } = pair.established();
  // CONNECTION_CLOSE does not get through at first, and the peer goes on sending.
  pair.filter = (from) => from.name === "server";
  client.close(5, "done", pair.now);
  pair.drain();
  const before = pair.sent.client;
  const id = server.openStream("unidirectional")!;
  for (let i = 0; i < 16; i++) {
    server.write(id, new Uint8Array(10));
    pair.runTo(pair.now + 5);
  }
  pair.runTo(pair.now + 60);
  // Answers to packets 1, 2, 4, 8 and 16.
  strictEqual(pair.sent.client - before, 5);
  pair.filter = () => true;
  pair.runUntil(() => client.state === "drained");
  pair.runUntil(() => server.state === "drained", 100_000);
});

Deno.test("Draining end answers once, and says nothing any more (RFC 9000 §10.2.2)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  const sent = pair.sent.server;
  client.close(0, "", pair.now);
  pair.runUntil(() => server.state === "draining");
  server.ping();
  strictEqual(server.openStream("bidirectional"), undefined);
  pair.runUntil(() => server.state === "drained");
  strictEqual(pair.sent.server, sent + 1);
});

Deno.test("Closing end knows after a round trip that the peer knows, and closes on if it does not hear so (RFC 9000 §10.2)", () => {
  for (const isAnswerLost of [false, true]) {
    const pair = new Pair({ link: { latencyMs: 50 } });
    const { client, server } = pair.established();
    pair.runTo(pair.now + 300);
    if (isAnswerLost) pair.filter = (from) => from.name === "client";
    client.close(5, "done", pair.now);
    pair.runTo(pair.now + 101);
    strictEqual(server.state, "draining");
    strictEqual(client.state, isAnswerLost ? "closing" : "draining");
    deepStrictEqual(client.closeReason, { by: "local", code: 5, reason: "done" });
    pair.runUntil(() => client.state === "drained" && server.state === "drained");
  }
});

Deno.test("Data and FIN in front of CONNECTION_CLOSE are read before the end is told", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(5000));
  client.finish(id);
  pair.drain();
  client.close(0, "", pair.now);
  pair.runUntil(() => server.state === "draining");
  strictEqual(readAll(server, id).length, 5000);
  strictEqual(server.isAtEnd(id), true);
  const types = pair.server.eventTypes;
  ok(types.indexOf("streamReadable") < types.indexOf("closed"));
});

Deno.test("Close before the handshake is done reaches the peer without the application's words (RFC 9000 §10.2.3)", () => {
  const pair = new Pair();
  const client = pair.connect();
  pair.runTo(5);
  client.close(99, "secret", pair.now);
  pair.runTo(200);
  const [server] = pair.server.connections;
  ok(server !== undefined);
  deepStrictEqual(server.closeReason, { by: "peer", code: 0x0c, reason: "" });
});

Deno.test("Abandoned connection sends nothing more (design: early dial)", () => {
  const pair = new Pair();
  const client = pair.connect();
  pair.drain();
  const sent = pair.sent.client;
  client.abandon();
  pair.runTo(5000);
  strictEqual(pair.sent.client, sent);
  strictEqual(client.state, "drained");
  deepStrictEqual(pair.client.eventTypes, ["closed"]);
});

Deno.test("Early dial sends no more datagrams than it may until it is released (design: early dial)", () => {
  const pair = new Pair();
  pair.filter = () => false;
  const client = pair.connect({ maxUnansweredDatagrams: 2 });
  pair.runTo(25_000);
  deepStrictEqual(pair.trace.map((line) => line.split(" ")[0]), ["0.000", "999.000"]);
  pair.filter = () => true;
  client.release();
  pair.runUntil(() => client.state === "confirmed");
});

Deno.test("Early dial sends its Initial again at once when a check has come back (design: early dial)", () => {
  const pair = new Pair({ link: { latencyMs: 77.5 } });
  let lost = 0;
  pair.filter = (from) => from.name === "server" || lost++ > 0;
  const client = pair.connect({ maxUnansweredDatagrams: 2 });
  pair.runTo(155);
  client.provideRtt(155);
  client.resendInitial();
  pair.runUntil(() => client.isEstablished);
  strictEqual(pair.now, 155 + 155);
  deepStrictEqual(pair.trace.slice(0, 2), ["0.000 client 1200 lost", "155.000 client 1200"]);
});

Deno.test("Measured RTT replaces the assumed one in the first timeouts (RFC 9002 §6.2.2)", () => {
  const pair = new Pair();
  pair.filter = () => false;
  pair.connect({ initialRttMs: 50 });
  pair.runTo(500);
  // 50 + 4 * 25, then doubled.
  deepStrictEqual(pair.trace.map((line) => line.split(" ")[0]).filter((at, i, all) => at !== all[i - 1]), [
    "0.000",
    "150.000",
    "450.000",
  ]);
});

Deno.test("Keys are updated by either end while data flows (RFC 9001 §6)", () => {
  const pair = new Pair({ seed: 9, link: { latencyMs: 10, loss: 0.05, jitterMs: 5 } });
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  const id = client.openStream("unidirectional")!;
  let read = 0;
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") read += readAll(connection, event.id).length;
  };
  let written = 0;
  let updates = 0;
  for (let i = 0; i < 60; i++) {
    written += client.write(id, new Uint8Array(20_000));
    if ((i % 2 === 0 ? client : server).updateKeys()) updates++;
    pair.runTo(pair.now + 200);
  }
  pair.runTo(pair.now + 20_000);
  ok(updates >= 10, `${updates}`);
  strictEqual(read, written);
  strictEqual(client.stats.keyUpdates, server.stats.keyUpdates);
  ok(client.stats.keyUpdates >= updates - 1);
});

Deno.test("Key update has to wait until the peer has seen this phase (RFC 9001 §6.1)", () => {
  const pair = new Pair();
  const { client } = pair.established();
  client.ping();
  pair.runTo(pair.now + 100);
  strictEqual(client.updateKeys(), true);
  strictEqual(client.updateKeys(), false);
  client.ping();
  pair.runTo(pair.now + 1000);
  strictEqual(client.updateKeys(), true);
});

Deno.test("Who updated keys reads the old phase until the peer has shown the new one (RFC 9001 §6.5)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  server.ping();
  pair.runTo(pair.now + 1000);
  pair.filter = (from) => from === pair.client;
  strictEqual(server.updateKeys(), true);
  server.ping();
  pair.runTo(pair.now + 5000);
  // The client has heard nothing of it for many probe timeouts, and says something.
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(100));
  pair.runTo(pair.now + 1000);
  strictEqual(readAll(server, id).length, 100);
  pair.filter = () => true;
  pair.runTo(pair.now + 10_000);
  strictEqual(client.stats.keyUpdates, 1);
  strictEqual(client.stats.bytesInFlight, 0);
});
