/**
 * A set of byte offsets as ranges: what of a stream is acknowledged, and what has to be sent again (RFC 9000 §2.2, §13.3).
 *
 * @module
 */

/** Ascending ranges that neither overlap nor touch. Cheap where ranges come and go in order. */
export class RangeSet {
  // Range i is [#starts[i], #ends[i]), for i from #first on.
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #first = 0;

  /** How many ranges there are. */
  get count(): number {
    return this.#starts.length - this.#first;
  }

  /** Where the lowest range begins; only if `count` is not 0. */
  get firstStart(): number {
    return this.#starts[this.#first]!;
  }

  /** Where the lowest range ends, exclusive; only if `count` is not 0. */
  get firstEnd(): number {
    return this.#ends[this.#first]!;
  }

  /** Start of range `index`, from 0. */
  startOf(index: number): number {
    return this.#starts[this.#first + index]!;
  }

  /** End of range `index`, exclusive. */
  endOf(index: number): number {
    return this.#ends[this.#first + index]!;
  }

  /** Index of the lowest range that ends at or above `offset`; `count` if there is none. */
  search(offset: number): number {
    let low = this.#first;
    let high = this.#ends.length;
    // What is asked for is mostly at or near the end.
    if (high > low && this.#ends[high - 1]! < offset) return high - this.#first;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low - this.#first;
  }

  /** Adds [`start`, `end`). */
  add(start: number, end: number): void {
    if (start >= end) return;
    const starts = this.#starts;
    const ends = this.#ends;
    const from = this.#first + this.search(start);
    if (from === starts.length) {
      starts.push(start);
      ends.push(end);
      return;
    }
    // Ranges [from, to) touch or overlap the new one.
    let to = from;
    while (to < starts.length && starts[to]! <= end) to++;
    if (to === from) {
      starts.splice(from, 0, start);
      ends.splice(from, 0, end);
      return;
    }
    starts[from] = Math.min(starts[from]!, start);
    ends[from] = Math.max(ends[to - 1]!, end);
    if (to - from > 1) {
      starts.splice(from + 1, to - from - 1);
      ends.splice(from + 1, to - from - 1);
    }
  }

  /** Removes [`start`, `end`). */
  remove(start: number, end: number): void {
    if (start >= end || this.count === 0) return;
    const starts = this.#starts;
    const ends = this.#ends;
    let i = this.#first + this.search(start);
    while (i < starts.length && starts[i]! < end) {
      const rangeStart = starts[i]!;
      const rangeEnd = ends[i]!;
      if (rangeEnd <= start) {
        i++;
      } else if (rangeStart < start && rangeEnd > end) {
        ends[i] = start;
        starts.splice(i + 1, 0, end);
        ends.splice(i + 1, 0, rangeEnd);
        return;
      } else if (rangeStart < start) {
        ends[i++] = start;
      } else if (rangeEnd > end) {
        starts[i] = end;
        return;
      } else if (i === this.#first) {
        this.#dropFirst();
        i = this.#first;
      } else {
        starts.splice(i, 1);
        ends.splice(i, 1);
      }
    }
  }

  /** Removes everything below `offset`. */
  removeBelow(offset: number): void {
    while (this.count > 0 && this.firstEnd <= offset) this.#dropFirst();
    if (this.count > 0 && this.firstStart < offset) this.#starts[this.#first] = offset;
  }

  /** Removes everything. */
  clear(): void {
    this.#starts.length = 0;
    this.#ends.length = 0;
    this.#first = 0;
  }

  /** The lowest range goes in amortised constant time: the arrays are compacted once half of them is behind. */
  #dropFirst(): void {
    this.#first++;
    if (this.#first === this.#starts.length) this.clear();
    else if (this.#first >= 32 && 2 * this.#first >= this.#starts.length) {
      this.#starts.splice(0, this.#first);
      this.#ends.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
