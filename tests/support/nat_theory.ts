/**
 * Which NATs let two peers through to each other, from the definitions of RFC 4787 alone: no clock, no packets, nothing of
 * what is being tested. Both peers check every address they know of the other, answer what reaches them, and learn where
 * it came from (RFC 8445 §7.3.1.3); a check has succeeded when its answer takes the same way back (RFC 8445 §7.2.5.2.1).
 *
 * @module
 */

import type { NatFiltering, NatMapping } from "../../lab/mod.ts";

/** A NAT, as far as it matters here. */
export interface NatKind {
  readonly mapping: NatMapping;
  readonly filtering: NatFiltering;
}

/** All nine, mapping by mapping. */
export const NAT_KINDS: readonly NatKind[] = (["EIM", "ADM", "APDM"] as const).flatMap((mapping) =>
  (["EIF", "ADF", "APDF"] as const).map((filtering) => ({ mapping, filtering }))
);

/** As a test prints it. */
export function nameOf({ mapping, filtering }: NatKind): string {
  return `${mapping}+${filtering}`;
}

/** Learning goes round at most so often: an agent keeps that many peer-reflexive candidates. */
const MAX_ROUNDS = 8;

/** Whether a check and its answer can take the same way between the two. */
export function connects(one: NatKind, other: NatKind): boolean {
  const a = new Side(one);
  const b = new Side(other);
  a.learn(b.mapTo("stun", 3478));
  b.learn(a.mapTo("stun", 3478));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    // Both open what they can, then see what has come through.
    a.sendToAll();
    b.sendToAll();
    if (a.reach(b) || b.reach(a)) return true;
  }
  return false;
}

/** One peer behind its NAT: external ports are numbers, and there is one remote host besides the STUN server. */
class Side {
  readonly #kind: NatKind;
  readonly #ports = new Map<string, number>();
  /** By external port: what it was used to send to, as the filter sees it. */
  readonly #opened = new Map<number, Set<string>>();
  readonly #known = new Set<number>();

  constructor(kind: NatKind) {
    this.#kind = kind;
  }

  /** A packet leaves: the external port it comes from, whose filter is open for the destination from now on. */
  mapTo(host: string, port: number): number {
    const { mapping, filtering } = this.#kind;
    const key = mapping === "EIM" ? "" : mapping === "ADM" ? host : `${host}:${port}`;
    const own = this.#ports.get(key) ?? this.#ports.size;
    this.#ports.set(key, own);
    const opened = this.#opened.get(own) ?? new Set();
    opened.add(filtering === "EIF" ? "" : filtering === "ADF" ? host : `${host}:${port}`);
    this.#opened.set(own, opened);
    return own;
  }

  learn(port: number): void {
    this.#known.add(port);
  }

  sendToAll(): void {
    for (const port of this.#known) this.mapTo("peer", port);
  }

  /** Checks everything known of `peer`. Whether one has been answered on its own way. */
  reach(peer: Side): boolean {
    for (const port of [...this.#known]) {
      const own = this.mapTo("peer", port);
      if (!peer.#lets(port, own)) continue;
      peer.learn(own);
      if (peer.mapTo("peer", own) === port) return true;
    }
    return false;
  }

  #lets(port: number, from: number): boolean {
    const { filtering } = this.#kind;
    const opened = this.#opened.get(port);
    return opened?.has(filtering === "EIF" ? "" : filtering === "ADF" ? "peer" : `peer:${from}`) === true;
  }
}
