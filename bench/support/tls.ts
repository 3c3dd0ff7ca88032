/**
 * TLS settings for the two ends of a measurement: raw public keys (RFC 7250).
 *
 * @module
 */

import type { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import type { TlsSettings } from "../../protocols/quic/config.ts";
import { rawPublicKeyCredential } from "../../protocols/tls/certificates.ts";
import type { CipherSuiteName } from "../../protocols/tls/cipher_suites.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";

/** What an end is told. */
export interface TlsOptions {
  readonly own: Ed25519PrivateKey;
  /** The peer's public key; without it clients are not asked who they are. */
  readonly peer?: Uint8Array;
  readonly cipherSuites?: readonly CipherSuiteName[];
}

/** Settings of one end. */
export function tlsSettings({ own, peer, cipherSuites = DEFAULT_CIPHER_SUITES }: TlsOptions): TlsSettings {
  return {
    cipherSuites,
    applicationProtocols: ["bench"],
    credentials: [rawPublicKeyCredential(own)],
    peer: peer === undefined
      ? { certificateTypes: [], ask: false }
      : { certificateTypes: ["RawPublicKey"], publicKeys: [peer], ask: false },
    keyLog: false,
  };
}
