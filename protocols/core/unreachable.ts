/**
 * The end of an exhaustive switch: what the compiler proves cannot happen.
 *
 * @module
 */

/** Fails the build where a variant is not handled, and throws where the types were circumvented. */
export function unreachable(value: never): never {
  throw new Error(`Unreachable: ${String(value)}`);
}
