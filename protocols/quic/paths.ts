/**
 * The paths of one connection: which carries it, where it goes back to, which are remembered: RFC 9000 §9.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import { Path } from "./path.ts";

/** Paths of a connection that are remembered; one more forgets the oldest that does not matter. */
export const MAX_PATHS = 8;
/** Proven paths that the connection may go back to: the first, and the latest ones. */
export const MAX_PREVIOUS_PATHS = 3;

/** The paths of one connection, and which one it uses. */
export class Paths {
  #paths: Path[];
  #active: Path;
  /** Proven paths that were in use before this one, the latest last: RFC 9000 §9.3.2. */
  #previous: Path[] = [];
  /** Bases that are gone; none comes back as the same one. */
  readonly #gone = new WeakSet<Base>();
  #nextId = 1;

  /** @param isValidated Whether the remote address needs no validation: a client's view of its server. */
  constructor(base: Base, remote: Address, isValidated: boolean) {
    this.#active = new Path(0, { base, remote }, { isValidated });
    this.#paths = [this.#active];
  }

  /** The path that carries everything but probes. */
  get active(): Path {
    return this.#active;
  }

  /** Where to go back to if the active path turns out not to work. */
  get fallback(): Path | undefined {
    return this.#previous.at(-1);
  }

  /** A base is gone: nothing on it is where the connection goes back to from now on. */
  loseBase(base: Base): void {
    this.#gone.add(base);
  }

  /** A proven path that was not in use, and leads through a relay: the last to go back to. */
  addPrevious(path: Path): void {
    if (path === this.#active || this.#previous.includes(path)) return;
    if (this.#previous.length >= MAX_PREVIOUS_PATHS) this.#previous.shift();
    this.#previous.unshift(path);
  }

  /** Has `path` take the place of one that the connection might have gone back to. */
  replacePrevious(path: Path, replacement: Path): void {
    this.#previous = this.#previous.map((other) => other === path ? replacement : other);
  }

  /** Proven paths that were in use before, the latest last. */
  get previous(): readonly Path[] {
    return this.#previous;
  }

  /** All that are remembered. */
  get all(): readonly Path[] {
    return this.#paths;
  }

  /** The path of that base and remote address, if it is known. */
  find(base: Base, remote: Address): Path | undefined {
    const active = this.#active;
    if (active.remote === remote && active.base === base) return active;
    for (const path of this.#paths) if (path.remote === remote && path.base === base) return path;
    return undefined;
  }

  /** The path that has to be forgotten before `add`, if there is no room; one that is not being validated comes first. */
  get superfluous(): Path | undefined {
    if (this.#paths.length < MAX_PATHS) return undefined;
    const others = this.#paths.filter((path) => path !== this.#active && !this.#previous.includes(path));
    return others.find((path) => !path.isValidating) ?? others[0];
  }

  /** Remembers a path. @param isOurs Whether we open it; otherwise the peer was heard there. */
  add(base: Base, remote: Address, { isOurs }: { readonly isOurs: boolean }): Path {
    const path = new Path(this.#nextId++, { base, remote }, { isValidated: false, isOurs });
    this.#paths.push(path);
    return path;
  }

  /** Forgets a path, unless it is in use. @returns Whether it did. */
  remove(path: Path): boolean {
    if (path === this.#active) return false;
    this.#paths = this.#paths.filter((other) => other !== path);
    this.disqualify(path);
    return true;
  }

  /**
   * Moves the connection: RFC 9000 §9.2, §9.3. What was in use is where it goes back to, if it was proven.
   *
   * @param isKept Whether it is that even if it is only about to be proven.
   * @returns The path in use before, or another one, if there is no way back to it any more.
   */
  use(path: Path, isKept = false): Path | undefined {
    const left = this.#active;
    if (path === left) return undefined;
    this.#active = path;
    this.#previous = this.#previous.filter((other) => other !== path);
    if (!(left.isValidated || isKept) || this.#gone.has(left.base)) return left;
    this.#previous.push(left);
    return this.#previous.length > MAX_PREVIOUS_PATHS ? this.#previous.splice(1, 1)[0] : undefined;
  }

  /** The path in use does not work: the connection goes back: RFC 9000 §9.3.2. @returns Whether there was somewhere. */
  goBack(): boolean {
    const path = this.#previous.pop();
    if (path === undefined) return false;
    this.#active = path;
    return true;
  }

  /** The connection does not go back there. */
  disqualify(path: Path): void {
    this.#previous = this.#previous.filter((other) => other !== path);
  }

  /** There is no need to go back any more. @returns What there was. */
  forgetPrevious(): readonly Path[] {
    return this.#previous.splice(0);
  }
}
