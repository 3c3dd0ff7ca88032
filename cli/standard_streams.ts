/**
 * stdin and stdout for sessions that come and go: neither is closed by the end of one session.
 *
 * @module
 */

/** Bytes of stdin taken at once. */
const READ_BYTES = 64 * 1024;

/** The first line of a terminal's input is a pasted string; longer ones are none. */
const MAX_LINE_BYTES = 4096;

const NEWLINE = 0x0a;

/** stdin or stdout failed: whoever wrote to the one or read the other is gone, or the disk is full. */
export class StandardStreamError extends Error {
  override readonly name = "StandardStreamError";
}

/** stdin: lines first, if any are wanted, then bytes for one session after another. */
export class StandardInput {
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** The bytes to come. Whoever takes them clears it: a session that has ended leaves them to the next. */
  #next: Promise<Uint8Array<ArrayBuffer> | undefined> | undefined;

  /** The next line, without its end; `undefined` if stdin ends before. What follows it stays to be read. */
  async line(): Promise<string | undefined> {
    let line = new Uint8Array(0);
    while (line.length < MAX_LINE_BYTES) {
      const chunk = await this.#peek();
      if (chunk === undefined) return undefined;
      const end = chunk.indexOf(NEWLINE);
      const part = end < 0 ? chunk : chunk.subarray(0, end);
      const joined = new Uint8Array(line.length + part.length);
      joined.set(line);
      joined.set(part, line.length);
      line = joined;
      const rest = end < 0 ? undefined : chunk.subarray(end + 1);
      this.#next = rest === undefined || rest.length === 0 ? undefined : Promise.resolve(rest);
      if (end >= 0) break;
    }
    return new TextDecoder().decode(line).trim();
  }

  /** What is left of stdin, for one session: cancelling it leaves the rest to the next. */
  stream(): ReadableStream<Uint8Array> {
    let isCancelled = false;
    return new ReadableStream({
      pull: async (controller): Promise<void> => {
        const chunk = await this.#peek();
        if (isCancelled) return;
        if (chunk === undefined) {
          controller.close();
          return;
        }
        this.#next = undefined;
        controller.enqueue(chunk);
      },
      cancel: (): void => {
        isCancelled = true;
      },
    }, { highWaterMark: 0 });
  }

  #peek(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#next ??= this.#read();
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const count = await Deno.stdin.read(this.#buffer);
      // The session keeps what it was given until the peer has acknowledged it.
      return count === null ? undefined : this.#buffer.slice(0, count);
    } catch (cause) {
      throw new StandardStreamError(`Cannot read stdin: ${reasonOf(cause)}`, { cause });
    }
  }
}

/** Writes a line to stdout. @throws {StandardStreamError} If it cannot be written. */
export function printLine(text: string): void {
  try {
    console.log(text);
  } catch (cause) {
    throw outputError(cause);
  }
}

function outputError(cause: unknown): StandardStreamError {
  const hint = cause instanceof Deno.errors.BrokenPipe
    ? "the program that reads it has ended"
    : `${reasonOf(cause)}; is the disk full?`;
  return new StandardStreamError(`Cannot write to stdout: ${hint}`, { cause });
}

/** stdout, which stays open when a session's stream ends. */
export function standardOutput(): WritableStream<Uint8Array> {
  return new WritableStream({
    async write(chunk): Promise<void> {
      try {
        for (let offset = 0; offset < chunk.length;) offset += await Deno.stdout.write(chunk.subarray(offset));
      } catch (cause) {
        throw outputError(cause);
      }
    },
  });
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
