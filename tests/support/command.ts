/**
 * A command of ours as a real process, with exactly the flags that README gives for it.
 *
 * @module
 */

import { flagsFor } from "./readme.ts";

const ROOT = new URL("../../", import.meta.url);

/** A command that still runs after so long hangs: it is killed, and its test fails with what it said. */
const MAX_RUN_MS = 40_000;

/** Characters of stdout that `wrote` looks at. */
const MAX_OUTPUT_LENGTH = 100_000;

/** One line of `--json`. */
export interface Fact {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** How a command is started. */
export interface CommandOptions {
  /** Bytes for stdin, which then ends. @default {none: stdin stays open until the test closes it} */
  readonly input?: Uint8Array<ArrayBuffer> | string;
  readonly env?: Record<string, string>;
  /** The program, from the root of the repository. @default {"mod.ts"} */
  readonly program?: string;
  /** A shell line around the command, `"$@"`: for redirections that the runtime cannot make. */
  readonly shell?: string;
}

/** What a command has done when it has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}

/** A running command. Dispose of it: it is killed if it still runs. */
export class Command implements AsyncDisposable {
  readonly pid: number;
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #facts: Fact[] = [];
  readonly #told: Promise<void>;
  readonly #stdout: Promise<Uint8Array<ArrayBuffer>>;
  readonly #hangs: ReturnType<typeof setTimeout>;
  #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #news = Promise.withResolvers<void>();
  #stderr = "";
  #output = "";
  #hasEnded = false;

  /** @param words The command line, without `mod.ts`. */
  constructor(words: readonly string[], options: CommandOptions = {}) {
    this.#name = words.join(" ");
    const args = [
      "run",
      "--quiet",
      "--no-prompt",
      ...flagsFor(words),
      options.program ?? "mod.ts",
      ...words,
    ];
    const [command, ...rest] = options.shell === undefined
      ? [Deno.execPath(), ...args]
      : ["sh", "-c", options.shell, "sh", Deno.execPath(), ...args];
    this.#child = new Deno.Command(command!, {
      args: rest,
      cwd: ROOT,
      env: { NO_COLOR: "1", ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdout = this.#readOutput();
    this.#told = this.#readStatus();
    this.#hangs = setTimeout(() => this.kill(), MAX_RUN_MS);
    const { input } = options;
    if (input !== undefined) void this.#feed(typeof input === "string" ? new TextEncoder().encode(input) : input);
  }

  /** The first fact of this type, past or to come. @throws {Error} If the command ends without it. */
  async fact(type: string): Promise<Fact> {
    for (;;) {
      const found = this.#facts.find((fact) => fact.type === type);
      if (found !== undefined) return found;
      if (this.#hasEnded) throw new Error(`Ended without "${type}": ${this.log}`);
      await this.#news.promise;
    }
  }

  /** All facts of this type so far. */
  facts(type: string): readonly Fact[] {
    return this.#facts.filter((fact) => fact.type === type);
  }

  /** Waits until stderr has this text. @throws {Error} If the command ends without it. */
  async said(text: string | RegExp): Promise<void> {
    while (typeof text === "string" ? !this.#stderr.includes(text) : !text.test(this.#stderr)) {
      if (this.#hasEnded) throw new Error(`Ended without saying ${text}: ${this.log}`);
      await this.#news.promise;
    }
  }

  /** Waits until stdout has this text, and returns the first group. @throws {Error} If the command ends without it. */
  async wrote(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match[1] ?? match[0];
      if (this.#hasEnded) throw new Error(`Ended without writing ${pattern}: ${this.#output}\n${this.log}`);
      await this.#news.promise;
    }
  }

  /** Writes to stdin. */
  async write(data: string | Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#stdin?.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Ends stdin. */
  async endInput(): Promise<void> {
    const stdin = this.#stdin;
    this.#stdin = undefined;
    await stdin?.close().catch(() => {});
  }

  /** What came of it, once it has ended by itself. */
  async ended(): Promise<Ended> {
    const [{ code }, stdout] = await Promise.all([this.#child.status, this.#stdout, this.#told]);
    clearTimeout(this.#hangs);
    await this.endInput();
    return { code, stdout, stderr: this.#stderr };
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal = "SIGKILL"): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended meanwhile.
    }
  }

  /** For messages of failed assertions. */
  get log(): string {
    return `${this.#name}\n${this.#stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended();
  }

  async #feed(input: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#stdin?.write(input);
    } catch {
      // It has ended before it read everything: its exit code tells.
    }
    await this.endInput();
  }

  async #readStatus(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#stderr += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("{")) this.#facts.push(JSON.parse(line));
      this.#tell();
    }
    this.#hasEnded = true;
    this.#tell();
  }

  async #readOutput(): Promise<Uint8Array<ArrayBuffer>> {
    const decoder = new TextDecoder();
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of this.#child.stdout) {
      chunks.push(chunk);
      if (this.#output.length < MAX_OUTPUT_LENGTH) this.#output += decoder.decode(chunk, { stream: true });
      this.#tell();
    }
    return await new Blob(chunks).bytes();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }
}

/** Runs a command to its end. */
export async function run(words: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  await using command = new Command(words, { input: "", ...options });
  return await command.ended();
}

/** A hub with a STUN server on loopback. */
export interface RunningHub extends AsyncDisposable {
  readonly url: string;
  readonly stun: string;
  readonly command: Command;
  /** What both kinds of peer are told. */
  readonly peerWords: readonly string[];
}

/** Starts `serve` on ports of the system's choice, unless `words` say where it listens. */
export async function startHub(...words: readonly string[]): Promise<RunningHub> {
  const listen = words.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
  const command = new Command(["serve", ...listen, "--stun", "127.0.0.1:0", "--json", ...words]);
  const ready = await command.fact("ready");
  const url = String(ready["url"]);
  const stun = String(ready["stun"]);
  return {
    url,
    stun,
    command,
    peerWords: ["--signaling", url, "--stun", stun, "--loopback", "--json"],
    [Symbol.asyncDispose]: () => command[Symbol.asyncDispose](),
  };
}

/** Starts `listen` and waits for its ticket. */
export async function startListener(
  hub: RunningHub,
  words: readonly string[],
  options: CommandOptions = {},
): Promise<{ readonly listener: Command; readonly ticket: string }> {
  const listener = new Command(["listen", ...hub.peerWords, ...words], options);
  return { listener, ticket: String((await listener.fact("ready"))["ticket"]) };
}

/** Calls `hub`'s listener by a ticket or name. */
export function call(hub: RunningHub, peer: string, words: readonly string[], options: CommandOptions = {}): Command {
  return new Command(["connect", peer, ...hub.peerWords, ...words], options);
}
