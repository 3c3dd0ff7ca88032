/**
 * What hosts of this process have in common, whatever their sockets are: turns of the event loop with one alarm, the
 * system's randomness and its clocks. One *turn* follows whatever has piled up, so that a burst is handed over whole and
 * answered once.
 *
 * @module
 */

import type { Random } from "../protocols/core/random.ts";

/**
 * Alarms nearer than this are met by taking turns instead of setting a timer, whose grain is a millisecond and which comes
 * one or two late. Turns keep a core busy until then, and take it from a peer on the same machine: only the shortest waits
 * are worth it. Whoever sends at a pace counts on being woken late and makes up for it.
 */
export const MIN_TIMER_MS = 0.3;

/** The longest a timer of the runtime can wait: 2^31 - 1 ms. A later alarm is armed again when it fires. */
const MAX_TIMER_MS = 0x7fffffff;

/** One turn at most is on its way, and one alarm is set. */
export class Turns {
  readonly #take: () => void;
  #isComing = false;
  #alarmAt: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires. It is left alone while it fires no later than the alarm: most alarms only move away. */
  #timerAt = Infinity;
  readonly #turn = (): void => {
    this.#isComing = false;
    this.#take();
    // Near alarms are met by further turns.
    if (this.#alarmAt !== undefined && !this.#isComing) this.#arm();
  };
  readonly #timerFired = (): void => {
    this.#timer = undefined;
    this.#timerAt = Infinity;
    this.#arm();
  };

  /** @param take Does what has piled up. It asks `takeAlarm` whether the alarm is a part of that. */
  constructor(take: () => void) {
    this.#take = take;
  }

  /** Has a turn come, after what the event loop holds now. */
  come(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    setImmediate(this.#turn);
  }

  /** Sets the alarm, in monotonic ms, in place of any before; `undefined` clears it. */
  setAlarm(at: number | undefined): void {
    this.#alarmAt = at;
    if (at !== undefined) this.#arm();
    else if (this.#timer !== undefined) this.#clearTimer();
  }

  /** Whether the alarm is due; it is cleared then. */
  takeAlarm(): boolean {
    if (this.#alarmAt === undefined || this.#alarmAt > performance.now()) return false;
    this.#alarmAt = undefined;
    return true;
  }

  #arm(): void {
    const at = this.#alarmAt;
    if (at === undefined) return;
    if (this.#timerAt <= at) return;
    const waitMs = at - performance.now();
    if (waitMs < MIN_TIMER_MS) {
      this.come();
      return;
    }
    this.#clearTimer();
    // Rounded up: a timer that fires early would have to be set again.
    const timer = setTimeout(this.#timerFired, Math.min(Math.ceil(waitMs), MAX_TIMER_MS));
    this.#timer = timer;
    this.#timerAt = at;
    // What keeps the process alive is an open socket.
    unref(timer);
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }
}

/** Timers are numbers or objects, as the runtime has it. */
function unref(timer: number | { unref(): unknown }): void {
  if (typeof timer === "number") Deno.unrefTimer(timer);
  else timer.unref();
}

/** The most that `crypto.getRandomValues` fills at once. */
const MAX_RANDOM_BYTES = 65_536;

/** The system's randomness. */
export const SYSTEM_RANDOM: Random = {
  fill<T extends Uint8Array>(bytes: T): T {
    for (let start = 0; start < bytes.length; start += MAX_RANDOM_BYTES) {
      // A view over the caller's own bytes; `crypto` takes no shared memory, and nobody here makes any.
      const end = Math.min(start + MAX_RANDOM_BYTES, bytes.length);
      crypto.getRandomValues(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start));
    }
    return bytes;
  },
};

/** Monotonic milliseconds. */
export function monotonicMs(): number {
  return performance.now();
}

/** `Host.epochMs`. Asked anew each time: the monotonic clock stands still while the machine sleeps, the other may be set. */
export function wallClockEpochMs(): number {
  return Date.now() - performance.now();
}
