/**
 * X25519MLKEM768: a key exchange that holds while either of its halves does (draft-ietf-tls-ecdhe-mlkem-00 §4). ML-KEM
 * comes first in shares and secret.
 *
 * @module
 */

import { concatBytes } from "../core/bytes.ts";
import type { Random } from "../core/random.ts";
import {
  encapsulateMlKem768,
  ML_KEM_768_CIPHERTEXT_BYTES,
  ML_KEM_768_PUBLIC_KEY_BYTES,
  MlKem768KeyPair,
} from "../crypto/ml_kem.ts";
import { X25519KeyPair } from "../crypto/x25519.ts";
import type { KeyAnswer, KeyExchange, NamedGroup } from "./named_groups.ts";

/** The group. */
export const X25519_MLKEM768: NamedGroup = {
  name: "X25519MLKEM768",
  code: 0x11ec,

  generate(random: Random): KeyExchange {
    const lattice = MlKem768KeyPair.generate(random);
    const curve = X25519KeyPair.generate(random);
    return {
      publicKey: concatBytes(lattice.publicKey, curve.publicKey),
      sharedSecret(peerShare: Uint8Array): Uint8Array | undefined {
        const second = curve.sharedSecret(peerShare.subarray(ML_KEM_768_CIPHERTEXT_BYTES));
        const first = lattice.decapsulate(peerShare.subarray(0, ML_KEM_768_CIPHERTEXT_BYTES));
        return first === undefined || second === undefined ? undefined : concatBytes(first, second);
      },
    };
  },

  answer(random: Random, peerShare: Uint8Array): KeyAnswer | undefined {
    const curve = X25519KeyPair.generate(random);
    const second = curve.sharedSecret(peerShare.subarray(ML_KEM_768_PUBLIC_KEY_BYTES));
    // The cheaper half first: a share that is cut off costs a stranger's victim no lattice arithmetic.
    if (second === undefined) return undefined;
    const first = encapsulateMlKem768(random, peerShare.subarray(0, ML_KEM_768_PUBLIC_KEY_BYTES));
    if (first === undefined) return undefined;
    return {
      publicKey: concatBytes(first.ciphertext, curve.publicKey),
      sharedSecret: concatBytes(first.sharedSecret, second),
    };
  },
};
