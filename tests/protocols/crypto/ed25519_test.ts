import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  decodeEd25519Spki,
  Ed25519PrivateKey,
  Ed25519PublicKey,
  encodeEd25519Spki,
} from "../../../protocols/crypto/ed25519.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";

Deno.test("Ed25519PrivateKey signs as in RFC 8032 §7.1", () => {
  const cases = [
    {
      seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555" +
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    {
      seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
  ];
  for (const { seed, publicKey, message, signature } of cases) {
    const key = Ed25519PrivateKey.fromSeed(fromHex(seed));
    strictEqual(toHex(key.publicKey.bytes), publicKey);
    strictEqual(toHex(key.sign(fromHex(message))), signature);
    const other = Ed25519PublicKey.fromBytes(fromHex(publicKey));
    strictEqual(other.verify(fromHex(message), fromHex(signature)), true);
    strictEqual(other.verify(fromHex("73"), fromHex(signature)), false);
  }
});

Deno.test("Ed25519PublicKey answers false to any bytes as signature or key", () => {
  const key = Ed25519PrivateKey.fromSeed(new Uint8Array(32).fill(1));
  const message = new Uint8Array(3);
  const signature = key.sign(message);
  for (let length = 0; length < 64; length++) {
    strictEqual(key.publicKey.verify(message, signature.subarray(0, length)), false);
  }
  for (let bit = 0; bit < 512; bit += 7) {
    const damaged = signature.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    strictEqual(key.publicKey.verify(message, damaged), false);
  }
  const noPoint = new Uint8Array(32).fill(0xff);
  strictEqual(Ed25519PublicKey.fromBytes(noPoint).verify(message, signature), false);
});

Deno.test("Ed25519 keys take 32 bytes only, and copy them", () => {
  throws(() => Ed25519PrivateKey.fromSeed(new Uint8Array(33)), RangeError);
  throws(() => Ed25519PublicKey.fromBytes(new Uint8Array(31)), RangeError);
  const bytes = new Uint8Array(32).fill(4);
  const key = Ed25519PublicKey.fromBytes(bytes);
  bytes.fill(5);
  deepStrictEqual(key.bytes, new Uint8Array(32).fill(4));
});

Deno.test("Ed25519 SubjectPublicKeyInfo is that of RFC 8410 §10.1, and nothing else is one", () => {
  const spki = fromHex(
    "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
  );
  const key = decodeEd25519Spki(spki)!;
  strictEqual(toHex(key), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
  deepStrictEqual(encodeEd25519Spki(key), new Uint8Array(spki));
  deepStrictEqual(Ed25519PublicKey.fromSpki(spki)!.toSpki(), new Uint8Array(spki));
  for (let length = 0; length < spki.length; length++) {
    strictEqual(decodeEd25519Spki(spki.subarray(0, length)), undefined);
  }
  for (let i = 0; i < 12; i++) {
    const other = spki.slice();
    other[i]! ^= 1;
    strictEqual(Ed25519PublicKey.fromSpki(other), undefined);
  }
});
