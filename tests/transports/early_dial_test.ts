import { deepStrictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../../protocols/core/candidate.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { earlyTargets } from "../../transports/early_dial.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.168.1.2", 1000), maxPayloadBytes: 65507 };
const BASE6: Base = { kind: "socket", local: addressOf("2001:db8:1::2", 1000), maxPayloadBytes: 65527 };
const OWN_HOST: LocalCandidate = { type: "host", address: BASE.local, base: BASE };
const OWN_SRFLX: LocalCandidate = { type: "srflx", address: addressOf("203.0.113.1", 1000), base: BASE };
const OWN_HOST6: LocalCandidate = { type: "host", address: BASE6.local, base: BASE6 };

function remote(type: RemoteCandidate["type"], host: string, port = 2000): RemoteCandidate {
  return { type, address: addressOf(host, port) };
}

Deno.test("earlyTargets knocks at the reflexive address, from the base whose STUN was answered", () => {
  const theirs = [remote("host", "192.168.7.7"), remote("srflx", "198.51.100.2")];
  deepStrictEqual(earlyTargets([OWN_HOST, OWN_SRFLX], theirs), [{ base: BASE, remote: theirs[1]!.address }]);
});

Deno.test("earlyTargets waits for a STUN answer", () => {
  deepStrictEqual(earlyTargets([OWN_HOST], [remote("srflx", "198.51.100.2")]), []);
});

Deno.test("earlyTargets takes a public host address where there is no reflexive one, never a private one", () => {
  deepStrictEqual(earlyTargets([OWN_SRFLX], [remote("host", "10.0.0.7"), remote("host", "198.51.100.2")]), [
    { base: BASE, remote: addressOf("198.51.100.2", 2000) },
  ]);
  deepStrictEqual(earlyTargets([OWN_SRFLX], [remote("host", "10.0.0.7")]), []);
});

Deno.test("earlyTargets takes the host address where both sides show the same public address", () => {
  const theirs = [remote("srflx", "203.0.113.1"), remote("host", "192.168.1.3")];
  deepStrictEqual(earlyTargets([OWN_SRFLX], theirs), [{ base: BASE, remote: addressOf("192.168.1.3", 2000) }]);
});

Deno.test("earlyTargets takes a base with a public address of its own, where a STUN server sees the same address", () => {
  const remote4 = remote("srflx", "198.51.100.2");
  const base: Base = { kind: "socket", local: addressOf("203.0.113.9", 1000), maxPayloadBytes: 65507 };
  const open: LocalCandidate = { type: "host", address: base.local, base };
  deepStrictEqual(earlyTargets([OWN_HOST, open], [remote4]), [{ base, remote: remote4.address }]);
  // One that a server has seen comes first: it is known to have a way out.
  deepStrictEqual(earlyTargets([open, OWN_HOST, OWN_SRFLX], [remote4]), [{ base: BASE, remote: remote4.address }]);
});

Deno.test("earlyTargets has one target for each family", () => {
  const theirs = [remote("srflx", "198.51.100.2"), remote("srflx", "198.51.100.3"), remote("host", "2001:db8:2::2")];
  deepStrictEqual(earlyTargets([OWN_SRFLX, OWN_HOST6], theirs), [
    { base: BASE6, remote: addressOf("2001:db8:2::2", 2000) },
    { base: BASE, remote: addressOf("198.51.100.2", 2000) },
  ]);
});
