import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../../protocols/core/address.ts";
import type { Address } from "../../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../../protocols/core/bytes.ts";
import { TRANSPORT_ERROR } from "../../../../protocols/quic/errors.ts";
import { Extensions, TRAVERSAL_CONNECTION_IDS } from "../../../../protocols/quic/extensions.ts";
import { DirectPath, RELAY } from "../../../support/quic_direct_path.ts";
import { CLIENT_ADDRESS, SERVER_ADDRESS } from "../../../support/quic_pair.ts";
import type { Hop } from "../../../support/quic_pair.ts";
import { RawPeer, withoutConnectionIds } from "../../../support/raw_peer.ts";

// Probes of strangers, copies of probes from elsewhere, connection IDs that run out, and transport parameters that make no
// sense, on live connections: RFC 9000 §5.1, §8.2, §9, §19.15, §19.16; draft-seemann-quic-nat-traversal-02 §4.

const ATTACKER = addressOf("203.0.113.66", 6666);

/** Both ends, through the relay and past it, and what each sends to the attacker. */
function watched(options: ConstructorParameters<typeof DirectPath>[0] = {}): {
  path: DirectPath;
  toAttacker: { client: number; server: number };
} {
  const path = new DirectPath({ transport: { keepAliveMs: 10_000 }, ...options });
  const toAttacker = { client: 0, server: 0 };
  path.filter = (from, bytes, { to }) => {
    if (to === ATTACKER) toAttacker[from === path.pair.client ? "client" : "server"] += bytes.length;
    return to !== ATTACKER;
  };
  return { path, toAttacker };
}

Deno.test("NAT traversal: bytes of strangers, on both sides, while paths are looked for and after, change nothing", () => {
  const { path, toAttacker } = watched();
  const { pair } = path;
  pair.admits = () => true;
  let injectedBytes = 0;
  const junk = (): void => {
    for (const to of [CLIENT_ADDRESS, SERVER_ADDRESS, RELAY]) {
      for (let length = 1; length <= 1200; length = length * 3 + 1) {
        const bytes = pair.random.fill(new Uint8Array(length));
        // Of a short header, and of a long one of version 1.
        bytes[0] = length % 2 === 0 ? 0x40 | (bytes[0]! & 0x1f) : 0xc0 | (bytes[0]! & 0x3f);
        if (length > 5 && length % 2 === 1) bytes.set([0, 0, 0, 1], 1);
        pair.inject(bytes, ATTACKER, to);
        injectedBytes += length;
      }
    }
  };
  path.moveWhenFound();
  const { client, server } = path.connected();
  for (let at = 0; at < 2000; at += 25) {
    junk();
    pair.runTo(at);
  }
  deepStrictEqual([client.path.remote, server.path.base, server.path.remote], [
    SERVER_ADDRESS,
    pair.server.base,
    CLIENT_ADDRESS,
  ]);
  deepStrictEqual([client.state, server.state], ["confirmed", "confirmed"]);
  // Stateless resets and Version Negotiation, each shorter than what it answers (RFC 9000 §10.3.3).
  ok(toAttacker.client + toAttacker.server < injectedBytes / 10, JSON.stringify({ ...toAttacker, injectedBytes }));
});

/** Copies every datagram that passes by the relay to where it goes, from the attacker, so that the copy is there first. */
function copyAll(path: DirectPath, of: "client" | "server", keep: boolean): { copies: number } {
  const { pair } = path;
  const count = { copies: 0 };
  const { filter } = path;
  path.filter = (from, bytes, hop) => {
    if (from === pair[of] && hop.to !== RELAY && hop.from !== RELAY && hop.to !== ATTACKER) {
      count.copies++;
      const { to } = hop;
      pair.inject(bytes, ATTACKER, to);
      if (!keep) return false;
    }
    return filter(from, bytes, hop);
  };
  // The copy takes 10 ms, the original 20.
  pair.admits = () => true;
  return count;
}

for (const prober of ["client", "server"] as const) {
  Deno.test(`NAT traversal: probes of the ${prober} that somebody copies from elsewhere move nobody there (RFC 9000 §9.3.3)`, () => {
    const { path, toAttacker } = watched();
    const { pair } = path;
    path.moveWhenFound();
    const count = copyAll(path, prober, true);
    const { client, server } = path.connected();
    pair.runTo(30_000);
    ok(count.copies > 0);
    deepStrictEqual([client.state, server.state], ["confirmed", "confirmed"]);
    // Neither end has the attacker for its peer, and neither has told it more than probes.
    ok(client.path.remote !== ATTACKER && server.path.remote !== ATTACKER);
    ok(toAttacker.client + toAttacker.server <= 40 * 1200, JSON.stringify(toAttacker));
    for (const { event } of pair.client.events) ok(event.type !== "pathFound" || event.remote !== ATTACKER);
  });
}

Deno.test("NAT traversal: probes replayed later, from their own address and from another, are duplicates and nothing more", () => {
  const { path, toAttacker } = watched();
  const { pair } = path;
  const recorded: { bytes: Uint8Array; from: Address; to: Address }[] = [];
  const { admits } = pair;
  pair.admits = (hop, bytes) => {
    const isAdmitted = admits(hop, bytes);
    if (isAdmitted && hop.to !== RELAY && hop.from !== RELAY) recorded.push({ bytes: bytes.slice(), ...hop });
    return isAdmitted;
  };
  path.moveWhenFound();
  const { client, server } = path.connected();
  pair.runTo(5500);
  const probes = recorded.splice(0, 200);
  ok(probes.length > 4);
  pair.admits = () => true;
  const before = [client.stats.receivedPackets, server.stats.receivedPackets];
  const sentBefore = { ...pair.sent };
  for (const { bytes, from, to } of probes) {
    pair.inject(bytes, from, to);
    pair.inject(bytes, ATTACKER, to);
  }
  pair.runTo(5600);
  deepStrictEqual([client.stats.receivedPackets, server.stats.receivedPackets], before);
  deepStrictEqual([pair.sent, toAttacker], [sentBefore, { client: 0, server: 0 }]);
  const drops = (pair.client.endpoint.drops.get("duplicate packet") ?? 0) +
    (pair.server.endpoint.drops.get("duplicate packet") ?? 0);
  ok(drops > 0);
  deepStrictEqual([client.path.remote, server.path.remote], [SERVER_ADDRESS, CLIENT_ADDRESS]);
});

Deno.test("NAT traversal: answers to challenges that nobody sent prove nothing (RFC 9000 §8.2.3)", () => {
  for (const by of ["client", "server"] as const) {
    const { path } = watched({ keyLog: true });
    const { pair } = path;
    const { filter } = path;
    // Nothing gets past the relay.
    path.filter = (from, bytes, hop) => (hop.from === RELAY || hop.to === RELAY) && filter(from, bytes, hop);
    const raw = new RawPeer(pair, by);
    path.connected();
    pair.runTo(1000);
    for (let i = 0; i < 100; i++) raw.say(`1b ${i.toString(16).padStart(16, "0")}`);
    // Nor do those that were sent, where they come back by another way: they show that way, and this one is the relay's.
    const theirs = by === "client" ? "server" : "client";
    const challenges = raw.sent[theirs].flatMap(({ frames }) =>
      frames.flatMap((frame) => frame.type === "PATH_CHALLENGE" ? [toHex(frame.data)] : [])
    );
    ok(challenges.length > 0);
    for (const data of challenges) raw.say(`1b ${data}`);
    pair.runTo(30_000);
    strictEqual(pair[theirs].connections[0]?.state, "confirmed");
    ok(pair.client.events.every(({ event }) => event.type !== "pathFound" && event.type !== "pathChanged"), by);
  }
});

for (const by of ["client", "server"] as const) {
  const other = by === "client" ? "server" : "client";

  Deno.test(`NAT traversal: with a ${by} that issues no connection IDs nothing is probed, and all else goes on`, () => {
    const { path } = watched({ keyLog: true });
    const { pair } = path;
    const raw = new RawPeer(pair, by);
    raw.alter = withoutConnectionIds;
    path.moveWhenFound();
    path.connected();
    pair.runTo(60_000);
    const ours = pair[other].connections[0]!;
    strictEqual(ours.state, "confirmed");
    strictEqual(ours.traversalCounts?.probesSent, 0);
    deepStrictEqual(path.direct.filter(({ from }) => from === other), []);
    strictEqual(pair.client.connections[0]?.path.remote, RELAY);
  });

  Deno.test(`NAT traversal: a ${by} that retires every connection ID it gets is given others, never more than it may have`, () => {
    const { path } = watched({ keyLog: true });
    const { pair } = path;
    const raw = new RawPeer(pair, by);
    path.connected();
    pair.runTo(1000);
    // What is under the frames knows nothing of its retirements, and would think it is given too many.
    raw.hear = withoutConnectionIds;
    const hop = ({ from, to }: Hop): boolean => from === RELAY || to === RELAY;
    // Number 0 is that of the relayed path, which says this.
    for (let sequenceNumber = 1; sequenceNumber < 60; sequenceNumber++) {
      raw.say(`19 ${sequenceNumber.toString(16).padStart(2, "0")}`, { hop });
    }
    deepStrictEqual([pair[other].connections[0]?.state, raw.connection.state], ["confirmed", "confirmed"]);
    const issued = new Set<number>();
    for (const { frames } of raw.sent[other]) {
      for (const frame of frames) if (frame.type === "NEW_CONNECTION_ID") issued.add(frame.sequenceNumber);
    }
    // One for each that was retired: 0 and the fifteen that are not make sixteen.
    deepStrictEqual([...issued].sort((a, b) => a - b), Array.from({ length: 59 + 15 }, (_, i) => i + 1));
  });

  Deno.test(`NAT traversal: a ${by} that retires the connection ID of its own packet, or one never issued, ends the connection`, () => {
    for (const frame of ["19 00", "19 7fff"]) {
      const { path } = watched({ keyLog: true });
      const raw = new RawPeer(path.pair, by);
      path.connected();
      path.pair.runTo(1000);
      raw.say(frame);
      strictEqual(raw.closeCode, TRANSPORT_ERROR.PROTOCOL_VIOLATION, frame);
    }
  });

  Deno.test(`NAT traversal: a ${by} that issues more than ${TRAVERSAL_CONNECTION_IDS} connection IDs ends the connection (RFC 9000 §5.1.1)`, () => {
    const { path } = watched({ keyLog: true });
    const raw = new RawPeer(path.pair, by);
    path.connected();
    path.pair.runTo(1000);
    const idOf = (n: number): string =>
      `18 ${(0x4100 + n).toString(16)} 00 08 ${(0xabcd0000 + n).toString(16)}00000000 `;
    for (let n = 0; n < TRAVERSAL_CONNECTION_IDS + 1 && raw.closeCode === undefined; n++) {
      raw.say(idOf(n) + n.toString(16).padStart(32, "0"));
    }
    strictEqual(raw.closeCode, TRANSPORT_ERROR.CONNECTION_ID_LIMIT_ERROR);
  });

  Deno.test(`NAT traversal: a ${by} that takes all its connection IDs back but one is addressed by that, and given up when nobody answers`, () => {
    const { path } = watched({ keyLog: true });
    const { pair } = path;
    const raw = new RawPeer(pair, by);
    path.moveWhenFound();
    path.connected();
    pair.runTo(1000);
    const ours = pair[other].connections[0]!;
    // Retire Prior To leaves one, which nobody routes to the raw peer: what is addressed to it is lost, as the peer wishes.
    raw.say("18 4040 4040 08 0102030405060708 000102030405060708090a0b0c0d0e0f");
    pair.runTo(pair.now + 5000);
    ok(["confirmed", "closing", "draining", "drained"].includes(ours.state));
    ok(raw.closeCode === undefined);
    // Nobody answers there: it ends by itself, and leaves nothing behind.
    pair.runTo(pair.now + 200_000);
    strictEqual(ours.state, "drained");
    strictEqual(ours.closeReason?.by, "idle");
  });
}

// Transport parameters, as a raw peer declares them.

type Declared = Extensions["parameters"];

/** While `run` runs, one end declares something else than it would. */
function declaring(by: "client" | "server", declared: Declared, run: () => void): void {
  const original = Object.getOwnPropertyDescriptor(Extensions.prototype, "parameters");
  ok(original?.get !== undefined);
  const { get } = original;
  Object.defineProperty(Extensions.prototype, "parameters", {
    configurable: true,
    get(): Declared {
      const ours: Declared = get.call(this);
      // Only a client's is empty.
      const isClient = ours.natTraversal?.length === 0;
      return isClient === (by === "client") ? { ...ours, ...declared } : ours;
    },
  });
  try {
    run();
  } finally {
    Object.defineProperty(Extensions.prototype, "parameters", original);
  }
}

const PARAMETERS: readonly (readonly [
  what: string,
  by: "client" | "server",
  key: keyof Declared,
  value: string,
])[] = [
  ["of NAT traversal, with a limit", "client", "natTraversal", "08"],
  ["of NAT traversal, with a byte", "client", "natTraversal", "00"],
  ["of NAT traversal, of 200 bytes", "client", "natTraversal", "ff".repeat(200)],
  ["of NAT traversal, of limit 0", "server", "natTraversal", "00"],
  ["of NAT traversal, of limit 0 in eight bytes", "server", "natTraversal", "c000000000000000"],
  ["of NAT traversal, without limit", "server", "natTraversal", ""],
  ["of NAT traversal, half a varint", "server", "natTraversal", "40"],
  ["of NAT traversal, seven of eight bytes", "server", "natTraversal", "c0000000000001"],
  ["of NAT traversal, with a byte behind the limit", "server", "natTraversal", "0800"],
  ["of address discovery, of 3", "server", "addressDiscovery", "03"],
  ["of address discovery, of 3", "client", "addressDiscovery", "03"],
  ["of address discovery, empty", "server", "addressDiscovery", ""],
  ["of address discovery, half a varint", "client", "addressDiscovery", "80"],
  ["of address discovery, twice", "client", "addressDiscovery", "0202"],
];

for (const [what, by, key, value] of PARAMETERS) {
  const other = by === "client" ? "server" : "client";
  Deno.test(`NAT traversal: a ${by}'s transport parameter ${what}, closes with 0x8 (RFC 9000 §7.4)`, () => {
    declaring(by, { [key]: fromHex(value) }, () => {
      const { path } = watched({ transport: { addressDiscovery: "reports and wants" } });
      const { pair } = path;
      pair.connect({ remote: RELAY });
      pair.runTo(1000);
      const [theirs, ours] = [pair[by].connections[0], pair[other].connections[0]];
      deepStrictEqual([ours?.closeReason?.by, ours?.closeReason?.code], ["transport", 0x08]);
      // What came in on the wire, wherever in the handshake the raw peer was.
      deepStrictEqual([theirs?.closeReason?.by, theirs?.closeReason?.code], ["peer", 0x08]);
      deepStrictEqual(path.direct, []);
    });
  });
}

Deno.test("NAT traversal: frames in 0-RTT packets are nobody's: such packets are passed over, and nothing is remembered of them", () => {
  const { path } = watched({ keyLog: true });
  const { pair } = path;
  let zeroRtt: Uint8Array | undefined;
  pair.rewrite = (from, bytes) => {
    if (from === pair.client && (bytes[0]! & 0xf0) === 0xc0 && zeroRtt === undefined) {
      zeroRtt = bytes.slice();
      // A 0-RTT packet has no token; the length is what is left.
      const idBytes = 6 + bytes[5]! + 1 + bytes[6 + bytes[5]!]!;
      zeroRtt = new Uint8Array([...bytes.subarray(0, idBytes), 0x44, 0x00, ...new Uint8Array(1024)]);
      zeroRtt[0] = 0xd0;
    }
    return bytes;
  };
  path.connected();
  pair.inject(zeroRtt!, CLIENT_ADDRESS, RELAY);
  pair.runTo(1000);
  strictEqual(pair.server.endpoint.drops.get("0-RTT is not accepted"), 1);
  strictEqual(pair.server.connections[0]?.state, "confirmed");
});
