/**
 * A binary heap of deadlines whose entries can be moved: whoever owns many timers asks for the earliest in O(1) and
 * changes any in O(log n).
 *
 * @module
 */

/** One timer of one owner. Made by {@linkcode DeadlineHeap.entry}; only the heap writes it. */
export class DeadlineEntry<T> {
  readonly owner: T;
  /** Monotonic ms; `Infinity` when the timer is not set. */
  at: number = Infinity;
  /** Place in the heap; -1 when it is not in it. */
  position: number = -1;

  constructor(owner: T) {
    this.owner = owner;
  }
}

/** The earliest of many movable deadlines. Its size is the number of set timers, which its owner bounds. */
export class DeadlineHeap<T> {
  readonly #entries: DeadlineEntry<T>[] = [];

  /** A timer for `owner`, not set yet. */
  entry(owner: T): DeadlineEntry<T> {
    return new DeadlineEntry(owner);
  }

  /** How many timers are set. */
  get size(): number {
    return this.#entries.length;
  }

  /** The entry due first, or `undefined` when none is set. */
  first(): DeadlineEntry<T> | undefined {
    return this.#entries[0];
  }

  /** Sets, moves or, with `undefined`, clears a timer. */
  set(entry: DeadlineEntry<T>, at: number | undefined): void {
    if (at === undefined || at === Infinity) {
      this.#remove(entry);
      return;
    }
    const before = entry.at;
    if (entry.position < 0) {
      entry.position = this.#entries.length;
      this.#entries.push(entry);
    } else if (before === at) return;
    entry.at = at;
    if (at < before) this.#up(entry.position);
    else this.#down(entry.position);
  }

  #remove(entry: DeadlineEntry<T>): void {
    const hole = entry.position;
    entry.at = Infinity;
    entry.position = -1;
    if (hole < 0) return;
    const moved = this.#entries.pop();
    if (moved === undefined || moved === entry) return;
    this.#entries[hole] = moved;
    moved.position = hole;
    this.#up(hole);
    this.#down(moved.position);
  }

  #up(from: number): void {
    const entries = this.#entries;
    const entry = entries[from]!;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = entries[parentAt]!;
      if (parent.at <= entry.at) break;
      entries[at] = parent;
      parent.position = at;
      at = parentAt;
    }
    entries[at] = entry;
    entry.position = at;
  }

  #down(from: number): void {
    const entries = this.#entries;
    const entry = entries[from]!;
    let at = from;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= entries.length) break;
      if (childAt + 1 < entries.length && entries[childAt + 1]!.at < entries[childAt]!.at) childAt++;
      const child = entries[childAt]!;
      if (child.at >= entry.at) break;
      entries[at] = child;
      child.position = at;
      at = childAt;
    }
    entries[at] = entry;
    entry.position = at;
  }
}
