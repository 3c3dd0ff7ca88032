/**
 * Virtual time: a queue of events ordered by time and, at the same time, by the order in which they were scheduled.
 *
 * @module
 */

/** An event that has not happened yet; the handle to cancel it. */
export interface ScheduledEvent {
  readonly at: number;
  readonly sequence: number;
  /** `undefined` once it has run or was cancelled. */
  action: (() => void) | undefined;
}

/** A clock in milliseconds that stands still while anything runs. */
export class VirtualClock {
  #now = 0;
  #sequence = 0;
  readonly #heap: ScheduledEvent[] = [];

  /** Milliseconds since the network was made. */
  get now(): number {
    return this.#now;
  }

  /** Events in the queue, cancelled ones that have not surfaced yet included. */
  get size(): number {
    return this.#heap.length;
  }

  /** Runs `action` at `at`, or next if that is past. @throws {RangeError} If `at` is not a finite number. */
  schedule(at: number, action: () => void): ScheduledEvent {
    if (!Number.isFinite(at)) throw new RangeError(`Cannot schedule: ${at} is not an instant`);
    const event: ScheduledEvent = { at: Math.max(at, this.#now), sequence: this.#sequence++, action };
    this.#push(event);
    return event;
  }

  /** Takes an event back. Harmless when it has run. */
  cancel(event: ScheduledEvent): void {
    // It stays in the heap until it surfaces: taking it out of the middle would cost more.
    event.action = undefined;
  }

  /** When the next event is due; `undefined` when nothing is left to happen. */
  peek(): number | undefined {
    let first = this.#heap[0];
    while (first !== undefined && first.action === undefined) {
      this.#pop();
      first = this.#heap[0];
    }
    return first?.at;
  }

  /** Moves to the next event and runs it; `false` when there is none. */
  step(): boolean {
    if (this.peek() === undefined) return false;
    const event = this.#pop();
    this.#now = event.at;
    const action = event.action;
    event.action = undefined;
    action?.();
    return true;
  }

  /** Moves the clock forward over time in which nothing happens. */
  advanceTo(at: number): void {
    this.#now = Math.max(this.#now, Math.min(at, this.peek() ?? at));
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  /** Only with an event in the heap. */
  #pop(): ScheduledEvent {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
