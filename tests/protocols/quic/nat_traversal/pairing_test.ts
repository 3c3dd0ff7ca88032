import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../../../protocols/core/address.ts";
import type { Base } from "../../../../protocols/core/machine.ts";
import { compareRanks, inferredType, rankOf, remoteFrom } from "../../../../protocols/quic/nat_traversal/pairing.ts";

const RULES = { allowLoopback: false };

function socket(local: string): Base {
  return { kind: "socket", local: parseAddress(local), maxPayloadBytes: 1472 };
}

const LAN = socket("192.168.1.2:4000");
Deno.test("Pairing sends from a base only to what a neighbour of that base could have (RFC 8445 §6.1.2.2, RFC 9000 §21.5.6)", () => {
  const rows: readonly (readonly [string, string, string | undefined])[] = [
    ["192.168.1.2:4000", "203.0.113.7:50000", "203.0.113.7:50000"],
    ["192.168.1.2:4000", "10.0.0.1:50000", "10.0.0.1:50000"],
    ["100.64.0.2:4000", "10.0.0.1:50000", "10.0.0.1:50000"],
    ["203.0.113.9:4000", "10.0.0.1:50000", undefined],
    ["203.0.113.9:4000", "100.64.0.1:50000", undefined],
    ["0.0.0.0:4000", "10.0.0.1:50000", "10.0.0.1:50000"],
    // Another family, ourselves, and what no peer has.
    ["192.168.1.2:4000", "[2001:db8::1]:50000", undefined],
    ["192.168.1.2:4000", "192.168.1.2:4000", undefined],
    ["192.168.1.2:4000", "0.0.0.0:50000", undefined],
    ["192.168.1.2:4000", "127.0.0.1:50000", undefined],
    ["192.168.1.2:4000", "224.0.0.1:50000", undefined],
    ["192.168.1.2:4000", "255.255.255.255:50000", undefined],
    ["192.168.1.2:4000", "203.0.113.7:0", undefined],
    ["192.168.1.2:4000", "203.0.113.7:53", undefined],
    ["192.168.1.2:4000", "203.0.113.7:11211", undefined],
    // Link-local with link-local, in the zone of the base.
    ["192.168.1.2:4000", "169.254.0.1:50000", undefined],
    ["169.254.0.2:4000", "169.254.0.1:50000", "169.254.0.1:50000"],
    ["169.254.0.2:4000", "203.0.113.7:50000", undefined],
    ["[fe80::2%eth0]:4000", "[fe80::1]:50000", "[fe80::1%eth0]:50000"],
    ["[fe80::2%eth0]:4000", "[2001:db8::1]:50000", undefined],
    ["[2001:db8:1::2]:4000", "[fe80::1]:50000", undefined],
    ["[2001:db8:1::2]:4000", "[fd00::1]:50000", undefined],
    ["[fd00::2]:4000", "[fd00::1]:50000", "[fd00::1]:50000"],
    ["[::]:4000", "[fe80::1]:50000", undefined],
  ];
  for (const [local, remote, expected] of rows) {
    const found = remoteFrom(socket(local), parseAddress(remote), RULES)?.toString();
    strictEqual(found, expected, `${local} to ${remote}`);
  }
  const loopback = { allowLoopback: true };
  strictEqual(remoteFrom(socket("127.0.0.1:1"), parseAddress("127.0.0.1:2"), loopback)?.port, 2);
  strictEqual(remoteFrom(LAN, parseAddress("127.0.0.1:2"), loopback), undefined);
});

Deno.test("Pairing orders as RFC 8445 §6.1.2.3 does, kindred scopes first", () => {
  const side = (type: "host" | "srflx", address: string, order: number) => ({
    type,
    address: parseAddress(address),
    order,
  });
  deepStrictEqual(rankOf(side("host", "192.168.1.2:1", 0), side("host", "10.0.0.1:1", 0)), {
    kinship: 1,
    controlling: 2130706431,
    controlled: 2130706431,
  });
  const ranks = [
    rankOf(side("host", "192.168.1.2:1", 0), side("srflx", "203.0.113.7:1", 0)),
    rankOf(side("srflx", "203.0.113.9:1", 1), side("srflx", "203.0.113.7:1", 0)),
    rankOf(side("host", "192.168.1.2:1", 0), side("host", "10.0.0.1:1", 1)),
    rankOf(side("host", "192.168.1.2:1", 0), side("host", "10.0.0.1:1", 0)),
    rankOf(side("srflx", "203.0.113.9:1", 0), side("srflx", "203.0.113.7:1", 1)),
  ];
  const order = [0, 1, 2, 3, 4].sort((a, b) => compareRanks(ranks[a]!, ranks[b]!));
  // Of 1 and 4, whose minima are equal and whose maxima too, the one whose client's is larger.
  deepStrictEqual(order, [3, 2, 4, 1, 0]);
  strictEqual(inferredType(addressOf("203.0.113.7", 1)), "srflx");
  strictEqual(inferredType(addressOf("10.0.0.1", 1)), "host");
  strictEqual(inferredType(addressOf("2001:db8::1", 1)), "host");
});
