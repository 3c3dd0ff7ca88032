import { strictEqual } from "node:assert/strict";
import { fromHex } from "../../../protocols/core/bytes.ts";
import { isStun, stunClass, stunMethod, transactionKey, usernameTarget } from "../../../protocols/stun/classify.ts";
import { encodeStun } from "../../../protocols/stun/npm_stun.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { RFC5769_2_1_REQUEST, RFC5769_2_2_IPV4_RESPONSE, RFC5769_ALL } from "../../vectors/rfc5769_vectors.ts";

Deno.test("Classifier tells STUN by its first bits, cookie and length (RFC 9443 §3, RFC 8489 §6.3)", () => {
  for (const [name, bytes] of RFC5769_ALL) strictEqual(isStun(bytes), true, name);
  strictEqual(isStun(new Uint8Array(0)), false);
  strictEqual(isStun(fromHex("c0000000012112a442")), false);
  const quicByte = RFC5769_2_1_REQUEST.slice();
  quicByte[0] = 0x40;
  strictEqual(isStun(quicByte), false);
  const oddLength = RFC5769_2_1_REQUEST.slice();
  oddLength[3]! += 1;
  strictEqual(isStun(oddLength), false);
});

Deno.test("Classifier reads class and method around each other's bits (RFC 8489 §5)", () => {
  strictEqual(stunClass(RFC5769_2_1_REQUEST), "request");
  strictEqual(stunClass(RFC5769_2_2_IPV4_RESPONSE), "success");
  const transactionId = new Uint8Array(12);
  for (const method of [0x001, 0x003, 0x00a, 0x070, 0x080, 0xabc, 0xfff]) {
    for (const name of ["request", "indication", "success", "error"] as const) {
      const bytes = encodeStun({ class: name, method, transactionId });
      strictEqual(stunClass(bytes), name);
      strictEqual(stunMethod(bytes), method);
    }
  }
});

Deno.test("Classifier gives one key to a request and its response", () => {
  strictEqual(transactionKey(RFC5769_2_1_REQUEST), transactionKey(RFC5769_2_2_IPV4_RESPONSE));
  strictEqual(transactionKey(RFC5769_2_1_REQUEST).length, 12);
});

Deno.test("Classifier reads the first half of USERNAME (RFC 8445 §7.2.2)", () => {
  strictEqual(usernameTarget(RFC5769_2_1_REQUEST), "evtj");
  strictEqual(usernameTarget(RFC5769_2_2_IPV4_RESPONSE), undefined);
  const transactionId = new Uint8Array(12);
  const target = (username: string): string | undefined =>
    usernameTarget(encodeStun({ class: "request", transactionId, username }));
  strictEqual(target("no colon"), undefined);
  strictEqual(target(":right"), "");
  strictEqual(target("a:b:c"), "a");
});

Deno.test("Classifier survives every truncation and bit-flip", () => {
  for (const [, bytes] of RFC5769_ALL) {
    for (let end = 0; end < bytes.length; end++) {
      strictEqual(isStun(bytes.subarray(0, end)), false);
      // Not for such bytes, but it must not matter.
      usernameTarget(bytes.subarray(0, end));
    }
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      if (isStun(flipped)) usernameTarget(flipped);
    }
  }
  const random = seededRandom(1);
  for (let round = 0; round < 2000; round++) {
    const bytes = random.fill(RFC5769_2_1_REQUEST.slice());
    bytes.set(RFC5769_2_1_REQUEST.subarray(0, 8));
    strictEqual(isStun(bytes), true);
    usernameTarget(bytes);
  }
});
