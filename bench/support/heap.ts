/**
 * Memory of this process.
 *
 * @module
 */

/** Runs the garbage collector to the end. @throws {Error} Without `--v8-flags=--expose-gc`. */
export async function collectGarbage(): Promise<void> {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc !== "function") throw new Error("Cannot collect garbage: run with --v8-flags=--expose-gc");
  // What has finalizers or weak references goes in a later round.
  for (let round = 0; round < 5; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What JavaScript holds: objects and array buffers. */
export function heapBytes(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** What the system has given this process. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}
