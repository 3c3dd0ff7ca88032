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

/** stdin: a line first, if one is wanted, then bytes for one session after another. */
export class StandardInput {
  readonly #buffer = new Uint8Array(READ_BYTES);
  #ahead: Uint8Array | undefined;
  #isEnded = false;

  /** The first line, without its end; `undefined` if stdin ends before. What follows it stays to be read. */
  async line(): Promise<string | undefined> {
    let line = new Uint8Array(0);
    while (line.length < MAX_LINE_BYTES) {
      const chunk = await this.#read();
      if (chunk === undefined) return undefined;
      const end = chunk.indexOf(NEWLINE);
      const part = end < 0 ? chunk : chunk.subarray(0, end);
      const joined = new Uint8Array(line.length + part.length);
      joined.set(line);
      joined.set(part, line.length);
      line = joined;
      if (end >= 0) {
        this.#ahead = chunk.slice(end + 1);
        break;
      }
    }
    return new TextDecoder().decode(line).trim();
  }

  /** What is left of stdin, for one session: cancelling it leaves the rest to the next. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull: async (controller) => {
        const chunk = await this.#read();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
    }, { highWaterMark: 0 });
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined && ahead.length > 0) return ahead.slice();
    if (this.#isEnded) return undefined;
    const count = await Deno.stdin.read(this.#buffer);
    if (count === null) {
      this.#isEnded = true;
      return undefined;
    }
    // The session keeps what it was given until the peer has acknowledged it.
    return this.#buffer.slice(0, count);
  }
}

/** stdout, which stays open when a session's stream ends. */
export function standardOutput(): WritableStream<Uint8Array> {
  return new WritableStream({
    async write(chunk): Promise<void> {
      for (let offset = 0; offset < chunk.length;) offset += await Deno.stdout.write(chunk.subarray(offset));
    },
  });
}
