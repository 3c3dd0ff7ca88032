/**
 * A first-in first-out queue in a ring: nothing moves and nothing is allocated once it is as large as it gets.
 *
 * @module
 */

/** A queue without a limit of its own; whoever fills it names one. */
export class Fifo<T> {
  #slots: (T | undefined)[] = [];
  #first = 0;
  #count = 0;

  /** Entries in the queue. */
  get count(): number {
    return this.#count;
  }

  /** Appends an entry. */
  push(entry: T): void {
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[(this.#first + this.#count++) & (this.#slots.length - 1)] = entry;
  }

  /** The oldest entry, left in the queue. */
  peek(): T | undefined {
    return this.#slots[this.#first];
  }

  /** The oldest entry, removed. */
  shift(): T | undefined {
    if (this.#count === 0) return undefined;
    const entry = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#slots.length - 1);
    this.#count--;
    return entry;
  }

  #grow(): void {
    const slots: (T | undefined)[] = new Array(Math.max(4, 2 * this.#slots.length)).fill(undefined);
    for (let i = 0; i < this.#count; i++) slots[i] = this.#slots[(this.#first + i) & (this.#slots.length - 1)];
    this.#slots = slots;
    this.#first = 0;
  }
}
