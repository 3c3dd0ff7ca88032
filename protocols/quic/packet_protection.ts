/**
 * Packet protection: Initial secrets, keys from secrets, sealing and opening in place, header protection, key update,
 * and the integrity tag of Retry: RFC 9001 §5, §6.
 *
 * @module
 */

import type { Aead, AeadBackend, AeadName, HeaderProtection } from "../crypto/aead.ts";
import { AEAD_NONCE_BYTES, AEAD_PROPERTIES, aeadLimits } from "../crypto/aead.ts";
import { equalSecrets } from "../crypto/constant_time.ts";
import { HASH_BYTES } from "../crypto/hash.ts";
import type { HashName } from "../crypto/hash.ts";
import { hkdfExpandLabel, hkdfExtract } from "../crypto/hkdf.ts";
import { fromHex } from "../core/bytes.ts";
import { TransportError } from "./errors.ts";
import { MAX_PACKET_NUMBER_BYTES, TAG_BYTES } from "./packet.ts";
import { decodePacketNumber } from "./packet_number.ts";

/** RFC 9001 §5.2: `initial_salt` of version 1. */
const INITIAL_SALT = fromHex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
/** RFC 9001 §5.8: key and nonce of the integrity tag of Retry in version 1. */
const RETRY_KEY = fromHex("be0c690b9f66575a1d766b54e368c84e");
const RETRY_NONCE = fromHex("461599d35d632bf2239825bb");

const NO_BYTES = new Uint8Array(0);
/** Above every packet number: nothing was opened in the phase that we initiated. */
const NO_PACKET_YET = Number.MAX_SAFE_INTEGER;

/** Which AEAD and hash protect packets: of the cipher suite that TLS chose. */
export interface ProtectionSuite {
  readonly aead: AeadName;
  readonly hash: HashName;
}

/** RFC 9001 §5.2: Initial packets use AES-128-GCM and SHA-256 whatever is negotiated. */
export const INITIAL_SUITE: ProtectionSuite = { aead: "AES_128_GCM", hash: "SHA-256" };

/**
 * Secrets for Initial packets: RFC 9001 §5.2.
 *
 * @param destinationConnectionId Of the first Initial the client sent, or of the Initial that follows a Retry.
 */
export function deriveInitialSecrets(
  destinationConnectionId: Uint8Array,
): { readonly client: Uint8Array; readonly server: Uint8Array } {
  const initialSecret = hkdfExtract("SHA-256", INITIAL_SALT, destinationConnectionId);
  return {
    client: hkdfExpandLabel("SHA-256", initialSecret, "client in"),
    server: hkdfExpandLabel("SHA-256", initialSecret, "server in"),
  };
}

/** Key and IV of one key phase: RFC 9001 §5.1. */
export function derivePhaseKeys(
  suite: ProtectionSuite,
  secret: Uint8Array,
): { readonly key: Uint8Array; readonly iv: Uint8Array } {
  return {
    key: hkdfExpandLabel(suite.hash, secret, "quic key", NO_BYTES, AEAD_PROPERTIES[suite.aead].keyBytes),
    iv: hkdfExpandLabel(suite.hash, secret, "quic iv", NO_BYTES, AEAD_NONCE_BYTES),
  };
}

/** The header protection key, which outlives key phases: RFC 9001 §5.1, §6.1. */
export function deriveHeaderKey(suite: ProtectionSuite, secret: Uint8Array): Uint8Array {
  return hkdfExpandLabel(suite.hash, secret, "quic hp", NO_BYTES, AEAD_PROPERTIES[suite.aead].keyBytes);
}

/** The secret of the next key phase: RFC 9001 §6.1. */
export function nextSecret(suite: ProtectionSuite, secret: Uint8Array): Uint8Array {
  return hkdfExpandLabel(suite.hash, secret, "quic ku", NO_BYTES, HASH_BYTES[suite.hash]);
}

/** Of the packet that is being sealed or opened: no AEAD keeps it. */
const NONCE = new Uint8Array(AEAD_NONCE_BYTES);

/** The AEAD of one key phase with its IV: RFC 9001 §5.3. */
class PhaseKey {
  /** That of the next phase is made of it, and it is let go. */
  secret: Uint8Array;
  readonly #aead: Aead;
  readonly #iv: Uint8Array;

  constructor(backend: AeadBackend, suite: ProtectionSuite, secret: Uint8Array) {
    const { key, iv } = derivePhaseKeys(suite, secret);
    this.secret = secret;
    this.#aead = backend.aead(suite.aead, key);
    this.#iv = iv;
  }

  seal(packetNumber: number, buffer: Uint8Array, aadStart: number, start: number, end: number): void {
    this.#aead.seal(this.#nonceOf(packetNumber), buffer, aadStart, start, end);
  }

  open(packetNumber: number, buffer: Uint8Array, aadStart: number, start: number, end: number): boolean {
    return this.#aead.open(this.#nonceOf(packetNumber), buffer, aadStart, start, end);
  }

  /** The packet number in network order, left-padded, exclusive-or the IV: RFC 9001 §5.3. */
  #nonceOf(packetNumber: number): Uint8Array {
    const iv = this.#iv;
    const nonce = NONCE;
    for (let i = 0; i < 5; i++) nonce[i] = iv[i]!;
    const high = Math.floor(packetNumber / 0x100000000);
    nonce[5] = iv[5]! ^ (high >>> 16);
    nonce[6] = iv[6]! ^ (high >>> 8);
    nonce[7] = iv[7]! ^ high;
    nonce[8] = iv[8]! ^ (packetNumber >>> 24);
    nonce[9] = iv[9]! ^ (packetNumber >>> 16);
    nonce[10] = iv[10]! ^ (packetNumber >>> 8);
    nonce[11] = iv[11]! ^ packetNumber;
    return nonce;
  }
}

/** That of the phase after this one: RFC 9001 §6.1. */
function keyAfter(backend: AeadBackend, suite: ProtectionSuite, key: PhaseKey): PhaseKey {
  const next = new PhaseKey(backend, suite, nextSecret(suite, key.secret));
  key.secret = NO_BYTES;
  return next;
}

/** Applies protection to the packets of one space in one direction. */
export class PacketSealer {
  /** Packets that may be sealed in one phase: RFC 9001 §6.6. */
  readonly limitPackets: number;
  readonly #backend: AeadBackend;
  readonly #suite: ProtectionSuite;
  readonly #headerProtection: HeaderProtection;
  #key: PhaseKey;
  #next: PhaseKey | undefined;
  #keyPhase: 0 | 1 = 0;
  #sealedPackets = 0;

  constructor(backend: AeadBackend, suite: ProtectionSuite, secret: Uint8Array) {
    this.limitPackets = aeadLimits(backend, suite.aead).confidentialityLimitPackets;
    this.#backend = backend;
    this.#suite = suite;
    this.#key = new PhaseKey(backend, suite, secret);
    this.#headerProtection = backend.headerProtection(suite.aead, deriveHeaderKey(suite, secret));
  }

  /** The Key Phase bit for packets to come: RFC 9001 §6. */
  get keyPhase(): 0 | 1 {
    return this.#keyPhase;
  }

  /** Packets sealed in this phase. */
  get sealedPackets(): number {
    return this.#sealedPackets;
  }

  /**
   * Seals a packet in place and applies header protection: RFC 9001 §5.3, §5.4.
   *
   * @param start Where the packet begins in `buffer`.
   * @param packetNumberAt Where its packet number of `packetNumberBytes` begins.
   * @param end Where its payload ends; the tag goes to the 16 bytes behind. Packet number and payload are at least 4 bytes.
   */
  seal(
    buffer: Uint8Array,
    start: number,
    packetNumberAt: number,
    packetNumberBytes: number,
    end: number,
    packetNumber: number,
  ): void {
    this.#key.seal(packetNumber, buffer, start, packetNumberAt + packetNumberBytes, end);
    this.#sealedPackets++;
    const mask = this.#headerProtection.mask(buffer, packetNumberAt + MAX_PACKET_NUMBER_BYTES);
    const first = buffer[start]!;
    buffer[start] = first ^ (mask[0]! & ((first & 0x80) !== 0 ? 0x0f : 0x1f));
    for (let i = 0; i < packetNumberBytes; i++) {
      buffer[packetNumberAt + i] = buffer[packetNumberAt + i]! ^ mask[1 + i]!;
    }
  }

  /** Makes the keys of the next phase now, so that how long that takes tells nobody of an update: RFC 9001 §9.5. */
  prepareUpdate(): void {
    this.#next ??= keyAfter(this.#backend, this.#suite, this.#key);
  }

  /** Goes on to the next key phase: RFC 9001 §6.1. The header protection key stays. */
  update(): void {
    this.#key = this.#next ?? keyAfter(this.#backend, this.#suite, this.#key);
    this.#next = undefined;
    this.#keyPhase = this.#keyPhase === 0 ? 1 : 0;
    this.#sealedPackets = 0;
  }

  /** Gives up the keys: RFC 9001 §4.9. */
  close(): void {
    this.#headerProtection.close();
  }
}

/** Removes protection from the packets of one space in one direction. Results are in its fields until the next packet. */
export class PacketOpener {
  /** Of the last packet opened. */
  packetNumber = -1;
  /** Where the payload of the last packet opened begins. */
  payloadStart = 0;
  /** Where it ends. */
  payloadEnd = 0;
  /** Whether the last packet opened had a reserved bit set, which is PROTOCOL_VIOLATION: RFC 9000 §17.2, §17.3.1. */
  hasReservedBits = false;
  /** Whether the last packet opened was the first of a new key phase: the sealer has to follow, RFC 9001 §6.2. */
  isNewPhase = false;
  /** Whether it was the first of its phase, whoever initiated that: the clock of the phase before starts, RFC 9001 §6.5. */
  isFirstOfPhase = false;
  /** Whether it was of the phase before this one. */
  isOfPreviousPhase = false;

  readonly #backend: AeadBackend;
  readonly #suite: ProtectionSuite;
  readonly #headerProtection: HeaderProtection;
  #key: PhaseKey;
  #keyPhase: 0 | 1 = 0;
  /** Lowest packet number opened in this phase: what is below belongs to the one before, RFC 9001 §6.3. */
  #phaseStart = 0;
  #previous: PhaseKey | undefined;
  /** Kept once made: a forger can have it made once, RFC 9001 §6.3. */
  #next: PhaseKey | undefined;
  readonly #limitPackets: number;
  #failedPackets = 0;

  constructor(backend: AeadBackend, suite: ProtectionSuite, secret: Uint8Array) {
    this.#limitPackets = aeadLimits(backend, suite.aead).integrityLimitPackets;
    this.#backend = backend;
    this.#suite = suite;
    this.#key = new PhaseKey(backend, suite, secret);
    this.#headerProtection = backend.headerProtection(suite.aead, deriveHeaderKey(suite, secret));
  }

  /** Packets that failed to open so far, all phases together. */
  get failedPackets(): number {
    return this.#failedPackets;
  }

  /** Whether as many packets failed as may: AEAD_LIMIT_REACHED, RFC 9001 §6.6. */
  get isLimitReached(): boolean {
    return this.#failedPackets >= this.#limitPackets;
  }

  /** Whether keys of the previous phase are kept for packets that were reordered. */
  get hasPrevious(): boolean {
    return this.#previous !== undefined;
  }

  /**
   * Opens a packet in place.
   *
   * @param start Where the packet begins in `buffer`, which is as before if opening fails.
   * @param packetNumberAt Where its packet number begins.
   * @param end Where its tag ends.
   * @param largestPacketNumber Largest one received in this space, -1 if none.
   * @returns Whether the packet is authentic.
   * @throws {TransportError} KEY_UPDATE_ERROR if it is, and goes back to keys that the peer had left: RFC 9001 §6.4.
   */
  open(buffer: Uint8Array, start: number, packetNumberAt: number, end: number, largestPacketNumber: number): boolean {
    // RFC 9001 §5.4.2: too short to sample.
    if (end - packetNumberAt < MAX_PACKET_NUMBER_BYTES + TAG_BYTES) return false;
    const mask = this.#headerProtection.mask(buffer, packetNumberAt + MAX_PACKET_NUMBER_BYTES);
    const isLong = (buffer[start]! & 0x80) !== 0;
    const first = buffer[start]! ^ (mask[0]! & (isLong ? 0x0f : 0x1f));
    buffer[start] = first;
    const length = (first & 0x03) + 1;
    let truncated = 0;
    for (let i = 0; i < length; i++) {
      const byte = buffer[packetNumberAt + i]! ^ mask[1 + i]!;
      buffer[packetNumberAt + i] = byte;
      truncated = truncated * 0x100 + byte;
    }
    const packetNumber = decodePacketNumber(largestPacketNumber, truncated, length);
    this.packetNumber = packetNumber;
    this.payloadStart = packetNumberAt + length;
    this.payloadEnd = end - TAG_BYTES;
    this.hasReservedBits = (first & (isLong ? 0x0c : 0x18)) !== 0;
    this.isNewPhase = false;
    this.isFirstOfPhase = false;
    this.isOfPreviousPhase = false;
    const opened = isLong || ((first >> 2) & 1) === this.#keyPhase
      ? this.#openThisPhase(packetNumber, buffer, start, end)
      : this.#openOtherPhase(packetNumber, buffer, start, end);
    if (!opened) {
      this.#failedPackets++;
      // Put back as it was: the end of a short datagram may have to be read as a stateless reset token.
      buffer[start] = first ^ (mask[0]! & (isLong ? 0x0f : 0x1f));
      for (let i = 0; i < length; i++) buffer[packetNumberAt + i] = buffer[packetNumberAt + i]! ^ mask[1 + i]!;
    }
    return opened;
  }

  /**
   * Makes the keys of the next phase now, so that a packet that claims to be of it takes no longer than others, whoever sent
   * it: RFC 9001 §6.3, §9.5.
   */
  prepareUpdate(): void {
    this.#nextKey();
  }

  /** Goes on to the next key phase, because we initiate: RFC 9001 §6.1. The peer's packets of the old one still open. */
  update(): void {
    this.#advance(this.#nextKey(), NO_PACKET_YET);
  }

  /** Forgets the previous phase (RFC 9001 §6.5), unless the peer may still be in it: then we have initiated since. */
  discardPrevious(): void {
    if (this.#phaseStart !== NO_PACKET_YET) this.#previous = undefined;
  }

  /** Gives up the keys: RFC 9001 §4.9. */
  close(): void {
    this.#headerProtection.close();
  }

  #openThisPhase(packetNumber: number, buffer: Uint8Array, start: number, end: number): boolean {
    if (!this.#key.open(packetNumber, buffer, start, this.payloadStart, end)) return false;
    if (packetNumber < this.#phaseStart) {
      this.isFirstOfPhase = this.#phaseStart === NO_PACKET_YET;
      this.#phaseStart = packetNumber;
    }
    return true;
  }

  #openOtherPhase(packetNumber: number, buffer: Uint8Array, start: number, end: number): boolean {
    const previous = this.#previous;
    // RFC 9001 §6.3: only a packet newer than this phase can be of the next.
    if (packetNumber < this.#phaseStart) {
      this.isOfPreviousPhase = previous?.open(packetNumber, buffer, start, this.payloadStart, end) === true;
      return this.isOfPreviousPhase;
    }
    const next = this.#nextKey();
    if (next.open(packetNumber, buffer, start, this.payloadStart, end)) {
      this.#advance(next, packetNumber);
      this.isNewPhase = true;
      this.isFirstOfPhase = true;
      return true;
    }
    // RFC 9001 §6.4: who has used newer keys for a smaller number has no more use for these.
    if (previous?.open(packetNumber, buffer, start, this.payloadStart, end) === true) {
      throw new TransportError("KEY_UPDATE_ERROR", "A packet with older keys than one with a smaller number");
    }
    return false;
  }

  #nextKey(): PhaseKey {
    return this.#next ??= keyAfter(this.#backend, this.#suite, this.#key);
  }

  #advance(next: PhaseKey, phaseStart: number): void {
    this.#previous = this.#key;
    this.#key = next;
    this.#next = undefined;
    this.#keyPhase = this.#keyPhase === 0 ? 1 : 0;
    this.#phaseStart = phaseStart;
  }
}

/**
 * The integrity tag of a Retry: RFC 9001 §5.8.
 *
 * @param originalDestinationConnectionId Of the Initial that the Retry answers.
 * @param retry The packet without its tag.
 */
export function retryIntegrityTag(
  backend: AeadBackend,
  originalDestinationConnectionId: Uint8Array,
  retry: Uint8Array,
): Uint8Array {
  const idBytes = originalDestinationConnectionId.length;
  const pseudoBytes = 1 + idBytes + retry.length;
  const pseudoPacket = new Uint8Array(pseudoBytes + TAG_BYTES);
  pseudoPacket[0] = idBytes;
  pseudoPacket.set(originalDestinationConnectionId, 1);
  pseudoPacket.set(retry, 1 + idBytes);
  backend.aead("AES_128_GCM", RETRY_KEY).seal(RETRY_NONCE, pseudoPacket, 0, pseudoBytes, pseudoBytes);
  return pseudoPacket.subarray(pseudoBytes);
}

/** Whether a Retry, tag included, answers an Initial sent to `originalDestinationConnectionId`. */
export function isRetryAuthentic(
  backend: AeadBackend,
  originalDestinationConnectionId: Uint8Array,
  retry: Uint8Array,
): boolean {
  const tagAt = retry.length - TAG_BYTES;
  if (tagAt < 0) return false;
  const tag = retryIntegrityTag(backend, originalDestinationConnectionId, retry.subarray(0, tagAt));
  return equalSecrets(tag, retry.subarray(tagAt));
}
