/**
 * `listen`: waits for peers and joins stdin and stdout to them, or returns what they send.
 *
 * @module
 */

import { sleep } from "../io/sleep.ts";
import { TICKET_LIFETIME_MS } from "../signaling/ticket_codec.ts";
import type { Listener, Session } from "../mod.ts";
import { parseArgs, UsageError } from "./args.ts";
import type { ParsedArgs } from "./args.ts";
import { narrate } from "./connect.ts";
import { readAllowList, readKeyFile } from "./key_file.ts";
import { noWords, PEER_OPTIONS, PEER_OPTIONS_HELP, peerOptions } from "./options.ts";
import type { Library } from "./options.ts";
import { echoSession, pipeSession } from "./pipe.ts";
import { StandardInput, standardOutput } from "./standard_streams.ts";
import { Status } from "./status.ts";

/** Peers at once with `--echo`. */
const MAX_ECHO_SESSIONS = 32;

/** How often a file that is to hold the answer is looked at. */
const ANSWER_POLL_MS = 250;

/** What `listen --help` prints. */
export const LISTEN_HELP = `Waits for a peer; stdin goes to it, what it sends goes to stdout.

  listen --signaling ws://hub.example:8080           prints a ticket to hand to a friend
  listen --signaling ticket                          no server at all: copy and paste both ways
  listen --name bob --allow any --signaling ws://hub.example:8080
                                                     anybody may call "bob"

usage: listen --signaling URL|ticket [options]

${PEER_OPTIONS_HELP}
  --name N           the name to be called by
  --allow KEY|FILE|any
                     who may call besides holders of the ticket; may be repeated
  --answer FILE      with --signaling ticket: where the caller's answer is found, if not typed
  --once             end after the first peer
  --echo             return every byte, to many peers at once; stdin is not read`;

/** Runs the command. Returns the exit code. */
export async function listen(words: readonly string[], library: Library): Promise<number> {
  const args = parseArgs(words, {
    boolean: [...PEER_OPTIONS.boolean, "once", "echo"],
    string: [...PEER_OPTIONS.string, "name", "allow", "answer"],
    collect: [...PEER_OPTIONS.collect, "allow"],
  });
  noWords(args);
  const url = args.value("signaling");
  if (url === undefined) throw new UsageError("--signaling is missing: the URL of a hub, or ticket");
  const status = new Status(args.flag("json"));
  const input = new StandardInput();
  const keyPath = args.value("key");
  const seed = keyPath === undefined ? undefined : await readKeyFile(keyPath);
  const name = args.value("name");
  const isPaste = url === "ticket";
  const stop = new AbortController();
  const listener = library.listen({
    ...peerOptions(args, seed),
    signaling: url,
    allow: await readAllowList(args.values("allow")),
    maxSessions: args.flag("echo") ? MAX_ECHO_SESSIONS : 1,
    ...(name === undefined ? {} : { name }),
    signal: stop.signal,
    onEvent: (event) => narrate(status, event),
  });
  status.note(isPaste ? "finding our own addresses ..." : "registering with the hub ...");
  const [ticket] = await Promise.all([listener.ticket, listener.ready]);
  const howTo = `waiting; your friend runs:\n\n  connect ${ticket}\n`;
  status.tell({ type: "ready", ticket, ...(name === undefined ? {} : { name }) }, howTo);
  if (isPaste) void takeAnswer(args, input, listener, status, stop.signal);
  try {
    return await serve(args, listener, input, status);
  } finally {
    stop.abort();
    await listener[Symbol.asyncDispose]();
  }
}

async function serve(args: ParsedArgs, listener: Listener, input: StandardInput, status: Status): Promise<number> {
  const isEcho = args.flag("echo");
  for await (const session of listener) {
    status.connected(session);
    const work = isEcho ? attend(session, status) : attend(session, status, input);
    if (args.flag("once")) return await work ? 0 : 1;
    if (!isEcho) await work;
  }
  await listener.closed;
  return 0;
}

/** Serves one session to its end. Returns whether all went through. */
async function attend(session: Session, status: Status, input?: StandardInput): Promise<boolean> {
  const counts = { sent: 0, received: 0 };
  let failure: string | undefined;
  try {
    if (input === undefined) await echoSession(session, counts);
    else await pipeSession(session, { input: input.stream(), output: standardOutput() }, counts);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    session.close();
  }
  // The caller closes: it knows when both directions have ended.
  const closed = await session.closed;
  status.closed(counts, session, closed);
  if (failure !== undefined) status.failed(failure);
  return failure === undefined;
}

/** Hands the pasted answer to the listener: the first line typed, else a file that appears. */
async function takeAnswer(
  args: ParsedArgs,
  input: StandardInput,
  listener: Listener,
  status: Status,
  signal: AbortSignal,
): Promise<void> {
  const path = args.value("answer");
  if (path === undefined) {
    if (!Deno.stdin.isTerminal()) {
      status.note("stdin is not a terminal: a caller that needs an answer pasted needs --answer FILE here");
      return;
    }
    status.note("paste the caller's answer here:");
    for (let line = await input.line(); line !== undefined; line = await input.line()) {
      listener.paste(line);
      return;
    }
    return;
  }
  const tries = TICKET_LIFETIME_MS / ANSWER_POLL_MS;
  for (let i = 0; i < tries && !signal.aborted; i++) {
    const text = await Deno.readTextFile(path).catch(() => "");
    const line = text.split("\n", 1)[0] ?? "";
    if (line.trim() !== "" && text.includes("\n")) {
      listener.paste(line);
      return;
    }
    await sleep(ANSWER_POLL_MS, { signal }).catch(() => {});
  }
}
