import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { NAMED_GROUPS, namedGroupOf } from "../../../protocols/tls/named_groups.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** Lengths of the client's share, the server's, and the secret, in bytes. */
const LENGTHS = {
  secp256r1: [65, 65, 32],
  secp384r1: [97, 97, 48],
  x25519: [32, 32, 32],
  X25519MLKEM768: [1216, 1120, 64],
} as const;

Deno.test("Groups have the numbers and lengths of RFC 8446 §4.2.7 and draft-ietf-tls-ecdhe-mlkem-00 §4", () => {
  deepStrictEqual(
    Object.values(NAMED_GROUPS).map(({ name, code }) => [name, code]),
    [["secp256r1", 0x17], ["secp384r1", 0x18], ["x25519", 0x1d], ["X25519MLKEM768", 0x11ec]],
  );
  for (const group of Object.values(NAMED_GROUPS)) {
    strictEqual(namedGroupOf(group.code), group);
    const client = group.generate(seededRandom(1));
    const server = group.answer(seededRandom(2), client.publicKey)!;
    const secret = client.sharedSecret(server.publicKey)!;
    deepStrictEqual([client.publicKey.length, server.publicKey.length, secret.length], LENGTHS[group.name], group.name);
    deepStrictEqual(secret, server.sharedSecret, group.name);
  }
  strictEqual(namedGroupOf(0x0019), undefined);
});

Deno.test("Groups refuse shares of every other length (RFC 8446 §4.2.8)", () => {
  for (const group of Object.values(NAMED_GROUPS)) {
    const client = group.generate(seededRandom(1));
    const server = group.answer(seededRandom(2), client.publicKey)!;
    // All lengths of the short ones; of the long one those about its joints, for each costs lattice arithmetic.
    const lengthsOf = (share: Uint8Array, joint: number): number[] =>
      Array.from({ length: share.length }, (_, length) => length)
        .filter((length) => share.length < 100 || length > share.length - 40 || Math.abs(length - joint) < 3);
    for (const length of lengthsOf(client.publicKey, 1184)) {
      strictEqual(group.answer(seededRandom(3), client.publicKey.subarray(0, length)), undefined, `${length}`);
    }
    for (const length of lengthsOf(server.publicKey, 1088)) {
      strictEqual(client.sharedSecret(server.publicKey.subarray(0, length)), undefined, `${length}`);
    }
    strictEqual(group.answer(seededRandom(3), new Uint8Array([...client.publicKey, 0])), undefined);
    strictEqual(client.sharedSecret(new Uint8Array([...server.publicKey, 0])), undefined);
  }
});

Deno.test("X25519MLKEM768 refuses either half that may not be used (draft-ietf-tls-ecdhe-mlkem-00 §4)", () => {
  const group = NAMED_GROUPS.X25519MLKEM768;
  const client = group.generate(seededRandom(1));
  const server = group.answer(seededRandom(2), client.publicKey)!;
  const smallOrder = client.publicKey.slice();
  smallOrder.fill(0, 1184);
  strictEqual(group.answer(seededRandom(3), smallOrder), undefined);
  const modulus = client.publicKey.slice();
  modulus.fill(0xff, 0, 3);
  strictEqual(group.answer(seededRandom(3), modulus), undefined);
  const answer = server.publicKey.slice();
  answer.fill(0, 1088);
  strictEqual(client.sharedSecret(answer), undefined);
});
