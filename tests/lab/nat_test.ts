/**
 * NATs of the virtual network, each behaviour of RFC 4787 by itself and in combination.
 *
 * @module
 */

import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import {
  type NatBehaviour,
  type NatFiltering,
  type NatMapping,
  type NatMappingView,
  type NatOptions,
  type PortAllocation,
  type VirtualNat,
  VirtualNetwork,
} from "../../lab/mod.ts";
import { type Address, addressOf } from "../../protocols/core/address.ts";
import { Probe } from "./probe.ts";

const MAPPINGS: readonly NatMapping[] = ["EIM", "ADM", "APDM"];
const FILTERINGS: readonly NatFiltering[] = ["EIF", "ADF", "APDF"];

interface Scene {
  readonly net: VirtualNetwork;
  readonly nat: VirtualNat;
  readonly client: Probe;
  readonly s1: Probe;
  readonly s2: Probe;
}

/** A client on 192.168.1.2:5000 behind 203.0.113.1, servers on 203.0.113.2 and 203.0.113.3, port 1111. */
function scene(behaviour: NatBehaviour, options: NatOptions = {}): Scene {
  const net = new VirtualNetwork({ seed: 1 });
  const nat = net.nat({ ...behaviour, ...options });
  const client = new Probe(net.host("client", { behind: nat }), 5000);
  const s1 = new Probe(net.host("s1"), 1111);
  const s2 = new Probe(net.host("s2"), 1111);
  return { net, nat, client, s1, s2 };
}

/** Sends and tells the source that arrived, or `undefined`. */
function seenFrom(
  net: VirtualNetwork,
  from: Probe,
  to: Probe,
  options: { to?: Address; port?: number } = {},
): Address | undefined {
  const { to: remote = to.base.local, ...rest } = options;
  to.take();
  from.send(remote, "x", rest);
  net.run();
  return to.received[0]?.remote;
}

function externalPorts(nat: VirtualNat): number[] {
  return nat.mappings().map((mapping: NatMappingView) => mapping.external.port);
}

Deno.test("VirtualNat maps by endpoint, whatever the filtering (RFC 4787 §4.1)", () => {
  // External ports seen at s1:1111, s1:2222, s2:1111, s2:2222.
  const expected: Record<NatMapping, readonly number[]> = {
    EIM: [40000, 40000, 40000, 40000],
    ADM: [40000, 40000, 40001, 40001],
    APDM: [40000, 40001, 40002, 40003],
  };
  for (const mapping of MAPPINGS) {
    for (const filtering of FILTERINGS) {
      const { net, client, s1, s2 } = scene({ mapping, filtering, allocation: "sequential" });
      const ports: (number | undefined)[] = [];
      for (const server of [s1, s2]) {
        for (const port of [1111, 2222]) {
          server.open(port);
          ports.push(seenFrom(net, client, server, { to: addressOf(server.base.local.host, port) })?.port);
        }
      }
      deepStrictEqual(ports, expected[mapping], `${mapping} ${filtering}`);
    }
  }
});

Deno.test("VirtualNat filters by endpoint, whatever the mapping (RFC 4787 §5)", () => {
  // The client has sent to s1:1111. Who gets in: s1:1111, s1:2222, s2:1111.
  const expected: Record<NatFiltering, readonly boolean[]> = {
    EIF: [true, true, true],
    ADF: [true, true, false],
    APDF: [true, false, false],
  };
  for (const mapping of MAPPINGS) {
    for (const filtering of FILTERINGS) {
      const { net, client, s1, s2 } = scene({ mapping, filtering });
      const external = seenFrom(net, client, s1);
      strictEqual(external, addressOf("203.0.113.1", 5000));
      const passed = [
        seenFrom(net, s1, client, { to: external }),
        seenFrom(net, s1, client, { to: external, port: 2222 }),
        seenFrom(net, s2, client, { to: external }),
      ].map((remote) => remote !== undefined);
      deepStrictEqual(passed, expected[filtering], `${mapping} ${filtering}`);
      strictEqual(net.trace.drops.get("filtered") ?? 0, passed.filter((answer) => !answer).length);
    }
  }
});

Deno.test("VirtualNat drops what comes in unasked and makes no mapping of it (RFC 4787 §5)", () => {
  for (const filtering of FILTERINGS) {
    const { net, nat, client, s1 } = scene({ filtering });
    strictEqual(seenFrom(net, s1, client, { to: addressOf("203.0.113.1", 5000) }), undefined);
    deepStrictEqual([...net.trace.drops], [["no mapping", 1]]);
    deepStrictEqual(nat.mappings(), []);
  }
});

Deno.test("VirtualNat allocates ports (RFC 4787 §4.2)", () => {
  const ports = (allocation: PortAllocation): number[] => {
    const net = new VirtualNetwork({ seed: 7 });
    const nat = net.nat({ allocation });
    const server = addressOf(net.unusedAddress(), 9);
    const first = new Probe(net.host("first", { behind: nat }), 5000);
    const second = new Probe(net.host("second", { behind: nat }), 5000);
    first.send(server, "x");
    second.send(server, "x");
    first.send(server, "x", { port: 5001 });
    net.run();
    return externalPorts(nat);
  };
  // The second host's port 5000 collides, and takes 5001 before the first host asks for it.
  deepStrictEqual(ports("preserve"), [5000, 5001, 5002]);
  deepStrictEqual(ports("sequential"), [40000, 40001, 40002]);
  const random = ports("random");
  strictEqual(new Set(random).size, 3);
  notStrictEqual(random[0]! + 1, random[2]);
  deepStrictEqual(random, ports("random"), "one seed, one sequence");
  const contiguous = ports("contiguous");
  strictEqual(contiguous[2], contiguous[0]! + 1, "5000 and 5001 of one host are neighbours outside, too");
});

Deno.test("VirtualNat ends a mapping at exactly its timeout, refreshed by outbound packets (RFC 4787 §4.3)", () => {
  const cases = [
    { refresh: "outbound", inboundAt: 20_000, sendAt: 29_999.5, passes: true },
    { refresh: "outbound", inboundAt: 20_000, sendAt: 30_000, passes: false },
    { refresh: "both", inboundAt: 20_000, sendAt: 49_999.5, passes: true },
    { refresh: "both", inboundAt: 20_000, sendAt: 50_000, passes: false },
  ] as const;
  for (const { refresh, inboundAt, sendAt, passes } of cases) {
    const { net, client, s1 } = scene({ timeoutMs: 30_000, refresh });
    const external = seenFrom(net, client, s1)!;
    net.run({ until: inboundAt });
    strictEqual(seenFrom(net, s1, client, { to: external }), s1.base.local);
    net.run({ until: sendAt });
    strictEqual(seenFrom(net, s1, client, { to: external }) !== undefined, passes, `${refresh} ${sendAt}`);
  }
});

Deno.test("VirtualNat keeps each permission of a filter as long as it is refreshed itself (RFC 4787 §5)", () => {
  const { net, client, s1, s2 } = scene({ filtering: "ADF", timeoutMs: 30_000 });
  const external = seenFrom(net, client, s1)!;
  net.run({ until: 20_000 });
  seenFrom(net, client, s2);
  net.run({ until: 40_000 });
  strictEqual(seenFrom(net, s1, client, { to: external }), undefined, "not refreshed for 40 s");
  strictEqual(seenFrom(net, s2, client, { to: external }), s2.base.local, "refreshed 20 s ago");
  deepStrictEqual([...net.trace.drops], [["filtered", 1]]);
});

Deno.test("VirtualNat gives an expired port to the next who asks", () => {
  const { net, nat, client, s1 } = scene({ timeoutMs: 30_000 });
  const other = new Probe(net.host("other", { behind: nat }), 5000);
  seenFrom(net, client, s1);
  net.run({ until: 30_000 });
  strictEqual(seenFrom(net, other, s1), addressOf("203.0.113.1", 5000));
  strictEqual(seenFrom(net, client, s1), addressOf("203.0.113.1", 5001));
});

Deno.test("VirtualNat hairpins with the external source, or not at all (RFC 4787 §6, REQ-9)", () => {
  for (const hairpin of [true, false]) {
    const { net, nat, client, s1 } = scene({ hairpin, filtering: "APDF" });
    const other = new Probe(net.host("other", { behind: nat }), 6000);
    const clientExternal = seenFrom(net, client, s1)!;
    const otherExternal = seenFrom(net, other, s1)!;
    strictEqual(seenFrom(net, other, client, { to: clientExternal }), undefined, "the filter holds inside, too");
    strictEqual(
      seenFrom(net, client, other, { to: otherExternal }),
      hairpin ? clientExternal : undefined,
      "the other has opened its filter",
    );
    deepStrictEqual([...net.trace.drops], hairpin ? [["filtered", 1]] : [["hairpin", 2]]);
    strictEqual(seenFrom(net, client, other), client.base.local, "inside addresses need no NAT");
  }
});

Deno.test("VirtualNat loses its mappings at a rebinding, and maps to other ports and addresses from then on", () => {
  for (const allocation of ["preserve", "sequential", "random"] as const) {
    const { net, nat, client, s1 } = scene({ allocation });
    const before = seenFrom(net, client, s1)!;
    nat.rebind();
    strictEqual(seenFrom(net, s1, client, { to: before }), undefined);
    const after = seenFrom(net, client, s1)!;
    strictEqual(after.host, before.host);
    notStrictEqual(after.port, before.port, allocation);
    nat.rebind({ address: "203.0.113.99" });
    strictEqual(seenFrom(net, s1, client, { to: after }), undefined);
    const moved = seenFrom(net, client, s1)!;
    strictEqual(moved.host, "203.0.113.99");
    strictEqual(seenFrom(net, s1, client, { to: moved }), s1.base.local);
    deepStrictEqual([...net.trace.drops], [["no mapping", 1], ["no route", 1]]);
  }
});

Deno.test("VirtualNat behind a NAT translates twice, and the outer one hairpins for those behind inner ones", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const carrier = net.nat({ name: "carrier", inside: "100.64.0", filtering: "APDF", allocation: "sequential" });
  const homes = [1, 2].map((number) => net.nat({ name: `home${number}`, behind: carrier, inside: "192.168.1" }));
  const [a, b] = homes.map((home, index) => new Probe(net.host(`peer${index}`, { behind: home }), 5000));
  const server = new Probe(net.host("server"), 1111);
  strictEqual(a!.base.local, b!.base.local, "both homes number their hosts alike");
  const aExternal = seenFrom(net, a!, server)!;
  const bExternal = seenFrom(net, b!, server)!;
  deepStrictEqual([`${aExternal}`, `${bExternal}`], ["203.0.113.1:40000", "203.0.113.1:40001"]);
  deepStrictEqual(homes.map((home) => home.address), ["100.64.0.2", "100.64.0.3"]);
  strictEqual(seenFrom(net, a!, b!, { to: bExternal }), undefined);
  strictEqual(seenFrom(net, b!, a!, { to: aExternal }), bExternal);
});
