/**
 * What both ends of a call tell TLS: raw public keys in both directions (RFC 7250), judged by the call they belong to.
 *
 * @module
 */

import type { TlsSettings } from "../protocols/quic/config.ts";
import { rawPublicKeyCredential } from "../protocols/tls/certificates.ts";
import { DEFAULT_CIPHER_SUITES } from "../protocols/tls/config.ts";
import type { NamedGroupName } from "../protocols/tls/named_groups.ts";
import type { Node } from "./traversal.ts";

/** What a call that is to be safe from the quantum computers to come sends, and what it falls back to. */
const POST_QUANTUM_SHARES: readonly NamedGroupName[] = ["X25519MLKEM768", "x25519"];

/** Settings under which the peer's key is asked about by `verifyPeer`, and our own key as peer is refused. */
export function tlsSettings(node: Node): TlsSettings {
  return {
    cipherSuites: node.sealing?.cipherSuites ?? DEFAULT_CIPHER_SUITES,
    ...(node.postQuantum === true ? { keyShares: POST_QUANTUM_SHARES } : {}),
    applicationProtocols: [node.protocol],
    credentials: [rawPublicKeyCredential(node.identity)],
    peer: { certificateTypes: ["RawPublicKey"], refusePublicKey: node.identity.publicKey.bytes, ask: true },
    keyLog: node.keyLog,
  };
}
