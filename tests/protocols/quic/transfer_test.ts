import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { sha256 } from "../../../protocols/crypto/hash.ts";
import { toHex } from "../../../protocols/core/bytes.ts";
import { Pair, readAll } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";

const HARSH = { latencyMs: 20, loss: 0.3, duplication: 0.1, jitterMs: 30 };

/** Both ways on one bidirectional stream over a harsh link; everything is checked as it comes. */
function transfer(seed: number, totalBytes: number): Pair {
  // The idle timeout is for silence; thirty per cent loss in both directions makes long ones.
  const pair = new Pair({ seed, link: HARSH, transport: { idleTimeoutMs: 120_000 } });
  const client = new Transfer(pair.client, totalBytes, { echo: false });
  const server = new Transfer(pair.server, totalBytes, { echo: true });
  const connection = pair.connect();
  pair.runUntil(() => connection.isEstablished);
  const id = connection.openStream("bidirectional")!;
  client.start(connection, id);
  pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 100_000);
  return pair;
}

for (let group = 0; group < 10; group++) {
  Deno.test(`Every byte once and in order at 30 % loss, duplicated and reordered, seeds ${10 * group + 1} to ${10 * group + 10}`, () => {
    for (let seed = 10 * group + 1; seed <= 10 * group + 10; seed++) {
      try {
        transfer(seed, 150_000);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

Deno.test("The same seed gives the same trace, another seed another one", () => {
  const trace = (seed: number): string =>
    toHex(sha256(new TextEncoder().encode(transfer(seed, 50_000).trace.join("\n"))));
  strictEqual(trace(7), trace(7));
  ok(trace(7) !== trace(8));
});

Deno.test("Many streams of both kinds share the connection (RFC 9000 §2.3)", () => {
  const pair = new Pair({ seed: 3, link: { latencyMs: 15, loss: 0.05 } });
  const client = new Transfer(pair.client, 20_000, { echo: false });
  const server = new Transfer(pair.server, 20_000, { echo: true });
  const { client: connection, server: accepted } = pair.established();
  const ids: number[] = [];
  for (let i = 0; i < 40; i++) {
    for (const directionality of ["bidirectional", "unidirectional"] as const) {
      const id = connection.openStream(directionality)!;
      client.start(connection, id);
      ids.push(id);
    }
    server.start(accepted, accepted.openStream("unidirectional")!);
  }
  pair.runUntil(() => server.ended.size === 80 && client.ended.size === 80);
  deepStrictEqual([...server.ended].sort((a, b) => a - b), ids.sort((a, b) => a - b));
  pair.runTo(pair.now + 2000);
  strictEqual(connection.stats.streams, 0);
  strictEqual(accepted.stats.streams, 0);
});

Deno.test("Sixty connections of one endpoint go on side by side (RFC 9000 §5.2)", () => {
  const pair = new Pair({ seed: 6, link: { latencyMs: 10, loss: 0.02 } });
  let ended = 0;
  pair.server.onEvent = (connection, event) => {
    if (event.type !== "streamReadable") return;
    readAll(connection, event.id);
    if (connection.isAtEnd(event.id)) ended++;
  };
  pair.client.onEvent = (connection, event) => {
    if (event.type !== "handshakeComplete") return;
    const id = connection.openStream("unidirectional")!;
    strictEqual(connection.write(id, new Uint8Array(30_000)), 30_000);
    connection.finish(id);
  };
  for (let i = 0; i < 60; i++) pair.connect();
  pair.runUntil(() => ended === 60);
  ok(pair.now < 3000, `${pair.now}`);
  strictEqual(pair.server.endpoint.connectionCount, 60);
});

Deno.test("Streams beyond the peer's limit wait until others have ended (RFC 9000 §4.6)", () => {
  const pair = new Pair({ transport: { maxBidirectionalStreams: 3 } });
  const server = new Transfer(pair.server, 10, { echo: true });
  const client = new Transfer(pair.client, 10, { echo: false });
  const { client: connection } = pair.established();
  for (let i = 0; i < 3; i++) client.start(connection, connection.openStream("bidirectional")!);
  strictEqual(connection.openStream("bidirectional"), undefined);
  let available = 0;
  const handle = pair.client.onEvent;
  pair.client.onEvent = (of, event) => {
    handle(of, event);
    if (event.type !== "streamsAvailable") return;
    available++;
    for (let id = of.openStream("bidirectional"); id !== undefined; id = of.openStream("bidirectional")) {
      if (id >= 40) return;
      client.start(of, id);
    }
  };
  pair.runUntil(() => server.ended.size === 10);
  ok(available > 0);
});

Deno.test("A reader that stops is what the sender waits for, and nothing grows (RFC 9000 §4.1)", () => {
  const windowBytes = 64 * 1024;
  const pair = new Pair({
    link: { latencyMs: 5 },
    transport: { streamWindowBytes: windowBytes, maxStreamWindowBytes: windowBytes, idleTimeoutMs: 0 },
  });
  const { client, server } = pair.established();
  const id = client.openStream("unidirectional")!;
  const chunk = new Uint8Array(16_384);
  let written = 0;
  const write = (): void => {
    for (let bytes = client.write(id, chunk); bytes > 0; bytes = client.write(id, chunk)) written += bytes;
  };
  pair.client.onEvent = (_connection, event) => {
    if (event.type === "streamWritable") write();
  };
  write();
  pair.runTo(pair.now + 10_000);
  // What the peer allowed has left; the writer is woken when half of what may wait has gone, so not yet.
  strictEqual(written, 256 * 1024);
  strictEqual(client.stats.bytesInFlight, 0);
  const sentBefore = pair.sent.client;
  pair.runTo(pair.now + 10_000);
  ok(pair.sent.client - sentBefore <= 2, "a stalled sender is silent");
  let read = 0;
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") read += readAll(connection, event.id).length;
  };
  read += readAll(server, id).length;
  pair.runUntil(() => read > 2_000_000);
});

Deno.test("RESET_STREAM and STOP_SENDING end one direction and leave the other (RFC 9000 §3.5)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  const id = client.openStream("bidirectional")!;
  client.write(id, new Uint8Array(10));
  pair.runTo(pair.now + 100);
  client.reset(id, 77);
  server.write(id, new Uint8Array(5));
  pair.runTo(pair.now + 100);
  deepStrictEqual(pair.server.events.at(-1)?.event, { type: "streamReset", id, code: 77 });
  strictEqual(readAll(client, id).length, 5);
  client.stopSending(id, 78);
  pair.runTo(pair.now + 200);
  ok(pair.server.events.some(({ event }) => event.type === "streamStopped" && event.code === 78));
  strictEqual(server.write(id, new Uint8Array(5)), 0);
  strictEqual(client.stats.streams, 0);
  strictEqual(server.stats.streams, 0);
});

Deno.test("Datagrams arrive whole or not at all, within the peer's limit (RFC 9221 §5)", () => {
  const pair = new Pair({ seed: 5, link: { latencyMs: 10, loss: 0.2 } });
  const { client } = pair.established();
  const got: number[] = [];
  pair.server.onEvent = (connection, event) => {
    if (event.type !== "datagramReadable") return;
    for (let data = connection.readDatagram(); data !== undefined; data = connection.readDatagram()) {
      if (data.length > 100) continue;
      strictEqual(data[0], data.length - 1);
      got.push(data.length - 1);
    }
  };
  for (let i = 0; i < 100; i++) strictEqual(client.sendDatagram(new Uint8Array(1 + i).fill(i)), true);
  strictEqual(client.sendDatagram(new Uint8Array(client.maxDatagramBytes)), true);
  strictEqual(client.sendDatagram(new Uint8Array(client.maxDatagramBytes + 1)), false);
  pair.runTo(pair.now + 1000);
  ok(got.length > 50 && got.length <= 100);
  deepStrictEqual(got, [...new Set(got)].sort((a, b) => a - b));
});

Deno.test("Datagrams are refused where the peer takes none (RFC 9221 §3)", () => {
  const pair = new Pair({ transport: { maxDatagramFrameBytes: 0 } });
  const { client } = pair.established();
  strictEqual(client.maxDatagramBytes, 0);
  strictEqual(client.sendDatagram(new Uint8Array(1)), false);
});

Deno.test("Larger datagrams are used once one has arrived (RFC 9000 §14.3)", () => {
  const pair = new Pair();
  const server = new Transfer(pair.server, 300_000, { echo: false });
  const { client } = pair.established();
  strictEqual(client.stats.datagramBytes, 1200);
  const sender = new Transfer(pair.client, 300_000, { echo: false });
  sender.start(client, client.openStream("unidirectional")!);
  pair.runUntil(() => server.ended.size === 1);
  strictEqual(client.stats.datagramBytes, 1452);
  ok(pair.trace.filter((line) => line.endsWith("client 1452")).length > 150);
  ok(pair.trace.every((line) => Number(line.split(" ")[2]) <= 1452));
});
