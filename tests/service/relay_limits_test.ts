import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../protocols/core/address.ts";
import {
  DailyQuota,
  DEFAULT_RELAY_LIMITS,
  MAX_KNOWN_SOURCES,
  PortTraffic,
  refuseTarget,
  type RelayPlace,
} from "../../service/relay_limits.ts";

const DAY_MS = 86_400_000;

function traffic(limits: Partial<typeof DEFAULT_RELAY_LIMITS> = {}): PortTraffic {
  const all = { ...DEFAULT_RELAY_LIMITS, ...limits };
  const ofAddress = new DailyQuota(2 * all.bytesPerDay, 0);
  return new PortTraffic(all, { ofKey: new DailyQuota(all.bytesPerDay, 0), ofAddress }, 0);
}

Deno.test("The defaults of a relay are the ones that are stated", () => {
  deepStrictEqual({ ...DEFAULT_RELAY_LIMITS }, {
    portsPerKey: 1,
    portsPerAddress: 8,
    maxPorts: 4096,
    bytesPerSecond: 2_500_000,
    bytesPerDay: 1_073_741_824,
    strangersPerMinute: 64,
    keepMs: 600_000,
  });
});

Deno.test("PortTraffic lets a rate through in each direction, and a burst of a quarter of a second", () => {
  const port = traffic({ bytesPerSecond: 4000 });
  strictEqual(port.spend("out", 1000, 0), true);
  strictEqual(port.spend("out", 1, 0), false);
  strictEqual(port.spend("in", 1000, 0), true);
  strictEqual(port.spend("out", 400, 100), true);
  strictEqual(port.spend("out", 1, 100), false);
  // What was not used in ten seconds is a burst, not more.
  strictEqual(port.spend("out", 1001, 10_000), false);
  strictEqual(port.spend("out", 1000, 10_000), true);
  deepStrictEqual(port.bytes, { out: 2400, in: 1000 });
});

Deno.test("DailyQuota ends a day after it began, both directions together", () => {
  const port = traffic({ bytesPerDay: 1500 });
  deepStrictEqual([port.spend("out", 1000, 0), port.spend("in", 501, 0), port.spend("in", 500, 0)], [
    true,
    false,
    true,
  ]);
  strictEqual(port.spend("out", 1, DAY_MS - 1), false);
  strictEqual(port.spend("out", 1500, DAY_MS), true);
  strictEqual(port.spend("out", 1, DAY_MS), false);
});

Deno.test("PortTraffic spends the address's day too, whatever the keys are", () => {
  const ofAddress = new DailyQuota(2500, 0);
  const ports = Array.from(
    { length: 3 },
    () => new PortTraffic(DEFAULT_RELAY_LIMITS, { ofKey: new DailyQuota(1000, 0), ofAddress }, 0),
  );
  deepStrictEqual(ports.map((port) => port.spend("in", 1000, 0)), [true, true, false]);
  // Nothing of the refused is spent.
  deepStrictEqual(ports.map((port) => port.spend("out", 500, 0)), [false, false, true]);
  deepStrictEqual(ports.map((port) => port.spend("out", 1000, DAY_MS)), [true, true, false]);
});

Deno.test("PortTraffic knows the sources it admitted, the last 256 of them", () => {
  const port = traffic({ strangersPerMinute: 600 });
  const source = (index: number): ReturnType<typeof addressOf> => addressOf("203.0.113.1", 1 + index);
  for (let i = 0; i < MAX_KNOWN_SOURCES + 1; i++) strictEqual(port.isSource(source(i), 0), true);
  for (let i = 0; i < 600 - MAX_KNOWN_SOURCES - 1; i++) strictEqual(port.isSource(source(1000 + i), 0), true);
  strictEqual(port.isSource(source(5000), 0), false);
  // The last is known, the first has been forgotten.
  strictEqual(port.isSource(source(1000 + 600 - MAX_KNOWN_SOURCES - 2), 0), true);
  strictEqual(port.isSource(source(0), 0), false);
  strictEqual(port.isSource(source(0), 100), true);
  strictEqual(port.isSource(source(1), 100), false);
});

Deno.test("A target is refused by where it is, and by where the relay is (RFC 9298 §7)", () => {
  const place = (...hosts: string[]): RelayPlace => ({
    hosts: new Set(hosts),
    otherHosts: new Set(["192.0.2.77"]),
    isPort: (address) => address.port === 7777,
  });
  const cases: readonly (readonly [string, RelayPlace, string | undefined])[] = [
    ["203.0.113.9:5000", place("198.51.100.1"), undefined],
    ["203.0.113.9:0", place("198.51.100.1"), "port 0"],
    ["203.0.113.9:53", place("198.51.100.1"), "port 53 of a service"],
    ["198.51.100.1:443", place("198.51.100.1"), "address of the relay"],
    ["192.0.2.77:443", place("198.51.100.1"), "address of the relay"],
    ["192.0.2.77:443", place("127.0.0.1"), undefined],
    ["198.51.100.1:7777", place("198.51.100.1"), undefined],
    ["127.0.0.1:5000", place("198.51.100.1"), "loopback address"],
    ["127.0.0.1:5000", place("127.0.0.1"), undefined],
    ["127.0.0.1:5000", place("127.0.0.1", "198.51.100.1"), "loopback address"],
    ["[::1]:5000", place("2001:db8::1"), "loopback address"],
    ["10.1.2.3:5000", place("198.51.100.1"), "private address"],
    ["100.64.1.1:5000", place("198.51.100.1"), "shared address"],
    ["[fd00::1]:5000", place("2001:db8::1"), "private address"],
    // A relay inside a network serves that network.
    ["10.1.2.3:5000", place("10.0.0.1"), undefined],
    ["169.254.1.1:5000", place("10.0.0.1"), "link-local address"],
    ["[fe80::1]:5000", place("fd00::1"), "link-local address"],
    ["224.0.0.1:5000", place("10.0.0.1"), "multicast address"],
    ["[ff02::1]:5000", place("fd00::1"), "multicast address"],
    ["255.255.255.255:5000", place("10.0.0.1"), "reserved address"],
    ["0.0.0.0:5000", place("127.0.0.1"), "unspecified address"],
  ];
  for (const [target, where, reason] of cases) strictEqual(refuseTarget(parseAddress(target), where), reason, target);
});
