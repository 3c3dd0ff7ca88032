import { strictEqual } from "node:assert/strict";
import { hash, hmac, RunningHash, sha256, sha384 } from "../../../protocols/crypto/hash.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";

const ABC = new TextEncoder().encode("abc");
const SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Deno.test("hash gives the digests of FIPS 180-4, whole or in parts", () => {
  strictEqual(toHex(sha256(ABC)), SHA256_ABC);
  strictEqual(toHex(hash("SHA-256", ABC.subarray(0, 1), ABC.subarray(1))), SHA256_ABC);
  strictEqual(
    toHex(sha384(ABC)),
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
  );
  strictEqual(Object.getPrototypeOf(sha256(ABC)), Uint8Array.prototype);
});

Deno.test("hmac gives the digests of RFC 2202 §3 and RFC 4231 §4.3", () => {
  const key = new TextEncoder().encode("Jefe");
  const data = new TextEncoder().encode("what do ya want for nothing?");
  strictEqual(toHex(hmac("SHA-1", key, data)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  strictEqual(
    toHex(hmac("SHA-256", key, data.subarray(0, 9), data.subarray(9))),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
  strictEqual(
    toHex(hmac("SHA-384", key, data)),
    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
  );
});

Deno.test("RunningHash can be asked, cloned and continued (RFC 8446 §4.4.1)", () => {
  const running = new RunningHash("SHA-256");
  strictEqual(toHex(running.digest()), toHex(sha256()));
  running.update(ABC.subarray(0, 2));
  const clone = running.clone();
  running.update(ABC.subarray(2));
  strictEqual(toHex(running.digest()), SHA256_ABC);
  strictEqual(toHex(running.digest()), SHA256_ABC);
  strictEqual(toHex(clone.digest()), toHex(sha256(fromHex("6162"))));
});
