import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import {
  BLACK_HOLE_LOSSES,
  BLACK_HOLE_PAUSE_MS,
  MAX_PROBES,
  PathMtu,
  RAISE_MS,
  SEARCH_AFTER_BYTES,
  SEARCH_GRANULARITY_BYTES,
} from "../../../protocols/quic/mtu.ts";
import { Pair, SERVER_ADDRESS } from "../../support/quic_pair.ts";
import type { PairOptions } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";

/** Sizes that a search tries on a path that carries `pathBytes`. */
function search(mtu: PathMtu, pathBytes: number, now = 0): number[] {
  const sizes: number[] = [];
  for (let step = 0; step < 100 && mtu.probeAt <= now; step++) {
    const bytes = mtu.takeProbe(now);
    if (bytes === undefined) break;
    sizes.push(bytes);
    if (bytes <= pathBytes) mtu.onProbeAcked();
    else mtu.onProbeLost();
  }
  return sizes;
}

Deno.test("PathMtu tries the largest size first, and is done if it arrives (RFC 8899 §5.3)", () => {
  const mtu = new PathMtu(1200, 1452);
  strictEqual(mtu.currentBytes, 1200);
  deepStrictEqual(search(mtu, 1500), [1452]);
  strictEqual(mtu.currentBytes, 1452);
  strictEqual(mtu.probeAt, Infinity);
});

Deno.test("PathMtu halves what is left, trying each size three times, and rests for ten minutes (RFC 8899 §5.1)", () => {
  const mtu = new PathMtu(1200, 1452);
  const sizes = search(mtu, 1400);
  deepStrictEqual(sizes, [1452, 1452, 1452, 1326, 1389, 1420, 1420, 1420, 1404, 1404, 1404]);
  strictEqual(sizes.filter((bytes) => bytes === 1452).length, MAX_PROBES);
  strictEqual(mtu.currentBytes, 1389);
  ok(1400 - mtu.currentBytes <= SEARCH_GRANULARITY_BYTES);
  strictEqual(mtu.probeAt, RAISE_MS);
  // The path has become wider.
  deepStrictEqual(search(mtu, 1500, RAISE_MS), [1452]);
  strictEqual(mtu.currentBytes, 1452);
});

Deno.test("PathMtu finds every size of path to within its granularity (RFC 8899 §5.3.2)", () => {
  for (let pathBytes = 1200; pathBytes <= 1500; pathBytes++) {
    const mtu = new PathMtu(1200, 1452);
    search(mtu, pathBytes);
    ok(mtu.currentBytes <= pathBytes, `${pathBytes}`);
    ok(Math.min(1452, pathBytes) - mtu.currentBytes <= SEARCH_GRANULARITY_BYTES, `${pathBytes}: ${mtu.currentBytes}`);
  }
});

Deno.test("PathMtu has one probe under way at a time", () => {
  const mtu = new PathMtu(1200, 1452);
  mtu.takeProbe(0);
  strictEqual(mtu.probeAt, Infinity);
  mtu.forgetProbe();
  strictEqual(mtu.probeAt <= 0, true);
  // Answers that nobody waits for change nothing.
  mtu.onProbeAcked();
  mtu.onProbeLost();
  strictEqual(mtu.currentBytes, 1200);
});

Deno.test("PathMtu goes back to the least size when large packets only get lost (RFC 8899 §4.3)", () => {
  const mtu = new PathMtu(1200, 1452);
  search(mtu, 1500);
  for (let n = 1; n < BLACK_HOLE_LOSSES; n++) strictEqual(mtu.onLargeLost(5), false);
  mtu.onAcked(1452);
  for (let n = 1; n < BLACK_HOLE_LOSSES; n++) strictEqual(mtu.onLargeLost(5), false);
  mtu.onAcked(1200); // A small one proves nothing.
  strictEqual(mtu.onLargeLost(5), true);
  strictEqual(mtu.currentBytes, 1200);
  strictEqual(mtu.probeAt, 5 + BLACK_HOLE_PAUSE_MS);
  strictEqual(mtu.onLargeLost(6), false);
  strictEqual(mtu.onSilence(7), false);
});

Deno.test("PathMtu that may not grow never probes", () => {
  strictEqual(new PathMtu(1200, 1200).probeAt, Infinity);
  strictEqual(new PathMtu(1280, 1200).currentBytes, 1280);
});

interface Running {
  readonly pair: Pair;
  readonly client: Transfer;
  readonly server: Transfer;
  readonly id: number;
}

/** A transfer whose datagrams arrive up to a size. */
function transfer(pathBytes: () => number, options: PairOptions = {}, totalBytes = 400_000): Running {
  const pair = new Pair({ link: { latencyMs: 20 }, ...options });
  pair.admits = (_, bytes) => bytes.length <= pathBytes();
  const client = new Transfer(pair.client, totalBytes, { echo: false });
  const server = new Transfer(pair.server, totalBytes, { echo: true });
  const { client: connection } = pair.established();
  const id = connection.openStream("bidirectional")!;
  client.start(connection, id);
  return { pair, client, server, id };
}

function finish({ pair, client, server, id }: Running): void {
  pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 100_000);
}

/** Long enough for a search to end. */
function keepTalking(pair: Pair): void {
  for (let n = 0; n < 100; n++) {
    for (const connection of [...pair.client.connections, ...pair.server.connections]) connection.ping();
    pair.runTo(pair.now + 20);
  }
}

Deno.test("Search takes no congestion response, and finds what the path carries, in both directions (RFC 9000 §14.4)", () => {
  for (const pathBytes of [1452, 1400, 1300, 1200]) {
    const running = transfer(() => pathBytes);
    finish(running);
    const { pair } = running;
    keepTalking(pair);
    for (const connection of [pair.client.connections[0]!, pair.server.connections[0]!]) {
      const { datagramBytes, lostPackets, congestionWindowBytes } = connection.stats;
      ok(datagramBytes <= pathBytes && datagramBytes >= pathBytes - SEARCH_GRANULARITY_BYTES, `${datagramBytes}`);
      strictEqual(lostPackets, 0);
      // Never halved: in slow start all along.
      ok(congestionWindowBytes > 100_000, `${congestionWindowBytes}`);
    }
  }
});

Deno.test("Connection that says little does not search (RFC 9000 §14.3)", () => {
  const pair = new Pair();
  const { client } = pair.established();
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(SEARCH_AFTER_BYTES / 2));
  pair.runTo(pair.now + 1000);
  strictEqual(client.stats.datagramBytes, 1200);
  ok(pair.trace.every((line) => Number(line.split(" ")[2]) <= 1200));
});

Deno.test("Transfer goes on when the path becomes narrower in the middle of it (RFC 8899 §4.3)", () => {
  let pathBytes = 1452;
  const running = transfer(() => pathBytes, {}, 2_000_000);
  const { pair } = running;
  const [client] = pair.client.connections;
  pair.runUntil(() => client!.stats.datagramBytes === 1452);
  pair.runTo(pair.now + 40);
  pathBytes = 1300;
  const at = pair.now;
  pair.runUntil(() => client!.stats.datagramBytes === 1200);
  ok(pair.now - at < 1000, `${pair.now - at}`);
  finish(running);
});

Deno.test("Black hole is noticed although small packets are answered all the time (RFC 8899 §4.3)", () => {
  let pathBytes = 1452;
  const running = transfer(() => pathBytes, {}, 3_000_000);
  const { pair } = running;
  const [client] = pair.client.connections;
  pair.runUntil(() => client!.stats.datagramBytes === 1452);
  pathBytes = 1300;
  const at = pair.now;
  for (let n = 0; n < 400 && client!.stats.datagramBytes > 1200; n++) {
    client!.ping();
    pair.runTo(pair.now + 5);
  }
  strictEqual(client!.stats.datagramBytes, 1200);
  ok(pair.now - at < 2000, `${pair.now - at}`);
  finish(running);
});

Deno.test("Each path has its own size (RFC 9000 §14.3)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const other = pair.client.addBase(addressOf("203.0.113.9", 40000));
  pair.admits = ({ from, to }, bytes) => from !== other.local && to !== other.local || bytes.length <= 1250;
  const client = new Transfer(pair.client, 1_500_000, { echo: false });
  const server = new Transfer(pair.server, 1_500_000, { echo: false });
  const { client: connection } = pair.established();
  const id = connection.openStream("unidirectional")!;
  client.start(connection, id);
  pair.runUntil(() => connection.stats.datagramBytes === 1452);
  connection.migrate(other, SERVER_ADDRESS, pair.now);
  strictEqual(connection.stats.datagramBytes, 1200);
  pair.runUntil(() => server.ended.has(id), 100_000);
  keepTalking(pair);
  ok(connection.stats.datagramBytes <= 1250 && connection.stats.datagramBytes > 1220);
});
