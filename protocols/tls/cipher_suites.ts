/**
 * Cipher suites (RFC 8446 §B.4). Another one is another row.
 *
 * @module
 */

import type { AeadName } from "../crypto/aead.ts";
import type { HashName } from "../crypto/hash.ts";

/** A cipher suite: the AEAD that protects packets and the hash of the key schedule. */
export interface CipherSuite {
  readonly name: CipherSuiteName;
  readonly code: number;
  readonly aead: AeadName;
  readonly hash: HashName;
}

/** The suites there is a row for. TLS_AES_128_CCM_SHA256 is optional in QUIC, and nobody offers it alone. */
export type CipherSuiteName = "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256";

/** In the RFC's order. */
export const CIPHER_SUITES: Readonly<Record<CipherSuiteName, CipherSuite>> = {
  TLS_AES_128_GCM_SHA256: {
    name: "TLS_AES_128_GCM_SHA256",
    code: 0x1301,
    aead: "AES_128_GCM",
    hash: "SHA-256",
  },
  TLS_AES_256_GCM_SHA384: {
    name: "TLS_AES_256_GCM_SHA384",
    code: 0x1302,
    aead: "AES_256_GCM",
    hash: "SHA-384",
  },
  TLS_CHACHA20_POLY1305_SHA256: {
    name: "TLS_CHACHA20_POLY1305_SHA256",
    code: 0x1303,
    aead: "CHACHA20_POLY1305",
    hash: "SHA-256",
  },
};
