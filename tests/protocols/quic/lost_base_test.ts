/**
 * A base that is gone: its address was taken away, and whatever is sent there or from there is lost.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Address } from "../../../protocols/core/address.ts";
import { equalBytes } from "../../../protocols/core/bytes.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import { MAX_PATHS } from "../../../protocols/quic/paths.ts";
import { DirectPath, RELAY } from "../../support/quic_direct_path.ts";
import { CLIENT_ADDRESS, Pair, readAll, SERVER_ADDRESS } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const LTE = addressOf("203.0.113.9", 40000);
const NEW_SERVER = addressOf("198.51.100.9", 4433);
const DIRECT_RTT_MS = 40;
const RELAYED_RTT_MS = 80;

/** From now on nothing goes from or to these addresses; the NATs on the way stay as they are. */
function cut(direct: DirectPath, gone: readonly Address[]): void {
  direct.filter = (_, __, { from, to }) => !gone.includes(from) && !gone.includes(to);
}

Deno.test("Client whose base is gone goes on from another at once, and nothing of what is under way is lost (RFC 9000 §9.2)", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const pair = new Pair({ seed, link: { latencyMs: 20, loss: seed === 1 ? 0 : 0.05 } });
    const { base: wifi } = pair.client;
    const lte = pair.client.addBase(LTE);
    const client = new Transfer(pair.client, 300_000, { echo: false });
    const server = new Transfer(pair.server, 300_000, { echo: true });
    const { client: connection, server: accepted } = pair.established();
    const id = connection.openStream("bidirectional")!;
    client.start(connection, id);
    pair.runTo(pair.now + 150);
    pair.filter = (_, __, { from, to }) => from !== CLIENT_ADDRESS && to !== CLIENT_ADDRESS;
    connection.removeBase(wifi, pair.now, [lte]);
    strictEqual(connection.path.base, lte);
    pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 50_000);
    pair.runTo(pair.now + 3000);
    strictEqual(accepted.path.remote, LTE, `seed ${seed}`);
    strictEqual(connection.path.isValidated, true);
  }
});

Deno.test("Client whose base is gone is heard after half a round trip, and hears what was lost after two", () => {
  const pair = new Pair({ link: { latencyMs: 50 } });
  const { base: wifi } = pair.client;
  const lte = pair.client.addBase(LTE);
  const { client, server } = pair.established();
  pair.runTo(pair.now + 1000);
  const id = server.openStream("unidirectional")!;
  pair.filter = (_, __, { from, to }) => from !== CLIENT_ADDRESS && to !== CLIENT_ADDRESS;
  server.write(id, new Uint8Array(500));
  pair.runTo(pair.now + 60);
  const movedAt = pair.now;
  client.removeBase(wifi, movedAt, [lte]);
  pair.runUntil(() => server.path.remote === LTE);
  strictEqual(pair.now - movedAt, 50);
  // The server knows what was lost on the old path when something it sent on the new one is acknowledged.
  pair.runUntil(() => readAll(client, id).length === 500);
  strictEqual(pair.now - movedAt, 4 * 50);
});

Deno.test("Client without another base stays, and goes on as soon as there is one, however late it is within the idle timeout", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const { base: wifi } = pair.client;
  const { client, server } = pair.established();
  pair.runTo(pair.now + 200);
  pair.filter = (_, __, { from, to }) => from !== CLIENT_ADDRESS && to !== CLIENT_ADDRESS;
  const six = pair.client.addBase(addressOf("2001:db8::9", 1));
  client.removeBase(wifi, pair.now, [six]);
  strictEqual(client.path.base, wifi);
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(500));
  pair.runTo(pair.now + 20_000);
  const lte = pair.client.addBase(LTE);
  const backAt = pair.now;
  client.removeBase(wifi, backAt, [six, lte]);
  strictEqual(client.path.base, lte);
  pair.runUntil(() => readAll(server, id).length === 500);
  strictEqual(pair.now - backAt, 20);
});

Deno.test("Client that reaches nobody from its new base goes on asking until the idle timeout: there may be a way later (RFC 9000 §8.2.4)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const { base: wifi } = pair.client;
  const lte = pair.client.addBase(LTE);
  const { client, server } = pair.established();
  pair.runTo(pair.now + 200);
  pair.filter = () => false;
  client.removeBase(wifi, pair.now, [lte]);
  pair.runTo(pair.now + 15_000);
  strictEqual(client.state, "confirmed");
  pair.filter = () => true;
  pair.runUntil(() => server.path.remote === LTE && client.path.isValidated, 10_000);
  pair.filter = () => false;
  pair.runUntil(() => client.state === "drained", 60_000);
  strictEqual(client.closeReason?.by, "idle");
});

Deno.test("Client goes to the relay when the base of its direct path is gone, and punches from the new one (RFC 9000 §9.2)", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  pair.runTo(pair.now + 1000);
  const lte = pair.client.addBase(LTE);
  cut(direct, [CLIENT_ADDRESS]);
  const lostAt = pair.now;
  client.removeBase(pair.client.base, lostAt, [lte]);
  client.addCandidate({ type: "host", address: LTE, base: lte }, lostAt);
  deepStrictEqual([client.path.base, client.path.remote], [lte, RELAY]);
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(500));
  pair.runUntil(() => readAll(server, id).length === 500);
  strictEqual(pair.now - lostAt, RELAYED_RTT_MS / 2);
  strictEqual(server.path.base, direct.tunnel);
  pair.runUntil(() => client.path.remote === SERVER_ADDRESS && server.path.remote === LTE);
  // The request takes half a round trip, and the answer of the other end one way.
  ok(pair.now - lostAt <= RELAYED_RTT_MS + DIRECT_RTT_MS, `${pair.now - lostAt} ms`);
  // The way back leads through the relay again, from the base that there is.
  const id2 = client.openStream("unidirectional")!;
  pair.runTo(pair.now + 5000);
  direct.filter = (_, __, { from, to }) => from === RELAY || to === RELAY;
  client.write(id2, new Uint8Array(500));
  pair.runUntil(() => readAll(server, id2).length === 500, 3000);
  deepStrictEqual([client.path.base, client.path.remote], [lte, RELAY]);
});

Deno.test("Client whose relayed path was on a base that is gone opens the way back from another, and keeps the direct path", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const lte = pair.client.addBase(LTE);
  direct.moveWhenFound();
  const { client, server } = direct.connected();
  // The direct path is found from the second base only.
  direct.filter = (_, __, { from, to }) => from === RELAY || to === RELAY || from === LTE || to === LTE;
  client.addCandidate({ type: "host", address: LTE, base: lte }, pair.now);
  pair.runUntil(() => client.path.base === lte && client.path.remote === SERVER_ADDRESS);
  pair.runTo(pair.now + 1000);
  cut(direct, [CLIENT_ADDRESS]);
  client.removeBase(pair.client.base, pair.now, [lte]);
  deepStrictEqual([client.path.base, client.path.remote], [lte, SERVER_ADDRESS]);
  pair.runTo(pair.now + 1000);
  direct.filter = (_, __, { from, to }) => (from === RELAY || to === RELAY) && from !== CLIENT_ADDRESS;
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(500));
  pair.runUntil(() => readAll(server, id).length === 500, 3000);
  deepStrictEqual([client.path.base, client.path.remote], [lte, RELAY]);
});

Deno.test("Server whose base is gone asks on the relayed path at once; the client comes there, and both punch anew (RFC 9000 §9)", () => {
  for (const isSending of [false, true]) {
    const direct = new DirectPath();
    const { pair } = direct;
    const { client, server } = direct.moved();
    pair.runTo(pair.now + 5000);
    const id = client.openStream("unidirectional")!;
    cut(direct, [SERVER_ADDRESS]);
    const lostAt = pair.now;
    if (isSending) client.write(id, new Uint8Array(500));
    const fresh = pair.server.addBase(NEW_SERVER);
    server.removeBase(pair.server.base, lostAt, [fresh]);
    server.addCandidate({ type: "host", address: NEW_SERVER, base: fresh }, lostAt);
    pair.runUntil(() => client.path.remote === RELAY);
    // The client was silent: it is asked once, and knows by that.
    ok(pair.now - lostAt <= RELAYED_RTT_MS, `${pair.now - lostAt} ms`);
    if (!isSending) client.write(id, new Uint8Array(500));
    const backAt = pair.now;
    pair.runUntil(() => readAll(server, id).length === 500);
    strictEqual(pair.now - backAt, RELAYED_RTT_MS / 2);
    pair.runUntil(() => client.path.remote === NEW_SERVER && server.path.base === fresh);
    ok(pair.now - lostAt <= 4 * RELAYED_RTT_MS, `${pair.now - lostAt} ms`);
  }
});

Deno.test("Client whose base changes every second for a minute loses nothing, and its tables stay bounded (RFC 9000 §5.1.1)", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  const id = client.openStream("unidirectional")!;
  let [base, got, written]: [Base, number, number] = [pair.client.base, 0, 0];
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") got += readAll(connection, event.id).length;
  };
  for (let second = 0; second < 60; second++) {
    const next = pair.client.addBase(addressOf(`203.0.113.${10 + second}`, 40000));
    cut(direct, [base.local]);
    client.removeBase(base, pair.now, [next]);
    client.addCandidate({ type: "host", address: next.local, base: next }, pair.now);
    base = next;
    strictEqual(client.path.base, base, `second ${second}`);
    written += client.write(id, new Uint8Array(10_000));
    pair.runTo(pair.now + 1000);
    const { routes, remotes } = pair.client.endpoint.tableSizes;
    ok(routes! <= 2 * 16 && remotes! <= MAX_PATHS, `${routes} ${remotes}`);
  }
  pair.runTo(pair.now + 3000);
  deepStrictEqual([got, client.state, server.state], [written, "confirmed", "confirmed"]);
  strictEqual(client.path.remote, SERVER_ADDRESS);
});

Deno.test("Client whose base is gone between its Finished and HANDSHAKE_DONE ends at once: it may not move yet (RFC 9000 §9)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const { base: wifi } = pair.client;
  const lte = pair.client.addBase(LTE);
  const client = pair.connect();
  pair.runUntil(() => client.isEstablished);
  strictEqual(client.state, "established");
  client.removeBase(wifi, pair.now, []);
  strictEqual(client.state, "established");
  client.removeBase(wifi, pair.now, [lte]);
  strictEqual(client.state, "drained");
  deepStrictEqual(client.closeReason, {
    by: "transport",
    code: 0x10,
    reason: "The network has changed before the peer confirmed the handshake; try again",
  });
});

Deno.test("Bases that come and go at random at both ends, on lossy paths: every byte once and in order, seeds 1 to 20", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const direct = new DirectPath({ seed, loss: 0.02 });
    const { pair } = direct;
    direct.moveWhenFound();
    const { client, server } = direct.connected();
    const sent: number[] = [];
    const got: number[] = [];
    pair.server.onEvent = (connection, event) => {
      if (event.type === "streamReadable") got.push(...readAll(connection, event.id));
    };
    // Without a connection ID for another path nobody moves (RFC 9000 §9.5): the first ones may be lost.
    pair.runTo(pair.now + 3000);
    const id = client.openStream("unidirectional")!;
    const gone = new Set<Address>();
    direct.filter = (_, __, { from, to }) => !gone.has(from) && !gone.has(to);
    const bases = { client: pair.client.base, server: pair.server.base };
    for (let change = 0; change < 12; change++) {
      const side = randomUnit(random) < 0.5 ? "client" : "server";
      const connection = side === "client" ? client : server;
      const before = bases[side];
      const local = addressOf(`${side === "client" ? "203.0.113" : "198.51.100"}.${100 + change}`, 40_000);
      const next = bases[side] = pair[side].addBase(local);
      gone.add(before.local);
      connection.removeBase(before, pair.now, [next]);
      connection.addCandidate({ type: "host", address: local, base: next }, pair.now);
      const chunk = random.fill(new Uint8Array(2000));
      sent.push(...chunk.subarray(0, client.write(id, chunk)));
      pair.runTo(pair.now + 1 + 3000 * randomUnit(random) ** 3);
    }
    pair.runTo(pair.now + 25_000);
    ok(equalBytes(Uint8Array.from(got), Uint8Array.from(sent)), `seed ${seed}: ${got.length} of ${sent.length}`);
    for (const { routes, remotes } of [pair.client.endpoint.tableSizes, pair.server.endpoint.tableSizes]) {
      ok(routes! <= 2 * 16 && remotes! <= MAX_PATHS, `seed ${seed}: ${routes} ${remotes}`);
    }
    strictEqual(client.state, "confirmed", `seed ${seed}`);
  }
});

Deno.test("Client keeps the way back from its new base even if nobody answers there for a while: there is no other (RFC 9000 §8.2.4)", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  pair.runTo(pair.now + 1000);
  const lte = pair.client.addBase(LTE);
  cut(direct, [CLIENT_ADDRESS]);
  client.removeBase(pair.client.base, pair.now, [lte]);
  client.addCandidate({ type: "host", address: LTE, base: lte }, pair.now);
  pair.runUntil(() => client.path.remote === SERVER_ADDRESS && server.path.remote === LTE);
  // Before the relayed path is proved, the relay is silent for longer than its validation takes.
  direct.filter = (_, __, { from, to }) => ![from, to].some((it) => it === RELAY || it === CLIENT_ADDRESS);
  pair.runTo(pair.now + 15_000);
  direct.filter = (_, __, { from, to }) => (from === RELAY || to === RELAY) && from !== CLIENT_ADDRESS;
  const id = client.openStream("unidirectional")!;
  client.write(id, new Uint8Array(500));
  pair.runUntil(() => readAll(server, id).length === 500, 3000);
  deepStrictEqual([client.path.base, client.path.remote], [lte, RELAY]);
  pair.runUntil(() => client.path.isValidated, 3000);
});
