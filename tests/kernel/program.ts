/**
 * The command line in a namespace: starts `mod.ts`, reads the JSON lines of its stderr, collects its stdout.
 *
 * @module
 */

import type { KernelNetwork } from "./namespaces.ts";

const MOD = new URL("../../mod.ts", import.meta.url).pathname;

/** Lines of stderr kept for a message when something fails. */
const MAX_LINES = 200;

/** A command that still runs after so long is killed: it hangs, and its test fails with what it said. */
const MAX_RUN_MS = 90_000;

/** One line of `--json`. */
export interface StatusLine {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Tells the line that is wanted from others of its type. */
export type IsWanted = (line: StatusLine) => boolean;

interface Waiter {
  readonly type: string;
  readonly isWanted: IsWanted;
  resolve(line: StatusLine): void;
  reject(error: Error): void;
}

/** What a command reads: all at once, or as it comes. */
export type Input = Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;

/** A running command. */
export class Program {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #facts: StatusLine[] = [];
  readonly #stdout: Promise<Uint8Array<ArrayBuffer>>;
  readonly #stderrEnd: Promise<void>;
  #hasEnded = false;

  /**
   * Starts `mod.ts` with these words.
   *
   * @param input What its stdin brings; nothing if it is left out.
   */
  constructor(network: KernelNetwork, namespace: string, words: readonly string[], input?: Input) {
    this.#name = words[0] ?? "";
    this.#child = network.spawn(
      namespace,
      [Deno.execPath(), "run", "--cached-only", "--allow-all", "--unstable-net", MOD, ...words],
      { stdin: input === undefined ? "null" : "piped", stdout: "piped", stderr: "piped" },
    );
    if (input !== undefined) void this.#feed(input);
    this.#stdout = new Response(this.#child.stdout).bytes();
    this.#stderrEnd = this.#readStatus();
  }

  /** The first line of this type, past or to come. @throws {Error} If the command ends without it. */
  fact(type: string, isWanted: IsWanted = () => true): Promise<StatusLine> {
    const known = this.facts(type).find(isWanted);
    if (known !== undefined) return Promise.resolve(known);
    if (this.#hasEnded) return Promise.reject(this.#endedWithout(type));
    return new Promise((resolve, reject) => this.#waiting.push({ type, isWanted, resolve, reject }));
  }

  /** Every line of this type so far. */
  facts(type: string): readonly StatusLine[] {
    return this.#facts.filter((fact) => fact.type === type);
  }

  /** Exit code and all of stdout, once the command has ended. */
  async output(): Promise<{ readonly code: number; readonly stdout: Uint8Array<ArrayBuffer> }> {
    const [{ code }, stdout] = await Promise.all([this.#child.status, this.#stdout, this.#stderrEnd]);
    return { code, stdout };
  }

  /** What it said on stderr, for the message of a failed assertion. */
  get log(): string {
    return `${this.#name}:\n${this.#lines.join("\n")}`;
  }

  async #feed(input: Input): Promise<void> {
    try {
      await (input instanceof Uint8Array ? new Blob([input]).stream() : input).pipeTo(this.#child.stdin);
    } catch {
      // It has ended before it read everything: its exit code tells.
    }
  }

  async #readStatus(): Promise<void> {
    const deadline = setTimeout(() => this.#kill(), MAX_RUN_MS);
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
    clearTimeout(deadline);
    this.#take(rest);
    this.#hasEnded = true;
    for (const { type, reject } of this.#waiting.splice(0)) reject(this.#endedWithout(type));
  }

  #kill(): void {
    this.#lines.push(`(killed after ${MAX_RUN_MS} ms)`);
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }

  #take(line: string): void {
    if (line === "") return;
    if (this.#lines.length < MAX_LINES) this.#lines.push(line);
    if (!line.startsWith("{")) return;
    const fact: StatusLine = JSON.parse(line);
    this.#facts.push(fact);
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      const { type, isWanted } = this.#waiting[index]!;
      if (type === fact.type && isWanted(fact)) this.#waiting.splice(index, 1)[0]!.resolve(fact);
    }
  }

  #endedWithout(type: string): Error {
    return new Error(`The command ended without saying "${type}". ${this.log}`);
  }
}
