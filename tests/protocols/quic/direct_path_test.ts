import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { DirectPath, RELAY } from "../../support/quic_direct_path.ts";
import { CLIENT_ADDRESS, Pair, SERVER_ADDRESS } from "../../support/quic_pair.ts";
import type { Peer } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";

function tells(peer: Peer, types: readonly string[]): string[] {
  return peer.events.flatMap(({ event }) => types.includes(event.type) ? [event.type] : []);
}

Deno.test("Relayed connection finds a direct path through two NATs and moves to it (draft-seemann-quic-nat-traversal-02 §4)", () => {
  const direct = new DirectPath();
  const { pair } = direct;
  const { client, server } = direct.moved();
  pair.runTo(pair.now + 1000);
  strictEqual(client.path.base, pair.client.base);
  strictEqual(client.path.isValidated, true);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
  // The same remote address through the relay and past it: the base makes the difference.
  strictEqual(server.path.base, pair.server.base);
  strictEqual(server.path.isValidated, true);
  deepStrictEqual(tells(pair.client, ["pathFound", "pathSized", "pathChanged"]), [
    "pathFound",
    "pathChanged",
    "pathSized",
  ]);
  strictEqual(client.stats.lostPackets + server.stats.lostPackets, 0);
  // RTT by the probe's answer, then by samples (RFC 9002 §6.2.2).
  ok(client.stats.rttMs < 70, `${client.stats.rttMs}`);
});

Deno.test("Direct path is in use two round trips and a half after the first packet (issue: in use)", () => {
  const direct = new DirectPath({ relayedMs: 77.5, directMs: 77.5 });
  const { pair } = direct;
  direct.moved();
  const changedAt = pair.client.timeOf("pathChanged")!;
  // ADD_ADDRESS in the server's first flight, PUNCH_ME_NOW with the client's Finished: 343 ms and not less.
  strictEqual(changedAt, 343);
});

Deno.test("Transfer that starts relayed goes on past the relay, every byte once (RFC 9000 §9)", () => {
  for (let seed = 1; seed <= 8; seed++) {
    const direct = new DirectPath({ seed, loss: seed % 2 === 0 ? 0.03 : 0 });
    const { pair } = direct;
    const client = new Transfer(pair.client, 400_000, { echo: false });
    const server = new Transfer(pair.server, 400_000, { echo: true });
    direct.moveWhenFound();
    const ends = direct.connected();
    pair.runUntil(() => ends.client.state === "confirmed");
    const id = ends.client.openStream("bidirectional")!;
    client.start(ends.client, id);
    pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 100_000);
    strictEqual(ends.client.path.remote, SERVER_ADDRESS, `seed ${seed}`);
  }
});

Deno.test("Nothing of the extension is sent or taken where one end does not ask for it (draft-seemann-quic-nat-traversal-02 §5)", () => {
  const plain = new Pair();
  const { client } = plain.established();
  client.addCandidate({ type: "host", address: CLIENT_ADDRESS, base: plain.client.base }, plain.now);
  client.restartTraversal(plain.now);
  plain.runTo(plain.now + 1000);
  strictEqual(client.traversalCounts, undefined);
  strictEqual(client.state, "confirmed");
  const half = new DirectPath();
  half.pair.established({ remote: RELAY, transport: { ...half.pair.transport, natTraversal: undefined } });
  half.pair.runTo(half.pair.now + 1000);
  strictEqual(half.pair.server.connections[0]!.traversalCounts, undefined);
});

Deno.test("Path that carries small datagrams only is left again, and data goes on through the relay (RFC 9000 §8.2.1)", () => {
  const direct = new DirectPath();
  direct.filter = (_, bytes, { from, to }) => from === RELAY || to === RELAY || bytes.length < 1000;
  const { pair } = direct;
  const client = new Transfer(pair.client, 100_000, { echo: false });
  const server = new Transfer(pair.server, 100_000, { echo: true });
  direct.moveWhenFound();
  const ends = direct.connected();
  pair.runUntil(() => ends.client.state === "confirmed");
  const id = ends.client.openStream("bidirectional")!;
  client.start(ends.client, id);
  pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 100_000);
  pair.runTo(pair.now + 10_000);
  strictEqual(ends.client.path.remote, RELAY);
  strictEqual(ends.server.path.base, direct.tunnel);
});

Deno.test("Each end is told its address where it asks, on each path (draft-ietf-quic-address-discovery-00 §5)", () => {
  const direct = new DirectPath({ transport: { addressDiscovery: "reports and wants" } });
  const { pair } = direct;
  direct.moved();
  pair.runTo(pair.now + 500);
  const seen = (peer: Peer) =>
    peer.events.flatMap(({ event }) =>
      event.type === "observedAddress" ? [`${event.base.local} ${event.remote} ${event.address}`] : []
    );
  deepStrictEqual(seen(pair.client), [
    `${CLIENT_ADDRESS} ${RELAY} ${CLIENT_ADDRESS}`,
    `${CLIENT_ADDRESS} ${SERVER_ADDRESS} ${CLIENT_ADDRESS}`,
  ]);
  deepStrictEqual(seen(pair.server), [
    `${RELAY} ${CLIENT_ADDRESS} ${RELAY}`,
    `${SERVER_ADDRESS} ${CLIENT_ADDRESS} ${SERVER_ADDRESS}`,
  ]);
});
