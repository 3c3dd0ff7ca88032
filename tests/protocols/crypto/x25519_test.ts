import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { X25519KeyPair } from "../../../protocols/crypto/x25519.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";

Deno.test("X25519KeyPair agrees on the secret of RFC 7748 §6.1", () => {
  const alice = X25519KeyPair.fromPrivateKey(
    fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
  );
  const bob = X25519KeyPair.fromPrivateKey(
    fromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
  );
  strictEqual(toHex(alice.publicKey), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  strictEqual(toHex(bob.publicKey), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  strictEqual(toHex(alice.sharedSecret(bob.publicKey)!), secret);
  strictEqual(toHex(bob.sharedSecret(alice.publicKey)!), secret);
});

Deno.test("X25519KeyPair refuses keys of small order (RFC 7748 §6.1, RFC 8446 §7.4.2)", () => {
  const pair = X25519KeyPair.fromPrivateKey(new Uint8Array(32).fill(5));
  const smallOrder = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];
  for (const key of smallOrder) strictEqual(pair.sharedSecret(fromHex(key)), undefined);
});

Deno.test("X25519KeyPair takes keys of 32 bytes only", () => {
  const pair = X25519KeyPair.fromPrivateKey(new Uint8Array(32).fill(5));
  strictEqual(pair.sharedSecret(new Uint8Array(31).fill(9)), undefined);
  strictEqual(pair.sharedSecret(new Uint8Array(33).fill(9)), undefined);
  throws(() => X25519KeyPair.fromPrivateKey(new Uint8Array(31)), RangeError);
});

Deno.test("X25519KeyPair takes its private key from the random source given", () => {
  const random = { fill: <T extends Uint8Array>(bytes: T): T => (bytes.fill(42), bytes) };
  const pair = X25519KeyPair.generate(random);
  deepStrictEqual(pair.publicKey, X25519KeyPair.fromPrivateKey(new Uint8Array(32).fill(42)).publicKey);
  strictEqual(toHex(pair.publicKey).length, 64);
});
