/**
 * The wait for a relay's first port, and what is said when there is none.
 *
 * @module
 */

import { sleep } from "../io/sleep.ts";

/** A relay that has opened no port by then will not: most of it is for a path that loses the first packets. */
const RELAY_PATIENCE_MS = 8000;

/** Waits for a relay to open its first port. One that does not will hardly do so later; one that had is come back to. */
export class RelayWait {
  /** Rejects when there is no port, and never resolves. */
  readonly failed: Promise<never>;
  readonly #url: string;
  readonly #ended = new AbortController();
  readonly #reject: (error: Error) => void;

  /** @param via Its URL; what follows `#` is left out of messages. */
  constructor(via: string) {
    this.#url = via.split("#")[0] ?? via;
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#reject = reject;
    // It may fail before anybody looks.
    promise.catch(() => {});
    sleep(RELAY_PATIENCE_MS, { signal: this.#ended.signal }).then(
      () => this.fail(`no answer within ${RELAY_PATIENCE_MS / 1000} s`),
      () => {},
    );
  }

  /** Whether nobody waits any more. */
  get isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Ends the wait: `failed` rejects. */
  fail(reason: string): void {
    this.end();
    this.#reject(
      new Error(`The relay ${this.#url} opened no port: ${reason}; check that it runs, and --via and --via-token`),
    );
  }

  /** Ends the wait: there is a port, or nobody wants one any more. */
  end(): void {
    this.#ended.abort();
  }
}
