import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Address } from "../../../protocols/core/address.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import type { QuicConnection } from "../../../protocols/quic/connection.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { MAX_PATHS } from "../../../protocols/quic/paths.ts";
import { CLIENT_ADDRESS, Pair, readAll, SERVER_ADDRESS } from "../../support/quic_pair.ts";
import type { PairOptions } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const OTHER_CLIENT = addressOf("203.0.113.9", 40000);
const SAME_HOST = addressOf(CLIENT_ADDRESS.host, 40000);
const RELAY = addressOf("198.51.100.99", 7000);
const NOWHERE = addressOf("198.51.100.2", 4433);

interface Connected {
  readonly pair: Pair;
  readonly client: QuicConnection;
  readonly server: QuicConnection;
  /** Another base of the client. */
  readonly other: Base;
}

function connected(options: PairOptions = {}, local: Address = OTHER_CLIENT): Connected {
  const pair = new Pair(options);
  const other = pair.client.addBase(local);
  const { client, server } = pair.established();
  pair.runTo(pair.now + 200);
  return { pair, client, server, other };
}

function pathEvents(peer: Pair["client"]): string[] {
  return peer.events.flatMap(({ event }) =>
    event.type === "pathChanged" || event.type === "pathValidated" || event.type === "pathFailed"
      ? [`${event.type} ${event.base.local} ${event.remote}`]
      : []
  );
}

/** Connection IDs of 1-RTT packets, in hexadecimal, by where they went from and to. */
function watchIds(pair: Pair): Map<string, Set<string>> {
  const ids = new Map<string, Set<string>>();
  const { filter } = pair;
  pair.filter = (from, bytes, hop) => {
    if ((bytes[0]! & 0x80) === 0) {
      const key = `${hop.from} ${hop.to}`;
      const known = ids.get(key) ?? new Set<string>();
      ids.set(key, known.add([...bytes.subarray(1, 9)].map((byte) => byte.toString(16)).join(" ")));
    }
    return filter(from, bytes, hop);
  };
  return ids;
}

Deno.test("Client proves a path and then moves to it, without another round trip (RFC 9000 §9.1, §9.2)", () => {
  const { pair, client, server, other } = connected();
  strictEqual(client.probePath(other, SERVER_ADDRESS, pair.now), true);
  pair.runTo(pair.now + 21);
  deepStrictEqual(pathEvents(pair.client), [`pathValidated ${OTHER_CLIENT} ${SERVER_ADDRESS}`]);
  // Probing moves nothing.
  strictEqual(client.path.base, pair.client.base);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
  strictEqual(client.migrate(other, SERVER_ADDRESS, pair.now), true);
  strictEqual(client.path.base, other);
  strictEqual(client.path.isValidated, true);
  // What validation has measured is what the round trip is assumed to take (RFC 9002 §6.2.2).
  strictEqual(client.stats.rttMs, 20);
  pair.runTo(pair.now + 200);
  strictEqual(server.path.remote, OTHER_CLIENT);
  strictEqual(server.path.isValidated, true);
  deepStrictEqual(pathEvents(pair.server), [
    `pathChanged ${SERVER_ADDRESS} ${OTHER_CLIENT}`,
    `pathValidated ${SERVER_ADDRESS} ${OTHER_CLIENT}`,
  ]);
});

Deno.test("Client moves at once, proves the path meanwhile, and loses nothing of what is under way (RFC 9000 §9.2)", () => {
  for (const local of [OTHER_CLIENT, SAME_HOST]) {
    for (let seed = 1; seed <= 6; seed++) {
      const pair = new Pair({ seed, link: { latencyMs: 20, loss: seed === 1 ? 0 : 0.05 } });
      const other = pair.client.addBase(local);
      const client = new Transfer(pair.client, 300_000, { echo: false });
      const server = new Transfer(pair.server, 300_000, { echo: true });
      const { client: connection, server: accepted } = pair.established();
      const id = connection.openStream("bidirectional")!;
      client.start(connection, id);
      pair.runTo(pair.now + 150);
      strictEqual(connection.migrate(other, SERVER_ADDRESS, pair.now), true);
      strictEqual(connection.path.isValidated, false);
      pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 50_000);
      pair.runTo(pair.now + 3000);
      strictEqual(connection.path.base, other, `seed ${seed}`);
      strictEqual(connection.path.isValidated, true);
      strictEqual(accepted.path.remote, local);
      deepStrictEqual(pathEvents(pair.client), [
        `pathChanged ${local} ${SERVER_ADDRESS}`,
        `pathValidated ${local} ${SERVER_ADDRESS}`,
      ]);
    }
  }
});

Deno.test("Window and round-trip time start over when the client moves (RFC 9000 §9.4)", () => {
  const { pair, client, server, other } = connected({ link: { latencyMs: 40 } });
  pair.latencyMs = ({ from, to }) => from === OTHER_CLIENT || to === OTHER_CLIENT ? 5 : undefined;
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(200_000));
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") readAll(connection, event.id);
  };
  pair.runTo(pair.now + 300);
  ok(client.stats.congestionWindowBytes > 12_000);
  client.migrate(other, SERVER_ADDRESS, pair.now);
  strictEqual(client.stats.congestionWindowBytes, 12_000);
  strictEqual(client.stats.bytesInFlight, 0);
  strictEqual(client.stats.rttMs, 333);
  pair.runTo(pair.now + 300);
  // No sample of the old path, or of its packets, is taken.
  strictEqual(client.stats.minRttMs, 10);
  strictEqual(server.stats.minRttMs, 10);
  strictEqual(server.path.remote, OTHER_CLIENT);
});

Deno.test("Each path has connection IDs of its own in both directions, and those of a path that was left are retired (RFC 9000 §5.1.2, §9.5)", () => {
  const { pair, client, server, other } = connected();
  const ids = watchIds(pair);
  client.ping();
  server.ping();
  pair.runTo(pair.now + 100);
  client.probePath(other, SERVER_ADDRESS, pair.now);
  pair.runTo(pair.now + 100);
  client.migrate(other, SERVER_ADDRESS, pair.now);
  pair.runTo(pair.now + 3000);
  client.ping();
  server.ping();
  pair.runTo(pair.now + 1000);
  const all = [...ids.values()].flatMap((set) => [...set]);
  strictEqual(ids.size, 4);
  for (const [hop, set] of ids) strictEqual(set.size, 1, hop);
  strictEqual(new Set(all).size, 4);
  // Three more times: there are always new ones.
  for (let n = 1; n <= 8; n++) {
    const base = pair.client.addBase(addressOf("203.0.113.10", 40000 + n));
    strictEqual(client.migrate(base, SERVER_ADDRESS, pair.now), true, `move ${n}`);
    pair.runTo(pair.now + 4000);
    strictEqual(server.path.remote, base.local);
  }
  strictEqual(pair.server.endpoint.tableSizes.routes, 4);
  strictEqual(pair.client.endpoint.tableSizes.routes, 4);
});

Deno.test("Client keeps the old path until the new one is proven, and goes back to it (RFC 9000 §9.3.2)", () => {
  const { pair, client, server, other } = connected();
  pair.filter = (_, __, { from, to }) => from !== OTHER_CLIENT && to !== OTHER_CLIENT;
  const id = client.openStream("unidirectional")!;
  client.migrate(other, SERVER_ADDRESS, pair.now);
  client.write(id, new Uint8Array(1000));
  pair.runTo(pair.now + 2900);
  strictEqual(client.path.base, other);
  pair.runTo(pair.now + 300);
  strictEqual(client.path.base, pair.client.base);
  deepStrictEqual(pathEvents(pair.client), [
    `pathChanged ${OTHER_CLIENT} ${SERVER_ADDRESS}`,
    `pathChanged ${CLIENT_ADDRESS} ${SERVER_ADDRESS}`,
    `pathFailed ${OTHER_CLIENT} ${SERVER_ADDRESS}`,
  ]);
  strictEqual(readAll(server, id).length, 1000);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
  strictEqual(client.state, "confirmed");
});

Deno.test("Server follows a client that comes back before the new path was proven (RFC 9000 §9.3)", () => {
  // The client is not heard by answers: what the server sends to its new address is lost.
  const { pair, client, server, other } = connected();
  pair.filter = (_, __, { to }) => to !== OTHER_CLIENT;
  client.migrate(other, SERVER_ADDRESS, pair.now);
  pair.runTo(pair.now + 200);
  strictEqual(server.path.remote, OTHER_CLIENT);
  pair.runTo(pair.now + 4000);
  strictEqual(client.path.base, pair.client.base);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
  const id = server.openStream("unidirectional")!;
  server.write(id, new Uint8Array(10));
  pair.runTo(pair.now + 100);
  strictEqual(readAll(client, id).length, 10);
});

Deno.test("Probing a path where nobody is tells so and leaves the connection alone (RFC 9000 §8.2.4)", () => {
  const { pair, client } = connected();
  const window = client.stats.congestionWindowBytes;
  strictEqual(client.probePath(pair.client.base, NOWHERE, pair.now), true);
  // RFC 9000 §9: nothing but probes goes to an address of the server that was not proven.
  strictEqual(client.migrate(pair.client.base, NOWHERE, pair.now), false);
  pair.runTo(pair.now + 50);
  strictEqual(client.stats.bytesInFlight, 0);
  const toNowhere: number[] = [];
  pair.onSent = (to, bytes) => {
    if (to === NOWHERE) toNowhere.push(bytes.length);
  };
  pair.runTo(pair.now + 5000);
  deepStrictEqual(pathEvents(pair.client), [`pathFailed ${CLIENT_ADDRESS} ${NOWHERE}`]);
  ok(toNowhere.length >= 2 && toNowhere.length <= 8);
  ok(toNowhere.every((bytes) => bytes === 1200));
  strictEqual(client.stats.congestionWindowBytes, window);
  // Neither probe timeouts nor losses come of it.
  strictEqual(client.stats.lostPackets, 0);
  strictEqual(client.path.remote, SERVER_ADDRESS);
});

Deno.test("Server may prove another path of its client, too (RFC 9000 §8.2)", () => {
  const { pair, client, server, other } = connected();
  client.probePath(other, SERVER_ADDRESS, pair.now);
  pair.runTo(pair.now + 100);
  strictEqual(server.probePath(pair.server.base, OTHER_CLIENT, pair.now), true);
  pair.runTo(pair.now + 100);
  deepStrictEqual(pathEvents(pair.server), [`pathValidated ${SERVER_ADDRESS} ${OTHER_CLIENT}`]);
  throws(() => server.migrate(pair.server.base, OTHER_CLIENT, pair.now), TypeError);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
});

Deno.test("Same remote address on another base of the server is another path (design: a path is base and remote)", () => {
  const pair = new Pair();
  const tunnel = pair.server.addBase(RELAY, "tunnel");
  const { client, server } = pair.established({ remote: RELAY });
  strictEqual(server.path.base, tunnel);
  pair.runTo(pair.now + 200);
  strictEqual(client.probePath(pair.client.base, SERVER_ADDRESS, pair.now), true);
  pair.runTo(pair.now + 100);
  strictEqual(client.migrate(pair.client.base, SERVER_ADDRESS, pair.now), true);
  pair.runTo(pair.now + 100);
  strictEqual(server.path.base, pair.server.base);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
  deepStrictEqual(pathEvents(pair.server), [
    `pathChanged ${SERVER_ADDRESS} ${CLIENT_ADDRESS}`,
    `pathValidated ${SERVER_ADDRESS} ${CLIENT_ADDRESS}`,
  ]);
});

Deno.test("Client stays where it is if the server asks it to (RFC 9000 §18.2)", () => {
  const { pair, client, other } = connected({ transport: { disableActiveMigration: true } });
  strictEqual(client.probePath(other, SERVER_ADDRESS, pair.now), false);
  strictEqual(client.migrate(other, SERVER_ADDRESS, pair.now), false);
  strictEqual(client.path.base, pair.client.base);
});

Deno.test("No path is opened before the handshake is confirmed (RFC 9000 §9)", () => {
  const pair = new Pair();
  const other = pair.client.addBase(OTHER_CLIENT);
  const client = pair.connect();
  strictEqual(client.migrate(other, SERVER_ADDRESS, pair.now), false);
  pair.runUntil(() => client.isEstablished);
  strictEqual(client.state, "established");
  strictEqual(client.migrate(other, SERVER_ADDRESS, pair.now), false);
  strictEqual(client.probePath(other, SERVER_ADDRESS, pair.now), false);
});

Deno.test("Paths are limited by connection IDs, which come back when paths are given up (RFC 9000 §5.1.1, §9.5)", () => {
  const { pair, client } = connected();
  const bases = Array.from({ length: 6 }, (_, n) => pair.client.addBase(addressOf("203.0.113.20", 1000 + n)));
  const opened = bases.map((base) => client.probePath(base, SERVER_ADDRESS, pair.now));
  // Four in all, one of which the connection uses.
  deepStrictEqual(opened, [true, true, true, false, false, false]);
  pair.runTo(pair.now + 100);
  strictEqual(pair.client.eventTypes.filter((type) => type === "pathValidated").length, 3);
  client.abandonPath(bases[0]!, SERVER_ADDRESS);
  client.abandonPath(client.path.base, client.path.remote); // In use: nothing.
  pair.runTo(pair.now + 100);
  strictEqual(client.probePath(bases[3]!, SERVER_ADDRESS, pair.now), true);
  strictEqual(client.probePath(bases[4]!, SERVER_ADDRESS, pair.now), false);
  pair.runTo(pair.now + 100);
  strictEqual(pair.client.eventTypes.filter((type) => type === "pathValidated").length, 4);
});

Deno.test("Abandoning a path that is being asked says that it failed", () => {
  const { pair, client, other } = connected();
  client.probePath(other, SERVER_ADDRESS, pair.now);
  client.abandonPath(other, SERVER_ADDRESS);
  pair.runTo(pair.now + 5000);
  deepStrictEqual(pathEvents(pair.client), [`pathFailed ${OTHER_CLIENT} ${SERVER_ADDRESS}`]);
});

Deno.test("Server forgets paths on which a client was only heard (RFC 9000 §5.1.2)", () => {
  const { pair, client, server, other } = connected({ transport: { keepAliveMs: 5000 } });
  client.probePath(other, SERVER_ADDRESS, pair.now);
  pair.runTo(pair.now + 100);
  client.abandonPath(other, SERVER_ADDRESS);
  for (let n = 0; n < 3 * MAX_PATHS; n++) {
    const base = pair.client.addBase(addressOf("203.0.113.30", 1000 + n));
    client.probePath(base, SERVER_ADDRESS, pair.now);
    pair.runTo(pair.now + 50);
    client.abandonPath(base, SERVER_ADDRESS);
  }
  pair.runTo(pair.now + 40_000);
  // All of the server's IDs are free for new paths again, and so are the client's.
  for (let n = 0; n < 3; n++) {
    const base = pair.client.addBase(addressOf("203.0.113.31", 1000 + n));
    strictEqual(client.probePath(base, SERVER_ADDRESS, pair.now), true);
    pair.runTo(pair.now + 100);
    strictEqual(pair.client.eventTypes.at(-1), "pathValidated");
  }
  strictEqual(server.state, "confirmed");
});

Deno.test("Packets of the server that were late do not bring a client back to the path it has left", () => {
  const { pair, client, server, other } = connected({ link: { latencyMs: 50 } });
  pair.latencyMs = ({ from, to }) => from === OTHER_CLIENT || to === OTHER_CLIENT ? 5 : undefined;
  const id = server.openStream("unidirectional")!;
  let read = 0;
  pair.client.onEvent = (connection, event) => {
    if (event.type === "streamReadable") read += readAll(connection, event.id).length;
  };
  server.write(id, new Uint8Array(100_000));
  pair.runTo(pair.now + 120);
  client.migrate(other, SERVER_ADDRESS, pair.now);
  pair.runUntil(() => read === 100_000);
  strictEqual(client.path.base, other);
  strictEqual(pair.client.eventTypes.filter((type) => type === "pathChanged").length, 1);
});

Deno.test("Transfers survive random moves, probes, rebindings and cuts, seeds 1 to 40 (RFC 9000 §9)", () => {
  for (let seed = 1; seed <= 40; seed++) {
    try {
      moveAtRandom(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

function moveAtRandom(seed: number): void {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(randomUnit(random) * count);
  const pair = new Pair({
    seed,
    link: { latencyMs: 20, loss: 0.02, jitterMs: 10 },
    transport: { idleTimeoutMs: 60_000 },
  });
  const bases = [pair.client.base, ...[1, 2, 3].map((n) => pair.client.addBase(addressOf(`203.0.113.${n}`, 4000)))];
  const tunnel = pair.server.addBase(RELAY, "tunnel");
  const client = new Transfer(pair.client, 300_000, { echo: false });
  const server = new Transfer(pair.server, 300_000, { echo: true });
  const { client: connection } = pair.established();
  const id = connection.openStream("bidirectional")!;
  client.start(connection, id);
  let cut: Address | undefined;
  // The first address of the client always works, so that there is a way back.
  pair.filter = (_, __, { from, to }) => cut === undefined || (from !== cut && to !== cut);
  for (let step = 0; step < 40; step++) {
    const base = bases[pick(bases.length)]!;
    const remote = [SERVER_ADDRESS, tunnel.local][pick(2)]!;
    switch (pick(6)) {
      case 0:
      case 1:
        connection.migrate(base, remote, pair.now);
        break;
      case 2:
        connection.probePath(base, remote, pair.now);
        break;
      case 3:
        connection.abandonPath(base, remote);
        break;
      case 4:
        pair.rebindClient(addressOf(CLIENT_ADDRESS.host, 50_000 + pick(3)));
        break;
      default:
        cut = pick(2) === 0 ? undefined : bases[1 + pick(3)]!.local;
    }
    pair.runTo(pair.now + pick(300));
  }
  cut = undefined;
  pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 200_000);
  pair.runTo(pair.now + 5000);
  // Nothing is left over of the paths that were left.
  ok(pair.server.endpoint.tableSizes.routes! <= 5 && pair.client.endpoint.tableSizes.routes! <= 5);
}
