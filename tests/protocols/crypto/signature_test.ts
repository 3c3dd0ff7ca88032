import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { SigningKey, VerifyingKey } from "../../../protocols/crypto/signature.ts";
import type { KeyKind, SignatureAlgorithm } from "../../../protocols/crypto/signature.ts";

interface Case {
  readonly kind: KeyKind;
  readonly keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly algorithms: readonly SignatureAlgorithm[];
}

const CASES: readonly Case[] = [
  { kind: "ed25519", keys: generateKeyPairSync("ed25519"), algorithms: ["ed25519"] },
  {
    kind: "p256",
    keys: generateKeyPairSync("ec", { namedCurve: "P-256" }),
    algorithms: ["ecdsa_secp256r1_sha256"],
  },
  {
    kind: "p384",
    keys: generateKeyPairSync("ec", { namedCurve: "P-384" }),
    algorithms: ["ecdsa_secp384r1_sha384"],
  },
  {
    kind: "rsa",
    keys: generateKeyPairSync("rsa", { modulusLength: 2048 }),
    algorithms: ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"],
  },
];

const ALL: readonly SignatureAlgorithm[] = CASES.flatMap(({ algorithms }) => algorithms);

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "spki", format: "der" }));
}

function pkcs8Of(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
}

Deno.test("SigningKey and VerifyingKey agree for every algorithm, and on nothing else (RFC 8446 §4.2.3)", () => {
  const message = new Uint8Array([1, 2, 3]);
  for (const { kind, keys, algorithms } of CASES) {
    const signing = SigningKey.fromPkcs8(pkcs8Of(keys.privateKey));
    const verifying = VerifyingKey.fromSpki(spkiOf(keys.publicKey))!;
    deepStrictEqual([signing.kind, verifying.kind], [kind, kind]);
    deepStrictEqual(signing.publicKeySpki(), spkiOf(keys.publicKey));
    deepStrictEqual(ALL.filter((algorithm) => verifying.canVerify(algorithm)), algorithms);
    for (const algorithm of ALL) {
      if (!algorithms.includes(algorithm)) {
        throws(() => signing.sign(algorithm, message), TypeError);
        strictEqual(verifying.verify(algorithm, message, new Uint8Array(64)), false);
        continue;
      }
      const signature = signing.sign(algorithm, message);
      strictEqual(verifying.verify(algorithm, message, signature), true, algorithm);
      strictEqual(verifying.verify(algorithm, new Uint8Array([1, 2, 4]), signature), false, algorithm);
      for (let length = 0; length < signature.length; length++) {
        strictEqual(verifying.verify(algorithm, message, signature.subarray(0, length)), false, algorithm);
      }
    }
  }
});

Deno.test("VerifyingKey takes no other kinds of keys and no damaged ones", () => {
  const secp256k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  strictEqual(VerifyingKey.fromSpki(spkiOf(secp256k1.publicKey)), undefined);
  strictEqual(VerifyingKey.fromSpki(spkiOf(generateKeyPairSync("x25519").publicKey)), undefined);
  throws(() => SigningKey.fromPkcs8(pkcs8Of(secp256k1.privateKey)), TypeError);
  throws(() => SigningKey.fromPkcs8(new Uint8Array(5)), TypeError);
  const short = generateKeyPairSync("rsa", { modulusLength: 1024 });
  throws(() => SigningKey.fromPkcs8(pkcs8Of(short.privateKey)), /RSA with 1024 bits, at least 2048 are needed/);
  for (const { keys } of CASES) {
    const spki = spkiOf(keys.publicKey);
    for (let length = 0; length < spki.length; length++) {
      strictEqual(VerifyingKey.fromSpki(spki.subarray(0, length)), undefined);
    }
  }
});
