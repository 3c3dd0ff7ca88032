/**
 * Comparison of secrets in a time that does not depend on where they differ.
 *
 * @module
 */

import { timingSafeEqual } from "node:crypto";

/** Whether both hold the same bytes. Only their lengths may show in the time it takes. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
