import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { createECDH } from "node:crypto";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { CURVE_BYTES, EcdhKeyPair } from "../../../protocols/crypto/ecdh.ts";
import type { CurveName } from "../../../protocols/crypto/ecdh.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const CURVES: readonly CurveName[] = ["P-256", "P-384"];

Deno.test("EcdhKeyPair agrees on the secret of RFC 5903 §8.1 and §8.2", () => {
  const vectors = [
    {
      curve: "P-256",
      i: "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
      r: "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
      secret: "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
    },
    {
      curve: "P-384",
      i: "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
      r: "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC",
      secret: "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746",
    },
  ] as const;
  for (const { curve, i, r, secret } of vectors) {
    const initiator = EcdhKeyPair.fromPrivateKey(curve, fromHex(i))!;
    const responder = EcdhKeyPair.fromPrivateKey(curve, fromHex(r))!;
    strictEqual(toHex(initiator.sharedSecret(responder.publicKey)!), secret.toLowerCase(), curve);
    strictEqual(toHex(responder.sharedSecret(initiator.publicKey)!), secret.toLowerCase(), curve);
  }
});

Deno.test("EcdhKeyPair takes points of the curve in uncompressed form only (RFC 8446 §4.2.8.2)", () => {
  for (const curve of CURVES) {
    const pair = EcdhKeyPair.generate(curve, seededRandom(1));
    const peer = EcdhKeyPair.generate(curve, seededRandom(2));
    const point = peer.publicKey;
    strictEqual(point.length, 1 + 2 * CURVE_BYTES[curve]);
    strictEqual(pair.sharedSecret(point)?.length, CURVE_BYTES[curve]);
    for (const at of [1, point.length - 1]) {
      const off = point.slice();
      off[at] = off[at]! ^ 1;
      strictEqual(pair.sharedSecret(off), undefined, `${curve}: not on the curve`);
    }
    const node = createECDH(curve === "P-256" ? "prime256v1" : "secp384r1");
    node.generateKeys();
    strictEqual(pair.sharedSecret(new Uint8Array(node.getPublicKey(null, "compressed"))), undefined, "compressed");
    strictEqual(pair.sharedSecret(new Uint8Array(node.getPublicKey(null, "hybrid"))), undefined, "hybrid");
    strictEqual(pair.sharedSecret(new Uint8Array(1)), undefined, "the point at infinity");
    strictEqual(pair.sharedSecret(concatBytes(Uint8Array.of(4), new Uint8Array(point.length - 1))), undefined, "zeros");
    for (let length = 0; length < point.length; length++) {
      strictEqual(pair.sharedSecret(point.subarray(0, length)), undefined, `${curve}: cut off at ${length}`);
    }
    strictEqual(pair.sharedSecret(concatBytes(point, new Uint8Array(1))), undefined, "too long");
  }
});

Deno.test("EcdhKeyPair refuses private keys that are not below the order, and draws another (SP 800-56A §5.6.1.2)", () => {
  for (const curve of CURVES) {
    const bytes = CURVE_BYTES[curve];
    for (const fill of [0, 0xff]) {
      strictEqual(EcdhKeyPair.fromPrivateKey(curve, new Uint8Array(bytes).fill(fill)), undefined);
    }
    strictEqual(EcdhKeyPair.fromPrivateKey(curve, new Uint8Array(bytes - 1).fill(1)), undefined);
    let draws = 0;
    const random = { fill: <T extends Uint8Array>(into: T): T => (into.fill(draws++ < 2 ? 0xff : 7), into) };
    const pair = EcdhKeyPair.generate(curve, random);
    strictEqual(draws, 3);
    deepStrictEqual(pair.publicKey, EcdhKeyPair.fromPrivateKey(curve, new Uint8Array(bytes).fill(7))?.publicKey);
    const stuck = { fill: <T extends Uint8Array>(into: T): T => (into.fill(0), into) };
    throws(() => EcdhKeyPair.generate(curve, stuck), /the random source does not vary/);
  }
});
