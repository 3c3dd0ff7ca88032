/**
 * Ctrl-C: the first one ends a command in good order, the second at once.
 *
 * @module
 */

/** What an interrupted command rejects with. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";

  constructor() {
    super("Interrupted");
  }
}

/** Aborts at SIGINT or SIGTERM, with an {@linkcode InterruptedError}; from then on the system's own habit holds again. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  // Windows knows no SIGTERM.
  const signals = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
  const interrupt = (): void => {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
    controller.abort(new InterruptedError());
  };
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  return controller.signal;
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
