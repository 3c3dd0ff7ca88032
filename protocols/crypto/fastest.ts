/**
 * Which AEAD backend seals fastest on this machine, and which AEAD with it: measured once, when a program starts.
 *
 * @module
 */

import { AEAD_NONCE_BYTES, AEAD_PROPERTIES, AEAD_TAG_BYTES } from "./aead.ts";
import type { AeadBackend, AeadName } from "./aead.ts";

/** A packet of full size. */
const PACKET_BYTES = 1200;

/** Packets sealed in one measurement, and measurements of which the best counts: others shared the core with something. */
const PACKETS = 16;
const MEASUREMENTS = 4;

const NAMES: readonly AeadName[] = ["AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305"];

/** What was found. */
export interface FastestAead {
  readonly backend: AeadBackend;
  /** The AEADs, the fastest with that backend first. */
  readonly names: readonly AeadName[];
}

/**
 * Measures for a few milliseconds.
 *
 * @param backends At least one; of equals the first wins.
 * @param now Monotonic milliseconds, with fractions.
 */
export function fastestAead(backends: readonly [AeadBackend, ...AeadBackend[]], now: () => number): FastestAead {
  let best: (FastestAead & { readonly ms: number }) | undefined;
  for (const backend of backends) {
    const timed = NAMES.map((name) => ({ name, ms: timeOf(backend, name, now) })).toSorted((a, b) => a.ms - b.ms);
    const ms = timed[0]?.ms ?? Infinity;
    if (best === undefined || ms < best.ms) best = { backend, ms, names: timed.map(({ name }) => name) };
  }
  return best ?? { backend: backends[0], names: NAMES };
}

function timeOf(backend: AeadBackend, name: AeadName, now: () => number): number {
  const aead = backend.aead(name, new Uint8Array(AEAD_PROPERTIES[name].keyBytes));
  const packet = new Uint8Array(PACKET_BYTES + AEAD_TAG_BYTES);
  const nonce = new Uint8Array(AEAD_NONCE_BYTES);
  let ms = Infinity;
  for (let measurement = 0; measurement < MEASUREMENTS; measurement++) {
    const begun = now();
    for (let count = 0; count < PACKETS; count++) aead.seal(nonce, packet, 0, 20, PACKET_BYTES);
    ms = Math.min(ms, now() - begun);
  }
  return ms;
}
