import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { MAX_CONNECTIONS_PER_ADDRESS, UNUSED_CONNECTION_MS } from "../../service/relay_clients.ts";
import { DEFAULT_RELAY_LIMITS } from "../../service/relay_limits.ts";
import { issueRelayToken, RELAY_TOKEN_LIFETIME_MS } from "../../service/relay_token.ts";
import { testKey } from "../support/quic_pair.ts";
import { PlainPeer, QuicPeer, startRelay, transferBothWays, TunnelPeer, untilOpen } from "../support/relay_world.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

Deno.test("Relay forwards both ways between a bound port and its tunnel", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const b = new TunnelPeer(net.host("b", { behind: net.nat(), rttToCoreMs: 100 }), relay, { isRaw: true });
  const publicAddress = untilOpen(net, b);
  strictEqual(publicAddress.host, relay.address.host);
  const a = new PlainPeer(net.host("a", { rttToCoreMs: 55 }));
  const start = net.now;
  a.send(publicAddress, bytes("ping"));
  b.onEvent = (event) => {
    if (event.type !== "raw") return;
    b.tunnel.send({ ...event.datagram, payload: bytes("pong") }, net.now);
  };
  net.run({ until: start + 500 });
  deepStrictEqual(b.received.map(({ remote, payload }) => [remote, text(payload)]), [[a.base.local, "ping"]]);
  deepStrictEqual(a.received.map(({ at, remote, payload }) => [at - start, remote, text(payload)]), [
    [155, publicAddress, "pong"],
  ]);
  ok(relay.relay.sizes.ports === 1);
});

Deno.test("Relay's port is there after two round trips: its SETTINGS come before the client's Finished (RFC 9001 §5.7)", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const start = net.now;
  untilOpen(net, new TunnelPeer(net.host("b", { behind: net.nat(), rttToCoreMs: 100 }), relay));
  strictEqual(net.now - start, 200);
});

Deno.test("Relay carries a QUIC connection: handshake, then 1 MiB each way at once (RFC 9298 §5)", () => {
  const net = new VirtualNetwork({ seed: 2 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const b = new TunnelPeer(
    net.host("b", { behind: net.nat({ mapping: "EIM", filtering: "APDF" }), rttToCoreMs: 80 }),
    relay,
  );
  const publicAddress = untilOpen(net, b);
  const a = new QuicPeer(net.host("a", { behind: net.nat({ mapping: "APDM", filtering: "APDF" }), rttToCoreMs: 75 }));
  const start = net.now;
  const transfers = transferBothWays(a, b, 1024 * 1024);
  a.connect(publicAddress, "b");
  net.run({
    until: start + 60_000,
    stopWhen: () => transfers.length === 2 && transfers.every(({ endAt }) => endAt !== undefined),
  });
  // One round trip through the relay.
  strictEqual(a.timeOf("handshakeComplete")! - start, 155);
  strictEqual(transfers[1]!.firstAt! - start, 155 + 77.5);
  strictEqual(transfers[0]!.firstAt! - start, 155 + 155);
  deepStrictEqual(transfers.map(({ receivedBytes, wrongAt }) => [receivedBytes, wrongAt]), [
    [1024 * 1024, undefined],
    [1024 * 1024, undefined],
  ]);
  // Slow start from 10 datagrams: seven round trips of sending, and what the acknowledgements take.
  for (const { endAt } of transfers) ok(endAt! - start < 9 * 155);
  strictEqual(b.tunnel.contextCount, 2);
  // Nothing is lost but probes for larger datagrams, which are to fail (RFC 8899 §3).
  for (const drops of [b.tunnel.drops, relay.relay.drops]) {
    deepStrictEqual([...drops.keys()].filter((reason) => reason !== "too large"), []);
  }
});

Deno.test("Relay keeps a port for its key ten minutes, and gives it back", () => {
  const net = new VirtualNetwork({ seed: 3 });
  const relay = startRelay(net.host("relay"));
  const host = net.host("b", { behind: net.nat(), rttToCoreMs: 20 });
  const first = new TunnelPeer(host, relay, { key: "b" });
  const publicAddress = untilOpen(net, first);
  const a = new PlainPeer(net.host("a", { rttToCoreMs: 20 }));
  // The process ends without a word; another one begins after its connection has timed out.
  host.stop();
  net.run({ until: net.now + 60_000 });
  deepStrictEqual(relay.relay.sizes, { connections: 0, ports: 1, keptPorts: 1 });
  a.send(publicAddress, bytes("nobody is there"));
  net.run({ until: net.now + 1000 });
  strictEqual(relay.relay.counters.get("dropped_kept"), 1);
  const second = new TunnelPeer(host, relay, { key: "b", isRaw: true });
  strictEqual(untilOpen(net, second), publicAddress);
  a.send(publicAddress, bytes("somebody is"));
  net.run({ until: net.now + 1000 });
  deepStrictEqual(second.received.map(({ payload }) => text(payload)), ["somebody is"]);
  deepStrictEqual(relay.relay.sizes, { connections: 1, ports: 1, keptPorts: 0 });
  // Ended in order this time, and not come back for.
  second.tunnel.close();
  second.driver.drain();
  const closedAt = net.now;
  net.run({ until: closedAt + DEFAULT_RELAY_LIMITS.keepMs });
  strictEqual(relay.relay.sizes.ports, 1);
  net.run({ until: closedAt + DEFAULT_RELAY_LIMITS.keepMs + 20 });
  strictEqual(relay.relay.sizes.ports, 0);
  const third = new TunnelPeer(net.host("b2", { rttToCoreMs: 20 }), relay, { key: "b" });
  ok(untilOpen(net, third) !== publicAddress);
  deepStrictEqual([relay.relay.counters.get("opened"), relay.relay.counters.get("resumed")], [2, 1]);
});

Deno.test("Relay lets a key that comes again take over its port at once", () => {
  const net = new VirtualNetwork({ seed: 4 });
  const relay = startRelay(net.host("relay"));
  const first = new TunnelPeer(net.host("b1"), relay, { key: "b", isRaw: true });
  const publicAddress = untilOpen(net, first);
  const second = new TunnelPeer(net.host("b2"), relay, { key: "b", isRaw: true });
  strictEqual(untilOpen(net, second), publicAddress);
  new PlainPeer(net.host("a")).send(publicAddress, bytes("x"));
  net.run({ until: net.now + 1000 });
  deepStrictEqual([first.received.length, second.received.length, relay.relay.sizes.ports], [0, 1, 1]);
  deepStrictEqual(first.closed, {
    type: "closed",
    reason: "another tunnel with our key has taken the port over",
    isReplaced: true,
  });
  strictEqual(second.closed, undefined);
  // The end of the old connection is not the end of the port.
  first.http3.close(net.now);
  first.driver.drain();
  net.run({ until: net.now + 1000 });
  deepStrictEqual(relay.relay.sizes, { connections: 1, ports: 1, keptPorts: 0 });
});

Deno.test("Relay keeps nothing for who proves no key", () => {
  const net = new VirtualNetwork({ seed: 5 });
  const relay = startRelay(net.host("relay"));
  const b = new TunnelPeer(net.host("b"), relay);
  untilOpen(net, b);
  b.tunnel.close();
  b.driver.drain();
  net.run({ until: net.now + 1000 });
  deepStrictEqual(relay.relay.sizes, { connections: 1, ports: 0, keptPorts: 0 });
  deepStrictEqual(relay.events.map(({ event }) => event.type), ["portOpened", "portClosed"]);
});

Deno.test("Relay gives one address so many ports, and one key one", () => {
  const net = new VirtualNetwork({ seed: 6 });
  const relay = startRelay(net.host("relay"));
  const nat = net.nat();
  const peers = Array.from({ length: DEFAULT_RELAY_LIMITS.portsPerAddress + 1 }, (_, i) => {
    const peer = new TunnelPeer(net.host(`b${i}`, { behind: nat }), relay, { key: `b${i}` });
    net.run({ until: net.now + 500 });
    return peer;
  });
  deepStrictEqual(peers.map((peer) => peer.closed?.status), [...Array(8).fill(undefined), 429]);
  deepStrictEqual([relay.relay.sizes.ports, relay.relay.counters.get("refused_limit")], [8, 1]);
  // The same network from elsewhere.
  untilOpen(net, new TunnelPeer(net.host("c"), relay));
  strictEqual(relay.relay.sizes.ports, 9);
});

Deno.test("Relay serves those with a token of the hub, or the shared one", () => {
  const net = new VirtualNetwork({ seed: 7 });
  const secret = new Uint8Array(32).fill(7);
  const host = net.host("relay");
  const relay = startRelay(host, { access: { secret, token: "shared", isOpen: false } });
  const key = testKey("b").publicKey.bytes;
  const issued = issueRelayToken(secret, key, host.epochMs);
  const foreign = issueRelayToken(secret.with(0, 8), key, host.epochMs);
  const statusOf = (name: string, token?: string): number | undefined => {
    const peer = new TunnelPeer(net.host(name), relay, token === undefined ? {} : { token });
    net.run({ until: net.now + 1000 });
    return peer.closed?.status;
  };
  deepStrictEqual([
    statusOf("nothing"),
    statusOf("wrong", "guess"),
    statusOf("foreign", foreign),
    statusOf("shared", "shared"),
    statusOf("issued", issued),
  ], [401, 401, 401, undefined, undefined]);
  net.run({ until: RELAY_TOKEN_LIFETIME_MS });
  strictEqual(statusOf("just", issued), undefined);
  net.run({ until: RELAY_TOKEN_LIFETIME_MS + 1001 });
  strictEqual(statusOf("late", issued), 401);
  strictEqual(relay.relay.counters.get("refused_access"), 4);
});

Deno.test("Relay lets 20 Mb/s through a port, and no more", () => {
  const net = new VirtualNetwork({ seed: 8 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const b = new TunnelPeer(net.host("b"), relay, { isRaw: true });
  const publicAddress = untilOpen(net, b);
  const a = new PlainPeer(net.host("a"));
  const payload = new Uint8Array(1000);
  const start = net.now;
  // Twice the rate for two seconds: 5000 datagrams a second.
  for (let i = 0; i < 10_000; i++) net.at(start + i / 5, () => a.send(publicAddress, payload));
  net.run({ until: start + 3000 });
  // Two seconds at 2500 datagrams a second, and a burst of a quarter of a second.
  const admitted = 10_000 - (relay.relay.drops.get("quota") ?? 0);
  ok(Math.abs(admitted - (2 * 2500 + 625)) <= 2, `${admitted}`);
});

Deno.test("Relay counts a key's day, over a new tunnel too", () => {
  const net = new VirtualNetwork({ seed: 9 });
  const limits = { ...DEFAULT_RELAY_LIMITS, bytesPerDay: 5000 };
  const relay = startRelay(net.host("relay"), { limits });
  const a = new PlainPeer(net.host("a"));
  const host = net.host("b");
  const sendTen = (b: TunnelPeer): number => {
    const publicAddress = untilOpen(net, b);
    for (let i = 0; i < 10; i++) a.send(publicAddress, new Uint8Array(700));
    net.run({ until: net.now + 1000 });
    return b.received.length;
  };
  strictEqual(sendTen(new TunnelPeer(host, relay, { key: "b", isRaw: true })), 7);
  host.stop();
  // The port has been given up since.
  net.run({ until: net.now + 2 * DEFAULT_RELAY_LIMITS.keepMs });
  strictEqual(relay.relay.sizes.ports, 0);
  strictEqual(sendTen(new TunnelPeer(host, relay, { key: "b", isRaw: true })), 0);
});

Deno.test("Relay hands on 64 strangers a minute, and whoever the client has sent to", () => {
  const net = new VirtualNetwork({ seed: 10 });
  const relay = startRelay(net.host("relay"));
  const b = new TunnelPeer(net.host("b"), relay, { isRaw: true });
  const publicAddress = untilOpen(net, b);
  const friend = new PlainPeer(net.host("friend"));
  b.tunnel.send({ base: b.base, remote: friend.base.local, payload: bytes("hello") }, net.now);
  b.driver.drain();
  net.run({ until: net.now + 100 });
  const flood = net.host("flood");
  const sources = Array.from({ length: 100 }, () => flood.bind(flood.address(0)));
  const sendAll = (): void => {
    for (const base of sources) flood.send({ base, remote: publicAddress, payload: bytes("x") });
    friend.send(publicAddress, bytes("friend"));
    net.run({ until: net.now + 100 });
  };
  sendAll();
  strictEqual(b.received.length, 65);
  strictEqual(relay.relay.drops.get("source"), 36);
  // Who was let in once is known; the others come in as the minute passes.
  sendAll();
  strictEqual(b.received.length, 65 + 65);
  net.run({ until: net.now + 60_000 });
  sendAll();
  strictEqual(b.received.length, 65 + 65 + 101);
});

Deno.test("Relay sends nowhere on loopback, to links, groups, services, private networks or itself (RFC 9298 §7)", () => {
  const net = new VirtualNetwork({ seed: 11 });
  const relay = startRelay(net.host("relay"));
  const b = new TunnelPeer(net.host("b"), relay, { isRaw: true });
  const publicAddress = untilOpen(net, b);
  const targets: readonly Address[] = [
    addressOf("127.0.0.1", 5000),
    addressOf("169.254.1.1", 5000),
    addressOf("224.0.0.251", 5000),
    addressOf("255.255.255.255", 5000),
    addressOf("0.0.0.0", 5000),
    addressOf("10.0.0.1", 5000),
    addressOf("192.168.1.1", 5000),
    addressOf("203.0.113.99", 53),
    addressOf("2001:db8::1", 5000),
    relay.address,
    relay.host.address(8080),
    publicAddress,
  ];
  for (const remote of targets) b.tunnel.send({ base: b.base, remote, payload: bytes("x") }, net.now);
  b.driver.drain();
  net.run({ until: net.now + 1000 });
  strictEqual(relay.relay.drops.get("target"), targets.length);
  strictEqual(relay.relay.counters.get("datagrams_out") ?? 0, 0);
});

Deno.test("Relay carries between two ports of its own", () => {
  const net = new VirtualNetwork({ seed: 12 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const [a, b] = ["a", "b"].map((name) =>
    new TunnelPeer(net.host(name, { behind: net.nat(), rttToCoreMs: 50 }), relay, { isRaw: true })
  );
  const [fromA, toB] = [untilOpen(net, a!), untilOpen(net, b!)];
  const start = net.now;
  a!.tunnel.send({ base: a!.base, remote: toB, payload: bytes("through both") }, net.now);
  a!.driver.drain();
  net.run({ until: start + 1000 });
  deepStrictEqual(b!.received.map(({ remote, payload }) => [remote, text(payload)]), [[fromA, "through both"]]);
});

Deno.test("Relay follows a tunnel whose NAT has forgotten it (RFC 9000 §9)", () => {
  const net = new VirtualNetwork({ seed: 13 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const nat = net.nat({ mapping: "EIM", filtering: "APDF" });
  const b = new TunnelPeer(net.host("b", { behind: nat, rttToCoreMs: 50 }), relay, { isRaw: true });
  const publicAddress = untilOpen(net, b);
  const a = new PlainPeer(net.host("a"));
  net.run({ until: net.now + 1000 });
  nat.rebind();
  // What keeps the mapping alive makes the new one, and the relay follows.
  net.run({ until: net.now + 12_000 });
  a.send(publicAddress, bytes("still there"));
  net.run({ until: net.now + 1000 });
  deepStrictEqual(b.received.map(({ payload }) => text(payload)), ["still there"]);
  strictEqual(b.publicAddress, publicAddress);
  strictEqual(b.closed, undefined);
});

Deno.test("Relay that dies is noticed by its silence", () => {
  const net = new VirtualNetwork({ seed: 14 });
  const host = net.host("relay", { rttToCoreMs: 0 });
  const relay = startRelay(host);
  const b = new TunnelPeer(net.host("b", { rttToCoreMs: 50 }), relay, { isRaw: true });
  untilOpen(net, b);
  host.hasPower = false;
  const diedAt = net.now;
  net.run({ until: diedAt + 120_000, stopWhen: () => b.closed !== undefined });
  ok(b.closed !== undefined);
  // Its keep-alive goes unanswered for as long as the idle timeout says.
  ok(net.now - diedAt <= 10_000 + 30_000 + 1000, `${net.now - diedAt}`);
});

Deno.test("Relay tells a tunnel where its packets come from (draft-ietf-quic-address-discovery-00)", () => {
  const net = new VirtualNetwork({ seed: 15 });
  const relay = startRelay(net.host("relay"));
  const nat = net.nat();
  const b = new TunnelPeer(net.host("b", { behind: nat }), relay, { isRaw: true });
  untilOpen(net, b);
  net.run({ until: net.now + 1000 });
  deepStrictEqual(b.observed.map(({ host }) => host), [nat.address]);
});

Deno.test("Relay closes a connection that has had no port for a while, and takes so many of one address", () => {
  const net = new VirtualNetwork({ seed: 16 });
  const relay = startRelay(net.host("relay"), { access: { token: "secret", isOpen: false } });
  const nat = net.nat();
  const count = MAX_CONNECTIONS_PER_ADDRESS + 3;
  const refused = Array.from(
    { length: count },
    (_, i) => new TunnelPeer(net.host(`b${i}`, { behind: nat }), relay, { outer: { keepAliveMs: 1000 } }),
  );
  const user = new TunnelPeer(net.host("c"), relay, { token: "secret" });
  untilOpen(net, user);
  net.run({ until: net.now + 1000 });
  strictEqual(refused.filter(({ closed }) => closed?.status === 401).length, MAX_CONNECTIONS_PER_ADDRESS);
  strictEqual(relay.relay.counters.get("refused_connections"), 3);
  strictEqual(relay.relay.sizes.connections, MAX_CONNECTIONS_PER_ADDRESS + 1);
  net.run({ until: net.now + UNUSED_CONNECTION_MS });
  strictEqual(relay.relay.counters.get("closed_unused"), MAX_CONNECTIONS_PER_ADDRESS);
  deepStrictEqual(relay.relay.sizes, { connections: 1, ports: 1, keptPorts: 0 });
  // A tunnel that has ended does not hold its connection either.
  user.tunnel.close();
  user.driver.drain();
  net.run({ until: net.now + UNUSED_CONNECTION_MS + 1000 });
  strictEqual(relay.relay.sizes.connections, 0);
});

Deno.test("Relay carries a QUIC connection over links that lose, double and reorder, both ways", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const net = new VirtualNetwork({ seed });
    const weather = { lossRate: 0.02, duplicateRate: 0.02, reorderRate: 0.05, reorderMs: 8 };
    const link = { rttToCoreMs: 30, up: weather, down: weather };
    const relay = startRelay(net.host("relay", { rttToCoreMs: 5 }));
    const b = new TunnelPeer(net.host("b", { behind: net.nat(), ...link }), relay);
    const publicAddress = untilOpen(net, b);
    const a = new QuicPeer(net.host("a", { behind: net.nat(), ...link }));
    const transfers = transferBothWays(a, b, 200_000);
    a.connect(publicAddress, "b");
    const isDone = (): boolean => transfers.length === 2 && transfers.every(({ endAt }) => endAt !== undefined);
    net.run({ until: net.now + 120_000, stopWhen: isDone });
    deepStrictEqual(
      transfers.map(({ receivedBytes, wrongAt }) => [receivedBytes, wrongAt]),
      [[200_000, undefined], [200_000, undefined]],
      `seed ${seed}`,
    );
  }
});

Deno.test("Relay and tunnel find out at once that a path is too narrow for what they carry (RFC 9298 §6.2)", () => {
  const net = new VirtualNetwork({ seed: 17 });
  const relay = startRelay(net.host("relay"));
  // 1280 bytes of UDP payload are 1308 of IPv4.
  const wide = new TunnelPeer(net.host("wide", { down: { mtuBytes: 1308 }, up: { mtuBytes: 1308 } }), relay);
  untilOpen(net, wide);
  const narrow = new TunnelPeer(net.host("narrow", { down: { mtuBytes: 1300 }, up: { mtuBytes: 1300 } }), relay);
  net.run({ until: net.now + 60_000 });
  strictEqual(narrow.publicAddress, undefined);
  ok(narrow.closed !== undefined);
  strictEqual(relay.relay.sizes.connections, 1);
});

Deno.test("Relay has room for many tunnels, and nothing left of them when they have gone", () => {
  const net = new VirtualNetwork({ seed: 18 });
  const relay = startRelay(net.host("relay"));
  const peers = Array.from({ length: 60 }, (_, i) => new TunnelPeer(net.host(`b${i}`), relay, { isRaw: true }));
  net.run({ until: net.now + 2000 });
  strictEqual(new Set(peers.map(({ publicAddress }) => publicAddress)).size, 60);
  strictEqual(relay.relay.sizes.ports, 60);
  // Each to the next one's port, around.
  for (const [i, peer] of peers.entries()) {
    peer.tunnel.send({ base: peer.base, remote: peers[(i + 1) % 60]!.publicAddress!, payload: bytes(`${i}`) }, net.now);
    peer.driver.drain();
  }
  net.run({ until: net.now + 2000 });
  deepStrictEqual(
    peers.map(({ received }) => received.map(({ payload }) => text(payload))),
    peers.map((_, i) => [`${(i + 59) % 60}`]),
  );
  for (const peer of peers) {
    peer.http3.close(net.now);
    peer.driver.drain();
  }
  net.run({ until: net.now + 10_000 });
  deepStrictEqual(relay.relay.sizes, { connections: 0, ports: 0, keptPorts: 0 });
  strictEqual(relay.relay.pollTimeout(), undefined);
});

Deno.test("Relay lets tunnels take turns: one that floods holds up nobody", () => {
  const net = new VirtualNetwork({ seed: 19 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }), {
    limits: { ...DEFAULT_RELAY_LIMITS, bytesPerSecond: 2 ** 40 },
  });
  const [loud, quiet] = ["loud", "quiet"].map((name) =>
    new TunnelPeer(net.host(name, { rttToCoreMs: 20 }), relay, { isRaw: true })
  );
  untilOpen(net, loud!);
  untilOpen(net, quiet!);
  const a = new PlainPeer(net.host("a", { rttToCoreMs: 0 }));
  const send = (peer: TunnelPeer, payload: Uint8Array): void => {
    peer.tunnel.send({ base: peer.base, remote: a.base.local, payload }, net.now);
    peer.driver.drain();
  };
  for (let i = 0; i < 30; i++) send(loud!, new Uint8Array(300));
  send(quiet!, bytes("quiet"));
  net.run({ until: net.now + 1000 });
  strictEqual(a.received.length, 31);
  // All come to the relay at one instant, the loud one's first; the quiet one's is sent second.
  strictEqual(a.received.findIndex(({ payload }) => payload.length === 5), 1);
});
