/**
 * One direction of a QUIC stream as a Web Stream, with the engine's flow control as its back-pressure.
 *
 * @module
 */

import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { SessionDriver } from "./session.ts";

/** H3_REQUEST_CANCELLED has no counterpart here: without a code of the application's, 0. */
const NO_CODE = 0;

/** A stream was reset by the peer, or the peer asked us to stop. */
export class StreamResetError extends Error {
  /** Tells it from other errors. */
  override readonly name = "StreamResetError";
  /** The peer's application error code. */
  readonly code: number;

  /** For `abort` and `cancel`, which tell the peer. @param code 0 to 2^53 - 1. */
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Who wants to know how reading goes. */
export interface ReadingWatcher {
  /** Some bytes were read. */
  onRead(): void;
  /** Nothing more will be read. Told once. */
  onEnd(): void;
}

/** What comes from the peer. Credit grows as the application reads, never before. */
export class IncomingStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #connection: QuicConnection;
  readonly #id: number;
  readonly #driver: SessionDriver;
  readonly #watcher: ReadingWatcher;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wake: (() => void) | undefined;
  #isOver = false;
  #sessionError: Error | undefined;

  constructor(connection: QuicConnection, id: number, driver: SessionDriver, watcher: ReadingWatcher) {
    this.#connection = connection;
    this.#id = id;
    this.#driver = driver;
    this.#watcher = watcher;
    this.readable = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => this.#cancel(reason),
    }, { highWaterMark: 0 });
  }

  /** There is something to read, or FIN. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** The peer sent RESET_STREAM. */
  reset(code: number): void {
    if (this.#isOver) return;
    this.#end();
    this.#controller?.error(new StreamResetError(code, `The peer reset the stream (code ${code})`));
    this.wake();
  }

  /** The session has ended: what has arrived can still be read, to its end if that is there. */
  sessionEnded(error: Error): void {
    this.#sessionError = error;
    this.wake();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (!this.#isOver) {
      const chunk = this.#connection.read(this.#id);
      if (chunk !== undefined) {
        this.#watcher.onRead();
        controller.enqueue(chunk);
        // Reading gave the peer credit, which wants to be sent.
        this.#driver.drain();
        return;
      }
      if (this.#connection.isAtEnd(this.#id)) {
        this.#end();
        controller.close();
        return;
      }
      if (this.#sessionError !== undefined) {
        this.#end();
        controller.error(this.#sessionError);
        return;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #cancel(reason: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.#connection.stopSending(this.#id, codeOf(reason));
    this.#driver.drain();
    this.wake();
  }

  #end(): void {
    this.#isOver = true;
    this.#watcher.onEnd();
  }
}

/** What goes to the peer. A write settles when the engine has taken all of it. */
export class OutgoingStream {
  readonly writable: WritableStream<Uint8Array>;
  readonly #connection: QuicConnection;
  readonly #id: number;
  readonly #driver: SessionDriver;
  #controller: WritableStreamDefaultController | undefined;
  #wake: (() => void) | undefined;
  #state: "open" | "finished" | "failed" = "open";
  #error: Error | undefined;

  constructor(connection: QuicConnection, id: number, driver: SessionDriver) {
    this.#connection = connection;
    this.#id = id;
    this.#driver = driver;
    this.writable = new WritableStream({
      start: (controller) => {
        this.#controller = controller;
        // The standard calls `abort` only after a write in flight, which may be waiting for the very reader that stopped.
        controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason), { once: true });
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
    });
  }

  /** There is room again. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** The peer has acknowledged everything, FIN included. */
  finished(): void {
    this.#state = "finished";
    this.wake();
  }

  /** The peer sent STOP_SENDING. */
  stopped(code: number): void {
    this.fail(new StreamResetError(code, `The peer does not want the rest of the stream (code ${code})`));
  }

  /** Nothing more can be sent, for this reason. */
  fail(error: Error): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#error = error;
    this.#controller?.error(error);
    this.wake();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (!(chunk instanceof Uint8Array)) throw new TypeError("Cannot write to the stream: a chunk must be a Uint8Array");
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#state === "failed") throw this.#error;
      offset += this.#connection.write(this.#id, offset === 0 ? chunk : chunk.subarray(offset));
      // What is waited for may come while the connection is drained: there has to be somebody to wake by then.
      const room = offset < chunk.length ? new Promise<void>((resolve) => this.#wake = resolve) : undefined;
      this.#driver.drain();
      if (room !== undefined) await room;
    }
  }

  async #close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#connection.finish(this.#id);
    this.#driver.drain();
    while (this.#state === "open") await new Promise<void>((resolve) => this.#wake = resolve);
    if (this.#error !== undefined) throw this.#error;
  }

  #abort(reason: unknown): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#error = new Error("The stream was aborted", { cause: reason });
    this.#connection.reset(this.#id, codeOf(reason));
    this.#driver.drain();
    this.wake();
  }
}

function codeOf(reason: unknown): number {
  return reason instanceof StreamResetError ? reason.code : NO_CODE;
}

/** Streams the peer has opened, in its order, until the application takes them. */
export class IncomingQueue<Stream> {
  readonly readable: ReadableStream<Stream>;
  /**
   * IDs nobody has taken. Bounded by the stream limits that we give the peer, because a stream that is over is taken out:
   * a peer that opens and resets for ever fills nothing.
   */
  readonly #waiting = new Set<number>();
  #wake: (() => void) | undefined;
  #hasEnded = false;

  /** @param make Makes the Web Stream of an ID when it is taken. */
  constructor(make: (id: number) => Stream) {
    this.readable = new ReadableStream({ pull: (controller) => this.#pull(controller, make) }, { highWaterMark: 0 });
  }

  /** The peer opened a stream. */
  add(id: number): void {
    this.#waiting.add(id);
    this.#wakeUp();
  }

  /** Whether nobody has taken the stream yet. */
  has(id: number): boolean {
    return this.#waiting.has(id);
  }

  /** The stream is over in both directions, and nobody has looked. */
  remove(id: number): void {
    this.#waiting.delete(id);
  }

  /** No more will come; those that wait can still be taken. */
  end(): void {
    this.#hasEnded = true;
    this.#wakeUp();
  }

  async #pull(controller: ReadableStreamDefaultController<Stream>, make: (id: number) => Stream): Promise<void> {
    for (;;) {
      for (const id of this.#waiting) {
        this.#waiting.delete(id);
        return controller.enqueue(make(id));
      }
      if (this.#hasEnded) return controller.close();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
