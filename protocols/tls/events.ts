/**
 * What comes out of a handshake besides CRYPTO data: the seam between TLS and QUIC (RFC 9001 §4.1).
 *
 * @module
 */

import type { AlertName } from "./alerts.ts";
import type { CipherSuite } from "./cipher_suites.ts";
import type { NamedGroupName } from "./named_groups.ts";
import type { PeerIdentity } from "./peer_policy.ts";
import type { SignatureScheme } from "./signature_schemes.ts";

/** RFC 9001 §2.1: Initial, 0-RTT, Handshake and 1-RTT. */
export type EncryptionLevel = "initial" | "early" | "handshake" | "application";

/** Bytes for CRYPTO frames of one level. */
export interface CryptoData {
  readonly level: EncryptionLevel;
  /** Owned by the caller from now on. */
  readonly data: Uint8Array;
}

/** A label of the key log format, the secret's name there. */
export type KeyLogLabel =
  | "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
  | "SERVER_HANDSHAKE_TRAFFIC_SECRET"
  | "CLIENT_TRAFFIC_SECRET_0"
  | "SERVER_TRAFFIC_SECRET_0"
  | "EXPORTER_SECRET";

/**
 * An event. Arrays in it belong to the receiver and are not written afterwards.
 *
 * Order: `secrets` for a level always come before anything that needs them. CRYPTO data is polled apart; a level's data
 * appears only after that level's write secret.
 */
export type TlsEvent =
  /**
   * One direction of one level has keys. A server gets "application" "write" with its Finished, and "application" "read"
   * only when the client's Finished has been verified (and its CertificateVerify, where clients must authenticate).
   */
  | {
    readonly type: "secrets";
    readonly level: "handshake" | "application";
    readonly direction: "read" | "write";
    readonly secret: Uint8Array;
    readonly cipherSuite: CipherSuite;
  }
  /** The peer's transport parameters, not authenticated before `handshakeComplete` (RFC 9001 §8.2). */
  | { readonly type: "transportParameters"; readonly bytes: Uint8Array }
  /** Wants `provideSignature`: the credential in use has no key of its own. `input` is signed as it is. */
  | { readonly type: "sign"; readonly scheme: SignatureScheme; readonly input: Uint8Array }
  /** Wants `provideVerdict`: the peer has proved its key, and the policy asks. */
  | { readonly type: "verifyPeer"; readonly peer: PeerIdentity }
  /** RFC 9001 §4.1.1: the peer's Finished is verified and ours is sent. */
  | {
    readonly type: "handshakeComplete";
    readonly applicationProtocol: string;
    /** What the client asked for with server_name, on either side. */
    readonly serverName: string | undefined;
    /** Of the key exchange. */
    readonly group: NamedGroupName;
    /** `undefined` on a server that does not ask clients to authenticate. */
    readonly peer: PeerIdentity | undefined;
  }
  /** Only if the config asks for it. */
  | {
    readonly type: "keyLog";
    readonly label: KeyLogLabel;
    readonly clientRandom: Uint8Array;
    readonly secret: Uint8Array;
  };

/** The answer to `verifyPeer`; `reason` is for people. */
export type Verdict =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly alert: AlertName; readonly reason?: string };
