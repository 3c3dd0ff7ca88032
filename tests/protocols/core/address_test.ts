import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressFromBytes, addressOf, isIpAddress, parseAddress } from "../../../protocols/core/address.ts";
import { beginnings, damaged } from "../../support/damaged_text.ts";

Deno.test("addressOf interns: equal addresses are one object", () => {
  strictEqual(addressOf("192.0.2.1", 4433), addressOf("192.0.2.1", 4433));
  strictEqual(addressOf("2001:DB8:0:0:0:0:0:1", 1), addressOf("2001:db8::1", 1));
  strictEqual(addressOf("192.0.2.1", 1) === addressOf("192.0.2.1", 2), false);
});

Deno.test("addressOf keeps the identity of an address in use through a flood of others", () => {
  const kept = addressOf("198.51.100.1", 9);
  for (let i = 0; i < 20_000; i++) addressOf(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`, 9);
  strictEqual(addressOf("198.51.100.1", 9), kept);
});

Deno.test("addressOf maps IPv4-mapped IPv6 to the IPv4 address", () => {
  strictEqual(addressOf("::ffff:192.0.2.1", 5), addressOf("192.0.2.1", 5));
  strictEqual(addressOf("::ffff:c000:201", 5).family, 4);
  deepStrictEqual([...addressOf("::ffff:c000:201", 5).bytes], [192, 0, 2, 1]);
});

Deno.test("Address text is canonical (RFC 5952 §4)", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["0:0:0:0:0:0:0:0", "::"],
    ["::1", "::1"],
    ["2001:0db8:0000:0001:0000:0000:0000:0001", "2001:db8:0:1::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["fe80::1%eth0", "fe80::1%eth0"],
  ];
  for (const [text, canonical] of cases) strictEqual(addressOf(text, 0).host, canonical);
  strictEqual(addressOf("::1", 443).toString(), "[::1]:443");
});

Deno.test("addressFromBytes inverts bytes", () => {
  for (const host of ["192.0.2.1", "2001:db8::1", "::"]) {
    const address = addressOf(host, 77);
    strictEqual(addressFromBytes(address.bytes, 77), address);
  }
  throws(() => addressFromBytes(new Uint8Array(5), 1), RangeError);
});

Deno.test("parseAddress reads both families and refuses the rest", () => {
  strictEqual(parseAddress("192.0.2.1:4433"), addressOf("192.0.2.1", 4433));
  strictEqual(parseAddress("[2001:db8::1]:4433"), addressOf("2001:db8::1", 4433));
  for (const bad of ["", "192.0.2.1", "192.0.2.256:1", "2001:db8::1:4433", "[::1]", "host:1", "1.2.3:4", "[1:2]:3"]) {
    throws(() => parseAddress(bad), TypeError, bad);
  }
  throws(() => parseAddress("192.0.2.1:65536"), RangeError);
});

Deno.test("parseAddress cut short at every byte, or damaged, is another address or an error that says so", () => {
  const seed = 5952;
  for (const text of ["192.0.2.1:4433", "[2001:db8::192.0.2.1]:4433", "[fe80::1%eth0]:4433"]) {
    const colon = text.lastIndexOf(":");
    for (const head of beginnings(text)) {
      if (head.length <= colon + 1) throws(() => parseAddress(head), TypeError, head);
      else strictEqual(parseAddress(head).port, Number(head.slice(colon + 1)));
    }
    for (const other of damaged(text, seed, 3000)) {
      try {
        const address = parseAddress(other);
        strictEqual(parseAddress(address.toString()), address, `seed ${seed}: ${other}`);
      } catch (error) {
        ok(error instanceof TypeError || error instanceof RangeError, `seed ${seed}: ${other}: ${error}`);
      }
    }
  }
});

Deno.test("isIpAddress tells addresses from names", () => {
  deepStrictEqual(["192.0.2.1", "::", "1::2::3", "example.org", "1.2.3.04567"].map(isIpAddress), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
