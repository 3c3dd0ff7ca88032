/**
 * What every {@linkcode AeadBackend} must do, as a suite that each runs: the vectors of RFC 9001 and of GCM's authors, and
 * agreement with the runtime's own.
 *
 * @module
 */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../protocols/core/bytes.ts";
import { AEAD_PROPERTIES } from "../../protocols/crypto/aead.ts";
import type { AeadBackend, AeadName } from "../../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND, NODE_AEAD_NAMES } from "../../protocols/crypto/node_aead.ts";
import { seededRandom } from "../support/seeded_random.ts";

/** What the runtime's own cannot do is not asked of any: there is nothing to compare it with. */
const NAMES = NODE_AEAD_NAMES;

/** Runs the suite. */
export function testAeadContract(backend: AeadBackend): void {
  Deno.test({
    name: `Aead of ${backend.name} seals and opens the short header packet of RFC 9001 §A.5`,
    ignore: !NAMES.includes("CHACHA20_POLY1305"),
    fn: () => {
      const aead = backend.aead(
        "CHACHA20_POLY1305",
        fromHex("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8"),
      );
      const nonce = fromHex("e0459b3474bdd0e46d417eb0");
      const packet = concatBytes(fromHex("4200bff4 01"), new Uint8Array(16));
      aead.seal(nonce, packet, 0, 4, 5);
      strictEqual(toHex(packet), "4200bff4655e5cd55c41f69080575d7999c25a5bfb");
      strictEqual(aead.open(nonce, packet, 0, 4, packet.length), true);
      strictEqual(toHex(packet.subarray(0, 5)), "4200bff401");
    },
  });

  Deno.test(`Aead of ${backend.name} is AES-GCM (McGrew and Viega, test cases 4 and 16)`, () => {
    const nonce = fromHex("cafebabefacedbaddecaf888");
    const aad = fromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const plaintext = fromHex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    const key = "feffe9928665731c6d6a8f9467308308";
    const cases: readonly (readonly [AeadName, string, string])[] = [
      [
        "AES_128_GCM",
        key,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" +
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
      ],
      [
        "AES_256_GCM",
        key + key,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" +
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
      ],
    ];
    for (const [name, keyHex, sealed] of cases) {
      // Bytes before and behind must stay as they are.
      const buffer = concatBytes(fromHex("aaaa"), aad, plaintext, new Uint8Array(16), fromHex("bbbb"));
      const start = 2 + aad.length;
      const end = start + plaintext.length;
      backend.aead(name, fromHex(keyHex)).seal(nonce, buffer, 2, start, end);
      strictEqual(toHex(buffer.subarray(start, end + 16)), sealed);
      strictEqual(toHex(buffer.subarray(0, 2)) + toHex(buffer.subarray(end + 16)), "aaaabbbb");
    }
  });

  Deno.test(`Aead of ${backend.name} refuses every flipped bit and leaves the buffer as it was`, () => {
    for (const name of NAMES) {
      const aead = backend.aead(name, new Uint8Array(AEAD_PROPERTIES[name].keyBytes).fill(7));
      const nonce = new Uint8Array(12).fill(3);
      const packet = new Uint8Array(8 + 5 + 16).fill(9);
      aead.seal(nonce, packet, 0, 8, 13);
      for (let bit = 0; bit < packet.length * 8; bit++) {
        const damaged = packet.slice();
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        const before = damaged.slice();
        strictEqual(aead.open(nonce, damaged, 0, 8, damaged.length), false);
        deepStrictEqual(damaged, before);
      }
      for (let end = 8; end < packet.length; end++) strictEqual(aead.open(nonce, packet.slice(), 0, 8, end), false);
      strictEqual(aead.open(nonce, packet, 0, 8, packet.length), true);
      deepStrictEqual(packet.subarray(8, 13), new Uint8Array(5).fill(9));
    }
  });

  Deno.test(`Aead of ${backend.name} copies its key and takes no other length`, () => {
    for (const name of NAMES) {
      const { keyBytes } = AEAD_PROPERTIES[name];
      const key = new Uint8Array(keyBytes).fill(1);
      const aead = backend.aead(name, key);
      const nonce = new Uint8Array(12);
      const first = new Uint8Array(17);
      aead.seal(nonce, first, 0, 0, 1);
      key.fill(2);
      const second = new Uint8Array(17);
      aead.seal(nonce, second, 0, 0, 1);
      deepStrictEqual(second, first);
      throws(() => backend.aead(name, new Uint8Array(keyBytes - 1)), RangeError);
      throws(() => backend.headerProtection(name, new Uint8Array(keyBytes + 1)), RangeError);
    }
  });

  Deno.test(`HeaderProtection of ${backend.name} makes the masks of RFC 9001 §A.2, §A.3 and §A.5`, () => {
    const cases: readonly (readonly [AeadName, string, string, string])[] = [
      ["AES_128_GCM", "9f50449e04a0e810283a1e9933adedd2", "d1b1c98dd7689fb8ec11d242b123dc9b", "437b9aec36"],
      ["AES_128_GCM", "c206b8d9b9f0f37644430b490eeaa314", "2cd0991cd25b0aac406a5816b6394100", "2ec0d8356a"],
      [
        "CHACHA20_POLY1305",
        "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
        "5e5cd55c41f69080575d7999c25a5bfb",
        "aefefe7d03",
      ],
    ];
    for (const [name, key, sample, mask] of cases.filter(([name]) => NAMES.includes(name))) {
      const protection = backend.headerProtection(name, fromHex(key));
      const buffer = concatBytes(fromHex("0011"), fromHex(sample), fromHex("22"));
      // Twice, for a context that is kept must not remember the block before.
      for (let i = 0; i < 2; i++) strictEqual(toHex(protection.mask(buffer, 2).subarray(0, 5)), mask);
      protection.close();
    }
  });

  Deno.test(`Aead of ${backend.name} agrees with the runtime's, for packets of every length`, () => {
    const random = seededRandom(9001);
    for (const name of NAMES) {
      const key = random.fill(new Uint8Array(AEAD_PROPERTIES[name].keyBytes));
      const [ours, reference] = [backend.aead(name, key), NODE_AEAD_BACKEND.aead(name, key)];
      for (let bytes = 0; bytes < 1500; bytes += bytes < 40 ? 1 : 97) {
        const nonce = random.fill(new Uint8Array(12));
        const packet = random.fill(new Uint8Array(20 + bytes + 16));
        const sealed = packet.slice();
        const expected = packet.slice();
        ours.seal(nonce, sealed, 1, 20, 20 + bytes);
        reference.seal(nonce, expected, 1, 20, 20 + bytes);
        deepStrictEqual(sealed, expected);
        strictEqual(ours.open(nonce, sealed, 1, 20, sealed.length), true);
        deepStrictEqual(sealed.subarray(0, 20 + bytes), packet.subarray(0, 20 + bytes));
      }
      const [mask, referenceMask] = [
        backend.headerProtection(name, key),
        NODE_AEAD_BACKEND.headerProtection(name, key),
      ];
      for (let i = 0; i < 20; i++) {
        const sample = random.fill(new Uint8Array(16));
        strictEqual(toHex(mask.mask(sample, 0).subarray(0, 5)), toHex(referenceMask.mask(sample, 0).subarray(0, 5)));
      }
      mask.close();
      referenceMask.close();
    }
  });
}
