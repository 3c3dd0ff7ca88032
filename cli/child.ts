/**
 * Other processes of this same program, and the facts they tell on stderr with `--json`.
 *
 * @module
 */

import { sleep } from "../io/sleep.ts";

/** A child that takes longer than this to say what it is waited for has failed. */
const FACT_TIMEOUT_MS = 30_000;

/** Facts that nobody has asked for yet, at most. */
const MAX_FACTS = 1000;

/** What a command that opens sockets needs: README says the same. `npm:ws` reads two variables when it is loaded. */
const PERMISSIONS = [
  "--unstable-net",
  "--allow-net",
  "--allow-sys=networkInterfaces",
  "--allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE",
];

/** One line of a child's stderr. */
export interface Fact {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A running command of ours. */
export interface Child {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  /** The next fact of this type. @throws {Error} If the child ends before, or tells an error. */
  fact(type: string): Promise<Fact>;
  /** The exit code, when it has ended. */
  exit(): Promise<number>;
  /** Ends it, if it has not ended. */
  stop(): Promise<void>;
}

/** Starts this program anew with other words. Needs `--allow-run` for the runtime itself. */
export function startChild(words: readonly string[]): Child {
  const process = new Deno.Command(Deno.execPath(), {
    args: [...programArgs(), ...words],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new RunningChild(process, words[0] ?? "");
}

/** What comes before the words: nothing in a compiled binary, else how to run this module with the permissions we have. */
function programArgs(): readonly string[] {
  if (Deno.build.standalone) return [];
  const main = new URL("../mod.ts", import.meta.url).href;
  return ["run", "--quiet", "--no-prompt", ...PERMISSIONS, main];
}

class RunningChild implements Child {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly #process: Deno.ChildProcess;
  readonly #name: string;
  readonly #facts: Fact[] = [];
  readonly #told: Promise<void>;
  #waiting: (() => void) | undefined;
  #hasEnded = false;
  #lastLine = "";

  constructor(process: Deno.ChildProcess, name: string) {
    this.#process = process;
    this.#name = name;
    this.stdin = process.stdin;
    this.stdout = process.stdout;
    this.#told = this.#readFacts();
  }

  async fact(type: string): Promise<Fact> {
    const done = new AbortController();
    let isLate = false;
    sleep(FACT_TIMEOUT_MS, { signal: done.signal }).then(() => {
      isLate = true;
      this.#waiting?.();
    }, () => {});
    try {
      for (;;) {
        const at = this.#facts.findIndex((fact) => fact.type === type || fact.type === "error");
        const fact = at < 0 ? undefined : this.#facts.splice(at, 1)[0];
        if (fact?.type === type) return fact;
        if (fact !== undefined) throw new Error(`${this.#name} failed: ${fact["message"]}`);
        if (this.#hasEnded) throw new Error(`${this.#name} ended before it was ${type}: ${this.#lastLine}`);
        if (isLate) throw new Error(`${this.#name} is not ${type} after ${FACT_TIMEOUT_MS / 1000} s`);
        await new Promise<void>((resolve) => this.#waiting = resolve);
      }
    } finally {
      done.abort();
    }
  }

  async exit(): Promise<number> {
    return (await this.#process.status).code;
  }

  async stop(): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await this.#process.status;
    await this.#told;
    await this.stdout.cancel().catch(() => {});
    await this.stdin.abort().catch(() => {});
  }

  async #readFacts(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
    if (rest !== "") this.#take(rest);
    this.#hasEnded = true;
    this.#waiting?.();
  }

  #take(line: string): void {
    this.#lastLine = line;
    if (!line.startsWith("{") || this.#facts.length >= MAX_FACTS) return;
    const value: unknown = parseJson(line);
    if (typeof value !== "object" || value === null || !("type" in value) || typeof value.type !== "string") return;
    this.#facts.push({ ...value, type: value.type });
    this.#waiting?.();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
