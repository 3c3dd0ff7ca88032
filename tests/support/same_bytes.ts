/**
 * Compares long runs of bytes. `deepStrictEqual` prints every element of arrays that differ and looks for the shortest way
 * from one to the other: 400 kB that came in short took it 6.5 GB.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";

/** Asserts that both are the same; says where they first differ. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, message = "the bytes"): void {
  const shorter = Math.min(actual.length, expected.length);
  let at = 0;
  while (at < shorter && actual[at] === expected[at]) at++;
  strictEqual(at, expected.length, `${message}: ${actual.length} of ${expected.length}, alike up to ${at}`);
  strictEqual(actual.length, expected.length, `${message}: more than was expected`);
}
