/**
 * What the programs of a measurement have in common: sizes, and JSON lines on stdout. The receiver says
 * `{"type":"ready",…}`, then `{"type":"done","bytes":N,"seconds":S}`, timed from the first byte to the last.
 *
 * @module
 */

import process from "node:process";

/** UDP payloads of all stacks that can be told so. */
export const DATAGRAM_BYTES = 1200;

/**
 * Stream data in one of them: what a short header with an 8 byte connection ID and a 4 byte packet number, a STREAM frame
 * with a 1 byte stream ID, an 8 byte offset and a 2 byte length, and the tag of the AEAD leave.
 */
export const PAYLOAD_BYTES = DATAGRAM_BYTES - 1 - 8 - 4 - (1 + 1 + 8 + 2) - 16;

/** Writes one JSON line. */
export function report(message: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify(message));
}

/** What the process has cost so far, start-up included: it says more than the clock where others use the machine too. */
export function cpuTime(): { readonly cpuSeconds: number } {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6 };
}
