/**
 * Waiting, for the few places outside the driver that have to.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";

/** Resolves after `ms` milliseconds; rejects with the signal's reason when it is aborted before. */
export async function sleep(ms: number, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
  await delay(ms, undefined, options.signal === undefined ? {} : { signal: options.signal });
}
