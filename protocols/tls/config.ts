/**
 * What a handshake is told before it starts: protocols, suites, what we present and, by {@linkcode PeerPolicy}, whom we accept.
 *
 * @module
 */

import { isIpAddress } from "../core/address.ts";
import type { Credential } from "./certificates.ts";
import { NODE_AEAD_NAMES } from "../crypto/node_aead.ts";
import { CIPHER_SUITES } from "./cipher_suites.ts";
import type { CipherSuiteName } from "./cipher_suites.ts";
import type { NamedGroupName } from "./named_groups.ts";
import type { PeerPolicy } from "./peer_policy.ts";

/** Everything one handshake needs; read-only, and may be shared by many connections. */
export interface TlsConfig {
  /** Which end we are. */
  readonly role: "client" | "server";
  /** In order of preference; the server's order decides. */
  readonly cipherSuites: readonly CipherSuiteName[];
  /** Key exchange groups, in order of preference; absent: {@linkcode DEFAULT_GROUPS}. */
  readonly groups?: readonly NamedGroupName[];
  /**
   * Of a client, and nothing to a server: the groups of which the first ClientHello has a share. A server that wants another one of `groups` costs
   * a round trip more (HelloRetryRequest). Absent: X25519 if it is among them, else the first.
   */
  readonly keyShares?: readonly NamedGroupName[];
  /** ALPN, in order of preference; the server's order decides. QUIC requires one (RFC 9001 §8.1). */
  readonly applicationProtocols: readonly string[];
  /** Our transport parameters, encoded (RFC 9000 §18); opaque here. */
  readonly transportParameters: Uint8Array;
  /** Host name for the server_name extension, clients only. Never an IP address (RFC 6066 §3). */
  readonly serverName?: string;
  /**
   * What we can present, in order of preference. A server needs at least one; a client without any can only answer a
   * request for authentication with an empty Certificate.
   */
  readonly credentials: readonly Credential[];
  /** Whom we accept. */
  readonly peer: PeerPolicy;
  /** Whether to emit `keyLog` events. They give the session to whoever reads them. */
  readonly keyLog: boolean;
}

/**
 * The suites to offer when there is no reason for others: those that the runtime has. ChaCha20-Poly1305 goes first: through
 * `node:crypto` it is faster than AES-GCM.
 */
export const DEFAULT_CIPHER_SUITES: readonly CipherSuiteName[] = ([
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
] as const).filter((suite) => NODE_AEAD_NAMES.includes(CIPHER_SUITES[suite].aead));

/**
 * The groups to offer when there is no reason for others. The hybrid goes first: a server takes it from whoever sends its
 * share, and may ask for it. Which share a client sends unasked is another matter, for that of the hybrid makes of its first
 * flight two datagrams (`docs/performance.md` has what it costs).
 */
export const DEFAULT_GROUPS: readonly NamedGroupName[] = ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"];

/** The groups a handshake may use. */
export function groupsOf(config: TlsConfig): readonly NamedGroupName[] {
  return config.groups ?? DEFAULT_GROUPS;
}

/** The groups of which a client's first ClientHello has a share. */
export function keySharesOf(config: TlsConfig): readonly NamedGroupName[] {
  const groups = groupsOf(config);
  return config.keyShares ?? (groups.includes("x25519") ? ["x25519"] : groups.slice(0, 1));
}

/** @throws {TypeError|RangeError} If the config cannot lead to a handshake. */
export function checkTlsConfig(config: TlsConfig): void {
  const { peer } = config;
  if (config.cipherSuites.length === 0) throw new RangeError("Cannot start TLS: no cipher suite is given");
  if (config.applicationProtocols.length === 0) {
    throw new RangeError("Cannot start TLS: no application protocol is given, QUIC needs one (RFC 9001 §8.1)");
  }
  const groups = groupsOf(config);
  if (groups.length === 0) throw new RangeError("Cannot start TLS: no key exchange group is given");
  for (const name of keySharesOf(config)) {
    if (!groups.includes(name)) throw new RangeError(`Cannot start TLS: a key share of ${name}, not among groups`);
  }
  for (const protocol of config.applicationProtocols) {
    if (!/^[\x20-\x7e]{1,255}$/.test(protocol)) {
      throw new RangeError(`Cannot start TLS: protocol "${protocol}" is not 1 to 255 characters of ASCII`);
    }
  }
  if (config.role === "server" && config.credentials.length === 0) {
    throw new RangeError("Cannot start TLS: a server needs a credential to present");
  }
  if (config.role === "server" && config.serverName !== undefined) {
    throw new TypeError("Cannot start TLS: serverName is the client's to set");
  }
  if (config.serverName !== undefined && !isHostName(config.serverName)) {
    throw new TypeError(`Cannot start TLS: serverName "${config.serverName}" is not a host name (RFC 6066 §3)`);
  }
  if (config.role === "client" && peer.certificateTypes.length === 0) {
    throw new RangeError("Cannot start TLS: a client needs peer.certificateTypes, for servers always authenticate");
  }
  if (peer.certificateTypes.includes("X509") && peer.certificateSha256 === undefined && !peer.ask) {
    throw new TypeError("Cannot start TLS: accepting X509 needs peer.certificateSha256 or peer.ask");
  }
  for (const key of [...peer.publicKeys ?? [], ...peer.certificateSha256 ?? [], peer.refusePublicKey]) {
    if (key !== undefined && key.length !== 32) {
      throw new RangeError("Cannot start TLS: public keys and certificate digests have 32 bytes");
    }
  }
}

/** Letters of a DNS name, and not an IP address, which the extension must not carry. */
function isHostName(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,255}$/.test(text) && !text.endsWith(".") && !isIpAddress(text);
}
