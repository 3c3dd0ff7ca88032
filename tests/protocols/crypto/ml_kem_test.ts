import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { encapsulateMlKem768, MlKem768KeyPair } from "../../../protocols/crypto/ml_kem.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** The runtime's ML-KEM, which its types do not know yet. */
interface RuntimeKem {
  generateKey(name: string, extractable: boolean, usages: string[]): Promise<CryptoKeyPair>;
  exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer>;
  importKey(
    format: string,
    bytes: Uint8Array,
    name: string,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKey>;
  encapsulateBits(name: string, key: CryptoKey): Promise<{ ciphertext: ArrayBuffer; sharedKey: ArrayBuffer }>;
  decapsulateBits(name: string, key: CryptoKey, ciphertext: Uint8Array): Promise<ArrayBuffer>;
}
const runtime = crypto.subtle as unknown as RuntimeKem;
const NAME = "ML-KEM-768";

Deno.test("MlKem768KeyPair opens what the runtime's ML-KEM-768 encapsulates (FIPS 203)", async () => {
  const pair = MlKem768KeyPair.generate(seededRandom(203));
  const key = await runtime.importKey("raw-public", pair.publicKey, NAME, true, ["encapsulateBits"]);
  const { ciphertext, sharedKey } = await runtime.encapsulateBits(NAME, key);
  deepStrictEqual(pair.decapsulate(new Uint8Array(ciphertext)), new Uint8Array(sharedKey));
});

Deno.test("encapsulateMlKem768 makes what the runtime's ML-KEM-768 opens, seed for seed the same key (FIPS 203)", async () => {
  const { publicKey, privateKey } = await runtime.generateKey(NAME, true, ["encapsulateBits", "decapsulateBits"]);
  const raw = new Uint8Array(await runtime.exportKey("raw-public", publicKey));
  const { ciphertext, sharedSecret } = encapsulateMlKem768(seededRandom(204), raw)!;
  const opened = await runtime.decapsulateBits(NAME, privateKey, ciphertext);
  deepStrictEqual(new Uint8Array(opened), new Uint8Array(sharedSecret));
  const seed = new Uint8Array(await runtime.exportKey("raw-seed", privateKey));
  deepStrictEqual(new Uint8Array(MlKem768KeyPair.fromSeed(seed).publicKey), raw);
});

Deno.test("encapsulateMlKem768 refuses keys that fail their checks (FIPS 203 §7.2)", () => {
  const random = seededRandom(1);
  const { publicKey } = MlKem768KeyPair.generate(random);
  for (const length of [0, 1183]) strictEqual(encapsulateMlKem768(random, publicKey.subarray(0, length)), undefined);
  strictEqual(encapsulateMlKem768(random, new Uint8Array(1185)), undefined);
  // A coefficient of 12 bits that is not below 3329, at the front and at the end of the vector.
  for (const at of [0, 1151]) {
    const wrong = publicKey.slice();
    wrong.fill(0xff, Math.max(0, at - 2), at + 3);
    strictEqual(encapsulateMlKem768(random, wrong), undefined, `at ${at}`);
  }
});

Deno.test("MlKem768KeyPair answers a foreign ciphertext with a secret that nobody has (FIPS 203 §7.3)", () => {
  const random = seededRandom(2);
  const pair = MlKem768KeyPair.generate(random);
  const { ciphertext, sharedSecret } = encapsulateMlKem768(random, pair.publicKey)!;
  deepStrictEqual(pair.decapsulate(ciphertext), sharedSecret);
  const changed = ciphertext.slice();
  changed[7] = changed[7]! ^ 1;
  const other = pair.decapsulate(changed)!;
  strictEqual(other.length, 32);
  strictEqual(other.every((byte, at) => byte === sharedSecret[at]), false);
  deepStrictEqual(pair.decapsulate(changed), other);
  for (const length of [0, 1087]) strictEqual(pair.decapsulate(ciphertext.subarray(0, length)), undefined);
  strictEqual(pair.decapsulate(new Uint8Array(1089)), undefined);
  throws(() => MlKem768KeyPair.fromSeed(new Uint8Array(63)), RangeError);
});
