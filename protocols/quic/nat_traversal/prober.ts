/**
 * The paths that one end probes, with what both ends do alike: find, open, ask, answer, end, and give connection IDs back.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import type { Base } from "../../core/machine.ts";
import type { Random } from "../../core/random.ts";
import type { ConnectionBudget } from "./probe_budget.ts";
import { ProbedPath } from "./probed_path.ts";
import type { ProbedPathChange } from "./probed_path.ts";
import type { PathKey, Probe, ProbeLeave } from "./traversal.ts";

/** Paths of one connection that are probed or remembered; one more takes the place of one that has failed, or has none. */
export const MAX_PROBED_PATHS = 32;

/** What has become of a path. */
export interface ProbedPathReport {
  readonly path: ProbedPath;
  readonly change: ProbedPathChange;
}

/** All probed paths of one end of a connection. */
export class Prober {
  readonly #random: Random;
  readonly #budget: ConnectionBudget;
  #paths: ProbedPath[] = [];
  #nextId = 0;
  readonly #released: number[] = [];
  readonly #reports: ProbedPathReport[] = [];
  #probesSent = 0;
  #probeBytesSent = 0;
  #probesWithheld = 0;

  constructor(random: Random, budget: ConnectionBudget) {
    this.#random = random;
    this.#budget = budget;
  }

  get paths(): readonly ProbedPath[] {
    return this.#paths;
  }

  get probesSent(): number {
    return this.#probesSent;
  }

  /** At most: a small probe counts at its longest. */
  get probeBytesSent(): number {
    return this.#probeBytesSent;
  }

  get probesWithheld(): number {
    return this.#probesWithheld;
  }

  /** The path of that base and remote address, if it is one of these. */
  find(base: Base, remote: Address): ProbedPath | undefined {
    return this.#paths.find((path) => path.base === base && path.remote === remote);
  }

  /** The path of that base and remote address, begun if it is new; `undefined` if there are too many. */
  open(base: Base, remote: Address, now: number): ProbedPath | undefined {
    const known = this.find(base, remote);
    if (known !== undefined) return known;
    if (this.#paths.length >= MAX_PROBED_PATHS) {
      const failed = this.#paths.find(({ state }) => state.name === "failed");
      if (failed === undefined) return undefined;
      this.close((path) => path === failed);
    }
    const path = new ProbedPath(this.#nextId++, base, remote, now);
    this.#paths.push(path);
    return path;
  }

  /** Forgets paths; the connection IDs they used are free. */
  close(isClosed: (path: ProbedPath) => boolean): void {
    const kept: ProbedPath[] = [];
    for (const path of this.#paths) {
      if (!isClosed(path)) kept.push(path);
      else if (path.hasStarted) this.#released.push(path.id);
    }
    this.#paths = kept;
  }

  /** The next probe that is due and may be sent. */
  poll(now: number, leave: ProbeLeave): Probe | undefined {
    for (const path of this.#paths) {
      path.isBlocked = !path.hasStarted && !leave.hasFreshId;
      if (path.isBlocked) continue;
      while (path.hasToSend(now)) {
        const probe = path.take(this.#random, (remote, bytes) => {
          const isGiven = this.#budget.take(remote, bytes, leave.receivedBytes, now);
          if (!isGiven) this.#probesWithheld++;
          return isGiven;
        }, now);
        if (probe === undefined) continue;
        this.#probesSent++;
        this.#probeBytesSent += probe.bytes;
        return { id: path.id, base: path.base, remote: path.remote, ...probe };
      }
    }
    return undefined;
  }

  /**
   * PATH_RESPONSE came in. It must have taken the way of its challenge back: RFC 9000 §8.2.3 would have it prove the path in
   * any case, but what it has to prove here is that a NAT lets packets through in both directions. One that came by another
   * way has shown that way instead.
   *
   * @returns Whether it answers one of our challenges, and on which path.
   */
  onResponse(
    { base, remote }: PathKey,
    data: Uint8Array,
    bytes: number,
    now: number,
  ): "answers" | "strays" | undefined {
    for (const path of this.#paths) {
      if (path.base !== base || path.remote !== remote) continue;
      const change = path.onResponse(data, bytes, now);
      if (change === false) break;
      if (change === "answered" || change === "sized") this.#budget.onProven(remote);
      if (change !== undefined) this.#reports.push({ path, change });
      return "answers";
    }
    return this.#paths.some((path) => path.hasChallenged(data)) ? "strays" : undefined;
  }

  /** The host has no way there. */
  onUnreachable({ base, remote }: PathKey): void {
    const path = this.find(base, remote);
    const change = path?.onUnreachable();
    if (path !== undefined && change !== undefined) this.#reports.push({ path, change });
  }

  /** Ends what has waited long enough. */
  onTimeout(now: number): void {
    for (const path of this.#paths) {
      const change = path.onTimeout(now);
      if (change !== undefined) this.#reports.push({ path, change });
    }
  }

  /** The next change, in order; to be read after every call that may cause one. */
  pollReport(): ProbedPathReport | undefined {
    return this.#reports.shift();
  }

  /** The next path whose connection ID is free. */
  pollReleased(): number | undefined {
    return this.#released.shift();
  }

  /** When a path has something to do. */
  get timeoutAt(): number | undefined {
    let first: number | undefined;
    for (const path of this.#paths) {
      const at = path.dueAt;
      if (at !== undefined && (first === undefined || at < first)) first = at;
    }
    return first;
  }
}
