import { strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { DENIED_PORTS, refuseRemote, scopeOf } from "../../../protocols/core/address_scope.ts";

Deno.test("Address scope is that of RFC 6890 and RFC 4291 §2.4", () => {
  const scopes = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "reserved",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "10.0.0.1": "private",
    "172.15.255.255": "global",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "172.32.0.0": "global",
    "192.168.1.1": "private",
    "100.63.255.255": "global",
    "100.64.0.1": "shared",
    "100.127.255.255": "shared",
    "169.254.1.1": "link-local",
    "203.0.113.7": "global",
    "224.0.0.251": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::2": "reserved",
    "::192.0.2.1": "reserved",
    "64:ff9b::1": "global",
    "65:ff9b::1": "reserved",
    "2001:db8::1": "global",
    "fc00::1": "private",
    "fdff::1": "private",
    "fe80::1": "link-local",
    "febf::1": "link-local",
    "fec0::1": "reserved",
    "ff02::1": "multicast",
    "::ffff:10.0.0.1": "private",
  } as const;
  for (const [host, scope] of Object.entries(scopes)) strictEqual(scopeOf(addressOf(host, 1)), scope, host);
});

Deno.test("Remote addresses are refused with a reason", () => {
  const rules = { allowLoopback: false };
  const reason = (host: string, port = 5000): string | undefined => refuseRemote(addressOf(host, port), rules);
  strictEqual(reason("192.0.2.1"), undefined);
  strictEqual(reason("192.168.0.1"), undefined);
  strictEqual(reason("100.64.0.1"), undefined);
  strictEqual(reason("fe80::1"), undefined);
  strictEqual(reason("192.0.2.1", 0), "port 0");
  strictEqual(reason("0.0.0.0"), "unspecified address");
  strictEqual(reason("224.0.0.1"), "multicast address");
  strictEqual(reason("255.255.255.255"), "reserved address");
  strictEqual(reason("127.0.0.1"), "loopback address");
  strictEqual(reason("::1"), "loopback address");
  strictEqual(reason("192.0.2.1", 53), "port 53 of a service");
  for (const port of [53, 123, 161, 389, 1900, 5353, 11211]) strictEqual(DENIED_PORTS.has(port), true);
});

Deno.test("Loopback is allowed only to those who ask for it", () => {
  const rules = { allowLoopback: true };
  strictEqual(refuseRemote(addressOf("127.0.0.1", 5000), rules), undefined);
  strictEqual(refuseRemote(addressOf("::1", 5000), rules), undefined);
  strictEqual(refuseRemote(addressOf("224.0.0.1", 5000), rules), "multicast address");
});
