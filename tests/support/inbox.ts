/**
 * Things that arrive one by one, and somebody who waits for the next.
 *
 * @module
 */

/** A queue with a promise at its end. */
export class Inbox<T> {
  readonly #waiting: T[] = [];
  readonly #takers: ((value: T) => void)[] = [];

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#waiting.push(value);
    else taker(value);
  }

  /** The next thing, in order of arrival. */
  next(): Promise<T> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** Things nobody has taken. */
  get size(): number {
    return this.#waiting.length;
  }
}
