/**
 * The key schedule (RFC 8446 §7.1) without pre-shared keys, in stages: what a stage may derive is what its secrets are
 * for. Finished (§4.4.4), what CertificateVerify signs (§4.4.3) and exporters (§7.5) are here too.
 *
 * @module
 */

import { concatBytes } from "../core/bytes.ts";
import { hash, HASH_BYTES, hmac } from "../crypto/hash.ts";
import type { HashName } from "../crypto/hash.ts";
import { hkdfExpandLabel, hkdfExtract } from "../crypto/hkdf.ts";

/** What both sides know after ServerHello. */
export interface HandshakeSecrets {
  readonly hash: HashName;
  /** client_handshake_traffic_secret. */
  readonly client: Uint8Array;
  /** server_handshake_traffic_secret. */
  readonly server: Uint8Array;
  /** The master secret, for {@linkcode deriveApplicationSecrets} only. */
  readonly master: Uint8Array;
}

/** What is kept for exporters; traffic secrets are not, so that a key update leaves nothing behind to read old packets. */
export interface ExporterSecret {
  readonly hash: HashName;
  /** exporter_master_secret. */
  readonly exporter: Uint8Array;
}

/** What both sides know after the server's Finished. */
export interface ApplicationSecrets extends ExporterSecret {
  /** client_application_traffic_secret_0. */
  readonly client: Uint8Array;
  /** server_application_traffic_secret_0. */
  readonly server: Uint8Array;
}

/** Derive-Secret, given the hash of the messages. */
export function deriveSecret(name: HashName, secret: Uint8Array, label: string, transcript: Uint8Array): Uint8Array {
  return hkdfExpandLabel(name, secret, label, transcript);
}

/**
 * The handshake stage.
 *
 * @param sharedSecret From the key exchange.
 * @param helloHash Transcript-Hash(ClientHello..ServerHello).
 */
export function deriveHandshakeSecrets(
  name: HashName,
  sharedSecret: Uint8Array,
  helloHash: Uint8Array,
): HandshakeSecrets {
  const { emptyHash, saltForHandshake } = startOf(name);
  const secret = hkdfExtract(name, saltForHandshake, sharedSecret);
  const saltForMaster = deriveSecret(name, secret, "derived", emptyHash);
  return {
    hash: name,
    client: deriveSecret(name, secret, "c hs traffic", helloHash),
    server: deriveSecret(name, secret, "s hs traffic", helloHash),
    master: hkdfExtract(name, saltForMaster, new Uint8Array(HASH_BYTES[name])),
  };
}

/**
 * The application stage.
 *
 * @param serverFinishedHash Transcript-Hash(ClientHello..server Finished).
 */
export function deriveApplicationSecrets(
  handshake: HandshakeSecrets,
  serverFinishedHash: Uint8Array,
): ApplicationSecrets {
  const { hash: name, master } = handshake;
  return {
    hash: name,
    client: deriveSecret(name, master, "c ap traffic", serverFinishedHash),
    server: deriveSecret(name, master, "s ap traffic", serverFinishedHash),
    exporter: deriveSecret(name, master, "exp master", serverFinishedHash),
  };
}

/**
 * verify_data of a Finished message: RFC 8446 §4.4.4.
 *
 * @param trafficSecret The sender's handshake traffic secret.
 * @param transcript The hash of all messages before this one.
 */
export function finishedVerifyData(name: HashName, trafficSecret: Uint8Array, transcript: Uint8Array): Uint8Array {
  return hmac(name, hkdfExpandLabel(name, trafficSecret, "finished"), transcript);
}

/** The type of a message that is only ever hashed: RFC 8446 §4.4.1. */
const MESSAGE_HASH = 254;

/** What stands in the transcript for the first ClientHello where a HelloRetryRequest follows it: RFC 8446 §4.4.1. */
export function messageHash(name: HashName, clientHello: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(MESSAGE_HASH, 0, 0, HASH_BYTES[name]), hash(name, clientHello));
}

const SIGNATURE_PADDING = new Uint8Array(64).fill(0x20);

/**
 * What CertificateVerify signs: RFC 8446 §4.4.3.
 *
 * @param signer Who signs.
 * @param transcript The hash of all messages up to Certificate.
 */
export function certificateVerifyInput(signer: "client" | "server", transcript: Uint8Array): Uint8Array {
  const context = new TextEncoder().encode(`TLS 1.3, ${signer} CertificateVerify\0`);
  return concatBytes(SIGNATURE_PADDING, context, transcript);
}

/** TLS-Exporter: RFC 8446 §7.5. */
export function exportSecret(
  secret: ExporterSecret,
  label: string,
  context: Uint8Array,
  lengthBytes: number,
): Uint8Array {
  const { hash: name, exporter } = secret;
  const derived = deriveSecret(name, exporter, label, startOf(name).emptyHash);
  return hkdfExpandLabel(name, derived, "exporter", hash(name, context), lengthBytes);
}

interface Start {
  /** Hash of no messages. */
  readonly emptyHash: Uint8Array;
  /** Derive-Secret(Early Secret, "derived", ""). */
  readonly saltForHandshake: Uint8Array;
}

/** Without a pre-shared key the schedule always starts the same way, so it is computed once for each hash. */
const starts = new Map<HashName, Start>();

function startOf(name: HashName): Start {
  let start = starts.get(name);
  if (start === undefined) {
    const zeros = new Uint8Array(HASH_BYTES[name]);
    const emptyHash = hash(name);
    const saltForHandshake = deriveSecret(name, hkdfExtract(name, zeros, zeros), "derived", emptyHash);
    start = { emptyHash, saltForHandshake };
    starts.set(name, start);
  }
  return start;
}
