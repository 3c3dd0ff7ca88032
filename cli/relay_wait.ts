/**
 * The wait for a relay's first port, and what is said when there is none.
 *
 * @module
 */

import { sleep } from "../io/sleep.ts";

/** A relay that has opened no port by then will not: most of it is for a path that loses the first packets. */
const RELAY_PATIENCE_MS = 8000;

/** Waits for the first port at a relay. One that opens none will hardly do so later; one that had is come back to. */
export class RelayWait {
  /** Rejects when there is no port, and never resolves. */
  readonly failed: Promise<never>;
  readonly #urls: readonly string[];
  /** Why a relay opened no port, the last of several. */
  #reason = `no answer within ${RELAY_PATIENCE_MS / 1000} s`;
  readonly #ended = new AbortController();
  readonly #reject: (error: Error) => void;

  /** @param via Their URLs; what follows `#` is left out of messages. */
  constructor(via: readonly string[]) {
    this.#urls = via.map((url) => url.split("#")[0] ?? url);
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#reject = reject;
    // It may fail before anybody looks.
    promise.catch(() => {});
    sleep(RELAY_PATIENCE_MS, { signal: this.#ended.signal }).then(
      () => this.#end(),
      () => {},
    );
  }

  /** Whether nobody waits any more. */
  get isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  /** A relay opens no port. Where there are others, they have the rest of the time. */
  fail(reason: string): void {
    this.#reason = reason;
    if (this.#urls.length === 1) this.#end();
  }

  /** Ends the wait: there is a port, or nobody wants one any more. */
  end(): void {
    this.#ended.abort();
  }

  #end(): void {
    this.end();
    const [which, whose] = this.#urls.length === 1 ? ["The relay", "it runs"] : ["None of the relays", "one runs"];
    const urls = this.#urls.join(", ");
    const verb = this.#urls.length === 1 ? "opened no port" : "opened a port";
    this.#reject(
      new Error(`${which} ${urls} ${verb}: ${this.#reason}; check that ${whose}, and --via and --via-token`),
    );
  }
}
