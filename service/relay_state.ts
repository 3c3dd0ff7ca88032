/**
 * What a relay is known by, kept over a restart: its certificate, and the secrets that tokens, stateless resets
 * (RFC 9000 §10.3.2) and the choice of ports hang on. All secrets come from one seed.
 *
 * @module
 */

import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { hmac } from "../protocols/crypto/hash.ts";
import { type Random, randomBytes } from "../protocols/core/random.ts";
import { encodeText } from "../signaling/signed.ts";
import { makeSelfSigned, ownCertificate, type SelfSigned } from "./self_signed.ts";

/** What the relay's own certificate is for, as far as it says: clients go by its SHA-256. */
const CERTIFICATE_NAME = "traverse.invalid";

const HEADER = "traverse-relay-state-1";
const SEED_BYTES = 32;

/** What a relay is known by. */
export interface RelayState {
  readonly certificate: SelfSigned;
  /** What tokens are signed with where no other secret is given. 32 bytes. */
  readonly tokenSecret: Uint8Array;
  /** What stateless reset tokens are made from. 32 bytes. */
  readonly resetKey: Uint8Array;
  /** What decides which port a key gets. 32 bytes. */
  readonly portSecret: Uint8Array;
  /** All of it, for a file that nobody else may read. */
  readonly text: string;
}

/**
 * Makes a state that nobody had before.
 *
 * @param epochMs The present, milliseconds since 1970.
 */
export function makeRelayState(random: Random, epochMs: number): RelayState {
  const seed = randomBytes(random, SEED_BYTES);
  return stateOf(seed, makeSelfSigned(CERTIFICATE_NAME, random, epochMs, keyOf(seed)));
}

/** The state in a text; `undefined` if it is none. */
export function parseRelayState(text: string): RelayState | undefined {
  const [header, seedText = "", certificateText = "", ...rest] = text.trim().split(/\s+/, 4);
  if (header !== HEADER || rest.length > 0) return undefined;
  try {
    const seed = Uint8Array.fromBase64(seedText);
    if (seed.length !== SEED_BYTES) return undefined;
    const certificate = ownCertificate(Uint8Array.fromBase64(certificateText), keyOf(seed));
    return certificate && stateOf(seed, certificate);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function stateOf(seed: Uint8Array, certificate: SelfSigned): RelayState {
  const [der] = certificate.credential.certificates;
  return {
    certificate,
    tokenSecret: derive(seed, "tokens"),
    resetKey: derive(seed, "resets"),
    portSecret: derive(seed, "ports"),
    text: `${HEADER} ${seed.toBase64()} ${der?.toBase64() ?? ""}\n`,
  };
}

function keyOf(seed: Uint8Array): Ed25519PrivateKey {
  return Ed25519PrivateKey.fromSeed(derive(seed, "certificate"));
}

function derive(seed: Uint8Array, what: string): Uint8Array {
  return hmac("SHA-256", seed, encodeText(`traverse relay ${what}`));
}
