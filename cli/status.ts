/**
 * What a command says while it works: lines for people, or with `--json` one object a line. Always on stderr: stdout
 * carries only data.
 *
 * @module
 */

import { formatKey } from "../signaling/identity.ts";
import type { Session, SessionClosed } from "../transports/session.ts";
import type { CallTimes } from "../transports/traversal.ts";

/** Tells people or machines what happens. */
export class Status {
  readonly #json: boolean;
  readonly #write: (line: string) => void;
  #lastNote: string | undefined;
  #isConnected = false;

  /** @param write Takes whole lines; by default they go to stderr. */
  constructor(json: boolean, write: (line: string) => void = writeStderr) {
    this.#json = json;
    this.#write = write;
  }

  /** Something that only people want to know, and once is enough. */
  note(text: string): void {
    if (this.#json || text === this.#lastNote) return;
    this.#lastNote = text;
    this.#write(text);
  }

  /** One fact, as data and in words. */
  tell(fact: { readonly type: string; readonly [field: string]: unknown }, words: string): void {
    this.#write(this.#json ? JSON.stringify(fact) : words);
  }

  connected(session: Session): void {
    this.#isConnected = true;
    const { kind, local, remote } = session.path;
    const peer = formatKey(session.peer);
    const path = { kind, local: local.toString(), remote: remote.toString() };
    this.tell(
      { type: "connected", transport: session.transport, peer, path, ms: rounded(session.times) },
      `connected to ${peer} by ${session.transport}, ${kind} ${path.local} -> ${path.remote}${spent(session.times)}`,
    );
  }

  /** A session's packets take another way now. Before `connected` nobody needs to know: that tells the way as it is then. */
  path(kind: "relayed" | "direct", ms: number, reason: string | undefined): void {
    if (!this.#isConnected) return;
    const words = kind === "direct" ? "the path is direct" : "the path leads through the relay";
    this.tell(
      { type: "path", kind, ms: tenths(ms), ...(reason === undefined ? {} : { reason }) },
      `${words}, ${Math.round(ms)} ms after the start${reason === undefined ? "" : `: ${reason}`}`,
    );
  }

  closed(counts: { readonly sent: number; readonly received: number }, session: Session, closed: SessionClosed): void {
    const { sent, received } = counts;
    this.tell(
      { type: "closed", sent, received, ms: rounded(session.times) },
      `closed: ${sent} bytes sent, ${received} bytes received${closed.reason === "" ? "" : ` (${closed.reason})`}`,
    );
  }

  /** Why the command failed: what, why, what to try. */
  failed(message: string, fields: { readonly [field: string]: unknown } = {}): void {
    this.tell({ type: "error", message, ...fields }, `error: ${message}`);
  }
}

/** Milliseconds, each with one decimal: more is noise. */
function rounded(times: CallTimes): CallTimes {
  const entries = Object.entries(times).map(([step, ms]) => [step, tenths(ms)]);
  return Object.fromEntries(entries);
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function spent({ handshake }: CallTimes): string {
  return handshake === undefined ? "" : ` in ${Math.round(handshake)} ms`;
}

const encoder = new TextEncoder();

function writeStderr(line: string): void {
  const bytes = encoder.encode(`${line}\n`);
  try {
    for (let offset = 0; offset < bytes.length;) offset += Deno.stderr.writeSync(bytes.subarray(offset));
  } catch {
    // Nobody reads it any more: the data still flows.
  }
}
