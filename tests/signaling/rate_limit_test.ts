import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import { OfferGate } from "../../signaling/admission.ts";
import { RateLimiter, sourceOf, sourceOfHost } from "../../signaling/rate_limit.ts";

Deno.test("RateLimiter lets a burst pass and then so many a second, for each key alone", () => {
  const limiter = new RateLimiter<string>({ perSecond: 4, burst: 4, maxKeys: 10 });
  const passed = Array.from({ length: 6 }, () => limiter.take("a", 0));
  deepStrictEqual(passed, [true, true, true, true, false, false]);
  strictEqual(limiter.take("b", 0), true);
  strictEqual(limiter.take("a", 249), false);
  strictEqual(limiter.take("a", 250), true);
  strictEqual(limiter.take("a", 250), false);
  const later = Array.from({ length: 6 }, () => limiter.take("a", 60_000));
  deepStrictEqual(later, [true, true, true, true, false, false]);
});

Deno.test("RateLimiter keeps so many keys, and forgets the one unused for longest", () => {
  const limiter = new RateLimiter<number>({ perSecond: 1, burst: 1, maxKeys: 3 });
  for (const key of [1, 2, 3]) strictEqual(limiter.take(key, 0), true);
  strictEqual(limiter.take(1, 0), false);
  strictEqual(limiter.take(4, 0), true);
  strictEqual(limiter.size, 3);
  strictEqual(limiter.take(1, 0), false);
  strictEqual(limiter.take(2, 0), true);
});

Deno.test("OfferGate forgets offers when nobody would believe them any more", () => {
  const gate = new OfferGate();
  for (let i = 0; i < 100; i++) {
    const offer = { call: `${i}`, callerKeyId: Uint8Array.of(i), expiresAt: 30_000 };
    strictEqual(gate.pass(offer, 0, { now: 0, epochMs: 0 }), undefined);
  }
  strictEqual(gate.seen, 100);
  const next = { call: "next", callerKeyId: Uint8Array.of(0), expiresAt: 300_000 };
  strictEqual(gate.pass(next, 0, { now: 150_000, epochMs: 150_000 }), undefined);
  strictEqual(gate.seen, 1);
});

Deno.test("A source is an IPv4 address, mapped or not, or a /64", () => {
  const source = sourceOf(addressOf("192.0.2.1", 5));
  for (const host of ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"]) {
    strictEqual(sourceOfHost(host), source, host);
  }
  const network = sourceOf(addressOf("2001:db8::1", 5));
  for (const host of ["2001:db8::2", "2001:DB8::ffff:0:0:1"]) strictEqual(sourceOfHost(host), network, host);
  for (const host of ["2001:db8:0:1::1", "192.0.2.2", "memory", ""]) {
    ok(![source, network].includes(sourceOfHost(host)), host);
  }
});
