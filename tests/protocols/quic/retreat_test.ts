import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { randomUnit } from "../../../protocols/core/random.ts";
import type { QuicConnection } from "../../../protocols/quic/connection.ts";
import { DirectPath, RELAY } from "../../support/quic_direct_path.ts";
import { readAll, SERVER_ADDRESS } from "../../support/quic_pair.ts";
import type { Peer } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const RELAYED_RTT_MS = 80;

type Side = "client" | "server";

/** Writes 500 bytes every 10 ms on a stream of one end, and notes when the other gets something. */
class Ticker {
  readonly arrivals: { readonly at: number; readonly bytes: number }[] = [];
  #written = 0;
  readonly #direct: DirectPath;
  readonly #connection: QuicConnection;
  readonly #id: number;

  constructor(direct: DirectPath, connection: QuicConnection, receiver: Peer) {
    this.#direct = direct;
    this.#connection = connection;
    this.#id = connection.openStream("unidirectional")!;
    const { onEvent } = receiver;
    receiver.onEvent = (other, event) => {
      onEvent(other, event);
      if (event.type !== "streamReadable") return;
      this.arrivals.push({ at: direct.pair.now, bytes: readAll(other, event.id).length });
    };
  }

  get isComplete(): boolean {
    return this.arrivals.reduce((sum, { bytes }) => sum + bytes, 0) === this.#written;
  }

  runTo(until: number): void {
    const { pair } = this.#direct;
    while (pair.now < until) {
      this.#written += this.#connection.write(this.#id, new Uint8Array(500));
      pair.runTo(pair.now + 10);
    }
  }

  /** Longest time without anything new from `from` on. */
  longestGapFrom(from: number): number {
    let last = from;
    let gap = 0;
    for (const { at } of this.arrivals) {
      if (at < from) continue;
      gap = Math.max(gap, at - last);
      last = at;
    }
    return gap;
  }
}

for (const sender of ["client", "server"] as const) {
  for (const cut of [["client", "server"], ["client"], ["server"]] as const) {
    const name = `${sender} sends and what ${cut.join(" and ")} ${cut.length > 1 ? "send" : "sends"} directly is lost`;
    Deno.test(`Data flows again within two probe timeouts and a round trip: ${name} (RFC 9000 §9)`, () => {
      const direct = new DirectPath();
      const { pair } = direct;
      const { client, server } = direct.moved();
      const from = sender === "client" ? client : server;
      const ticker = new Ticker(direct, from, sender === "client" ? pair.server : pair.client);
      ticker.runTo(pair.now + 1000);
      strictEqual(client.path.remote, SERVER_ADDRESS);
      const cutAt = pair.now;
      const { probeTimeoutMs } = from.stats;
      const isCut = (side: Side): boolean => cut.some((other) => other === side);
      direct.filter = (peer, _, { from, to }) =>
        from === RELAY || to === RELAY || !isCut(peer === pair.client ? "client" : "server");
      ticker.runTo(cutAt + 2000);
      strictEqual(client.path.remote, RELAY);
      strictEqual(server.path.base, direct.tunnel);
      // The second timeout is twice as long as the first (RFC 9002 §6.2.1). A server is heard half a round trip later than
      // it sends, and knows that it may a round trip after it has asked.
      const limitMs = 3 * probeTimeoutMs + (sender === "client" ? 1 : 1.5) * RELAYED_RTT_MS;
      ok(ticker.longestGapFrom(cutAt) <= limitMs, `${ticker.longestGapFrom(cutAt)} of ${limitMs}`);
      pair.runTo(pair.now + 1000);
      strictEqual(ticker.isComplete, true);
      // It stays there as long as the other is cut.
      strictEqual(pair.client.events.filter(({ event }) => event.type === "pathChanged").length, 2);
      // And takes the direct path again when that works again.
      direct.filter = () => true;
      ticker.runTo(pair.now + 15_000);
      strictEqual(client.path.remote, SERVER_ADDRESS);
      strictEqual(server.path.base, pair.server.base);
    });
  }
}

Deno.test("Client that only listens moves back when the server asks (RFC 9000 §9)", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  pair.runTo(pair.now + 5000);
  direct.filter = (_, __, { from, to }) => from === RELAY || to === RELAY;
  const id = server.openStream("unidirectional")!;
  server.write(id, new Uint8Array(100));
  const start = pair.now;
  const { probeTimeoutMs } = server.stats;
  pair.runUntil(() => client.path.remote === RELAY);
  // One way more than the server's second timeout.
  ok(pair.now - start <= 3 * probeTimeoutMs + RELAYED_RTT_MS / 2 + 1, `${pair.now - start}`);
  pair.runTo(pair.now + RELAYED_RTT_MS + 1);
  strictEqual(readAll(client, id).length, 100);
});

Deno.test("Client does not move back while the path works in both directions", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  const ticker = new Ticker(direct, client, pair.server);
  ticker.runTo(pair.now + 2000);
  // The server asks on the relayed path all the same, as it does when packets are lost by chance.
  server.probePath(direct.tunnel, server.path.remote, pair.now);
  ticker.runTo(pair.now + 500);
  strictEqual(client.path.remote, SERVER_ADDRESS);
  deepStrictEqual(
    pair.server.events.flatMap(({ event }) => event.type === "pathValidated" ? [event.base] : []),
    [direct.tunnel],
  );
});

Deno.test("Right after a move the server's question on the old path moves nothing (RFC 9000 §9.3.3)", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const direct = new DirectPath({ seed, loss: 0.02 });
    const { pair } = direct;
    const { client } = direct.moved();
    pair.runTo(pair.now + 5000);
    strictEqual(client.path.remote, SERVER_ADDRESS, `seed ${seed}`);
    strictEqual(pair.client.events.filter(({ event }) => event.type === "pathChanged").length, 1, `seed ${seed}`);
  }
});

Deno.test("Client keeps the relayed path open through its NAT with packets that say nothing, as often as it keeps alive", () => {
  for (const keepAliveMs of [15_000, undefined]) {
    const direct = new DirectPath({ transport: { keepAliveMs, idleTimeoutMs: 0 } });
    const { pair } = direct;
    const { client, server } = direct.moved();
    pair.runTo(pair.now + 1000);
    const relayed: number[] = [];
    pair.onSent = (to, bytes) => {
      if (to === RELAY) relayed.push(bytes.length);
    };
    pair.runTo(pair.now + 61_000);
    strictEqual(relayed.length, keepAliveMs === undefined ? 0 : 4);
    ok(relayed.every((bytes) => bytes < 40), relayed.join());
    strictEqual(client.path.remote, SERVER_ADDRESS);
    strictEqual(server.path.base, pair.server.base);
  }
});

Deno.test("Relay that dies after the move costs nothing, and both dead end the connection by idle timeout", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  const ticker = new Ticker(direct, server, pair.client);
  direct.filter = (_, __, { from, to }) => from !== RELAY && to !== RELAY;
  ticker.runTo(pair.now + 3000);
  ok(ticker.longestGapFrom(pair.now - 2000) < 50);
  direct.filter = () => false;
  pair.runTo(pair.now + 70_000, 100_000);
  strictEqual(client.closeReason?.by, "idle");
  strictEqual(server.closeReason?.by, "idle");
});

Deno.test("Transfers survive direct paths that come and go in either direction, seeds 1 to 30 (RFC 9000 §9)", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed);
    const direct = new DirectPath({ seed, loss: 0.01, transport: { idleTimeoutMs: 60_000 } });
    const { pair } = direct;
    const client = new Transfer(pair.client, 2_000_000, { echo: false });
    const server = new Transfer(pair.server, 2_000_000, { echo: true });
    direct.moveWhenFound();
    const ends = direct.connected();
    pair.runUntil(() => ends.client.state === "confirmed");
    const id = ends.client.openStream("bidirectional")!;
    client.start(ends.client, id);
    let cut: readonly Side[] = [];
    direct.filter = (peer, _, { from, to }) =>
      from === RELAY || to === RELAY || !cut.some((side) => side === (peer === pair.client ? "client" : "server"));
    for (let step = 0; step < 12; step++) {
      pair.runTo(pair.now + randomUnit(random) * 1500, 100_000);
      const cuts = [[], ["client"], ["server"], ["client", "server"]] as const;
      cut = cuts[Math.floor(randomUnit(random) * cuts.length)] ?? [];
    }
    cut = [];
    pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 300_000);
    strictEqual(ends.client.state, "confirmed", `seed ${seed}`);
  }
});

Deno.test("Client that went to the relay by itself and finds it silent tries the direct path, and comes back to the relay: nobody would find that again", () => {
  const direct = new DirectPath({ transport: { keepAliveMs: 5000 } });
  const { pair } = direct;
  const { client, server } = direct.moved();
  pair.runTo(pair.now + 1000);
  strictEqual(client.migrate(pair.client.base, RELAY, pair.now), true);
  pair.drain();
  pair.runTo(pair.now + 1000);
  const ticker = new Ticker(direct, client, pair.server);
  // The direct path has died, and then the relay falls silent for a moment.
  direct.filter = () => false;
  ticker.runTo(pair.now + 1500);
  direct.filter = (_, __, { from, to }) => from === RELAY || to === RELAY;
  ticker.runTo(pair.now + 5000);
  strictEqual(client.path.remote, RELAY);
  strictEqual(server.path.base, direct.tunnel);
  pair.runTo(pair.now + 1000);
  strictEqual(ticker.isComplete, true);
});
