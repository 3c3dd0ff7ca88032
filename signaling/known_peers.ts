/**
 * Names called before, and the keys they had: the first key seen for a bare name is pinned, another one later is refused.
 *
 * @module
 */

import { formatKey, parseKey } from "./identity.ts";
import { NAME_PATTERN } from "./trust.ts";

/** Pins kept in memory, at most: the oldest goes. */
export const MAX_PINS = 10_000;

/** Where pins are kept. */
export interface KnownPeers {
  /** The key pinned for this name at this hub. */
  lookup(hub: string, name: string): Uint8Array | undefined;
  /** Pins a key to a name that has none. */
  pin(hub: string, name: string, key: Uint8Array): void;
}

/** Pins in memory, and as the text of a file: `NAME HUB KEY` a line. */
export class KnownPeersTable implements KnownPeers {
  readonly #pins = new Map<string, Uint8Array>();
  readonly #onPin: ((line: string) => void) | undefined;

  /** @param options `onPin` gets the line of each new pin, to be appended to a file. */
  constructor(options: { readonly onPin?: (line: string) => void } = {}) {
    this.#onPin = options.onPin;
  }

  /**
   * Reads a file of pins. Empty lines and what follows `#` are passed over.
   *
   * @throws {TypeError} If a line is none; the message says which. Then nothing is loaded.
   */
  load(text: string): void {
    const pins = new Map<string, Uint8Array>();
    for (const [index, line] of text.split("\n").entries()) {
      const words = line.replace(/#.*/, "").trim().split(/\s+/);
      const [name, hub, keyText] = words;
      if (name === undefined || name === "") continue;
      const key = keyText === undefined ? undefined : parseKey(keyText);
      if (hub === undefined || key === undefined || words.length !== 3 || !NAME_PATTERN.test(name)) {
        throw new TypeError(`Cannot read known peers: line ${index + 1} is not "NAME HUB KEY"`);
      }
      pins.set(`${name} ${hub}`, key);
    }
    for (const [id, key] of pins) this.#keep(id, key);
  }

  lookup(hub: string, name: string): Uint8Array | undefined {
    return this.#pins.get(`${name} ${hub}`);
  }

  pin(hub: string, name: string, key: Uint8Array): void {
    const id = `${name} ${hub}`;
    if (this.#pins.has(id)) return;
    this.#keep(id, key.slice());
    this.#onPin?.(`${id} ${formatKey(key)}\n`);
  }

  #keep(id: string, key: Uint8Array): void {
    if (!this.#pins.has(id) && this.#pins.size >= MAX_PINS) {
      for (const oldest of this.#pins.keys()) {
        this.#pins.delete(oldest);
        break;
      }
    }
    this.#pins.set(id, key);
  }
}
