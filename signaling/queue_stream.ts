/**
 * A readable stream of messages that somebody pushes, with a limit on how many may wait.
 *
 * @module
 */

/** Messages that may wait for a reader. Whoever sends more than that to one who does not read loses the channel. */
export const MAX_WAITING_MESSAGES = 256;

/** The writing side of a {@linkcode ReadableStream} of messages. */
export class MessageQueue {
  readonly stream: ReadableStream<string>;
  #controller: ReadableStreamDefaultController<string> | undefined;

  /** @param onCancel The reader does not want any more. */
  constructor(onCancel: () => void) {
    this.stream = new ReadableStream<string>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        onCancel();
      },
    }, new CountQueuingStrategy({ highWaterMark: MAX_WAITING_MESSAGES }));
  }

  /** Adds a message; `false` if there is no room, and then the stream has ended with an error. */
  push(message: string): boolean {
    if (this.#controller === undefined) return true;
    if ((this.#controller.desiredSize ?? 0) <= 0) {
      this.fail(new Error(`Cannot receive: ${MAX_WAITING_MESSAGES} messages wait for a reader`));
      return false;
    }
    this.#controller.enqueue(message);
    return true;
  }

  /** Ends the stream. Harmless when it has ended. */
  close(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  /** Ends the stream with an error. Harmless when it has ended. */
  fail(error: Error): void {
    this.#controller?.error(error);
    this.#controller = undefined;
  }
}
