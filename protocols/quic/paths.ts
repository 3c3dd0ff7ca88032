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

/** The paths of one connection, and which one it uses. */
export class Paths {
  #paths: Path[];
  #active: Path;
  /** The last path in use before this one that was proven: RFC 9000 §9.3.2. */
  #fallback: Path | undefined;
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
    return this.#fallback;
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
    const others = this.#paths.filter((path) => path !== this.#active && path !== this.#fallback);
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
    if (this.#fallback === path) this.#fallback = undefined;
    return true;
  }

  /** Moves the connection: RFC 9000 §9.2, §9.3. What was in use is where it goes back to, if it was proven. */
  use(path: Path): void {
    if (path === this.#active) return;
    if (this.#active.isValidated) this.#fallback = this.#active;
    else if (this.#fallback === path) this.#fallback = undefined;
    this.#active = path;
  }

  /** The path in use does not work: the connection goes back: RFC 9000 §9.3.2. @returns Whether there was somewhere. */
  goBack(): boolean {
    if (this.#fallback === undefined) return false;
    this.#active = this.#fallback;
    this.#fallback = undefined;
    return true;
  }

  /** There is no need to go back any more. @returns What it would have been. */
  forgetFallback(): Path | undefined {
    const fallback = this.#fallback;
    this.#fallback = undefined;
    return fallback;
  }
}
