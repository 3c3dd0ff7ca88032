/**
 * What moves and seals packets: the runtime alone, or Linux sockets with segmentation offload and libcrypto, by foreign
 * functions (`--allow-ffi`). Chosen when a program starts.
 *
 * @module
 */

import type { Host } from "../io/host.ts";
import { libcrypto } from "../io/libcrypto.ts";
import { LinuxHost } from "../io/linux_host.ts";
import { isForeignAllowed, linuxLibrary } from "../io/linux_sockets.ts";
import { systemHost } from "../io/system_host.ts";
import type { AeadBackend, AeadName } from "../protocols/crypto/aead.ts";
import { fastestAead } from "../protocols/crypto/fastest.ts";
import { LibcryptoBackend } from "../protocols/crypto/libcrypto_aead.ts";
import { NODE_AEAD_BACKEND } from "../protocols/crypto/node_aead.ts";
import { CIPHER_SUITES, type CipherSuiteName } from "../protocols/tls/cipher_suites.ts";
import { DEFAULT_CIPHER_SUITES } from "../protocols/tls/config.ts";

/**
 * `runtime`: nothing but what the runtime brings. `ffi`: foreign functions, as far as they are there. `auto`: those if they
 * are allowed.
 */
export type BackendName = "auto" | "runtime" | "ffi";

/** All of them, as they are written. */
export const BACKEND_NAMES: readonly BackendName[] = ["auto", "runtime", "ffi"];

/** Who seals packets, and with what. */
export interface Sealing {
  readonly aead: AeadBackend;
  /** In order of preference: the fastest first. */
  readonly cipherSuites: readonly CipherSuiteName[];
}

/** What was chosen. */
export interface Backends extends Sealing {
  readonly host: Host;
  /** What is not as it was asked for, and why: a line each, for people. */
  readonly notes: readonly string[];
}

/** Without foreign functions. */
export const RUNTIME_SEALING: Sealing = Object.freeze({
  aead: NODE_AEAD_BACKEND,
  cipherSuites: DEFAULT_CIPHER_SUITES,
});

/** Measured once: the machine stays the same. */
let measured: Sealing | undefined;

/** Opens them. What is not there is done without, and noted. */
export function openBackends(name: BackendName = "auto"): Backends {
  if (name === "runtime" || (name === "auto" && !isForeignAllowed())) {
    const { host, note } = systemHost();
    return { host, ...RUNTIME_SEALING, notes: note === undefined ? [] : [note] };
  }
  const notes: string[] = [];
  const sockets = linuxLibrary();
  if ("reason" in sockets) notes.push(`packets go through the runtime's sockets, one by one: ${sockets.reason}`);
  const { host, note } = "reason" in sockets ? systemHost() : { host: new LinuxHost() };
  if (note !== undefined) notes.push(note);
  const functions = libcrypto();
  if ("reason" in functions) {
    notes.push(`packets are sealed by the runtime: ${functions.reason}`);
    return { host, ...RUNTIME_SEALING, notes };
  }
  measured ??= fastestSealing(new LibcryptoBackend(functions), () => host.now());
  return { host, ...measured, notes };
}

function fastestSealing(libcryptoBackend: AeadBackend, now: () => number): Sealing {
  const { backend, names } = fastestAead([NODE_AEAD_BACKEND, libcryptoBackend], now);
  const rank = (suite: CipherSuiteName): number => names.indexOf(aeadOf(suite));
  return { aead: backend, cipherSuites: DEFAULT_CIPHER_SUITES.toSorted((a, b) => rank(a) - rank(b)) };
}

function aeadOf(suite: CipherSuiteName): AeadName {
  return CIPHER_SUITES[suite].aead;
}
