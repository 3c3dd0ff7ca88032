/**
 * `listen`: waits for peers and joins stdin and stdout to them, or returns what they send.
 *
 * @module
 */

import { sleep } from "../io/sleep.ts";
import { TICKET_LIFETIME_MS } from "../signaling/ticket_codec.ts";
import type { Listener, ListenOptions, Session } from "../mod.ts";
import { parseArgs, UsageError } from "./args.ts";
import type { ParsedArgs } from "./args.ts";
import { narrate, noteLongInput } from "./connect.ts";
import { aborted, interruption } from "./interrupt.ts";
import { readAllowList, readKeyFile } from "./key_file.ts";
import { noWords, PEER_OPTIONS, PEER_OPTIONS_HELP, peerOptions } from "./options.ts";
import type { Library } from "./options.ts";
import { CUT_SHORT, echoSession, pipeSession } from "./pipe.ts";
import { RelayWait } from "./relay_wait.ts";
import { StandardInput, standardOutput } from "./standard_streams.ts";
import { Status } from "./status.ts";

/** Peers at once with `--echo`. */
const MAX_ECHO_SESSIONS = 32;

/** Wrong strings that may be pasted in a row. */
const MAX_PASTES = 100;

/** How often a file that is to hold the answer is looked at. */
const ANSWER_POLL_MS = 250;

/** What `listen --help` prints. */
export const LISTEN_HELP = `Waits for a peer; stdin goes to it, what it sends goes to stdout.

  listen --signaling ws://hub.example:8080           prints a ticket to hand to a friend
  listen --signaling ticket                          no server at all: copy and paste both ways
  listen --via https://192.0.2.1:4433#SHA256         by a relay: the friend needs the ticket and nothing else
  listen --via https://relay.example.org             the same, if its certificate is good for that name
  listen --name bob --allow any --signaling ws://hub.example:8080
                                                     anybody may call "bob"
  listen --name bob --allow any --signaling relay --via https://192.0.2.1:4433#SHA256
                                                     the same through the relay's hub: one UDP socket and nothing else

usage: listen --signaling URL|ticket [options]
       listen --via URL [--signaling URL] [options]

${PEER_OPTIONS_HELP}
  --name N           the name to be called by
  --allow KEY|FILE|any
                     who may call besides holders of the ticket, or, with --via alone, which of its holders; may be
                     repeated
  --via URL          a relay, as "serve --relay" prints it: data flows through it until there is a direct path; may be
                     repeated
  --via-token T      the relay's token, if it asks for one; once for all relays, or once for each
  --answer FILE      with --signaling ticket: where the caller's answer is found, if not typed
  --once             end after the first peer
  --echo             return every byte, to many peers at once; stdin is not read`;

/** Runs the command. Returns the exit code: 1 if a session was cut short. */
export async function listen(words: readonly string[], library: Library): Promise<number> {
  const args = parseArgs(words, {
    boolean: [...PEER_OPTIONS.boolean, "once", "echo"],
    string: [...PEER_OPTIONS.string, "name", "allow", "answer", "via", "via-token"],
    collect: [...PEER_OPTIONS.collect, "allow", "via", "via-token"],
  });
  noWords(args);
  const way = wayToUs(args);
  const isPaste = way.signaling === "ticket";
  const status = new Status(args.flag("json"));
  const input = new StandardInput();
  const keyPath = args.value("key");
  const seed = keyPath === undefined ? undefined : await readKeyFile(keyPath);
  const name = args.value("name");
  const interrupted = interruption();
  // With a hub besides, both are tried until they are there.
  const relay = way.via === undefined || way.signaling !== undefined ? undefined : new RelayWait(args.values("via"));
  let mispastes = 0;
  let shown: string | undefined;
  await using listener = library.listen({
    ...await peerOptions(args, seed),
    ...way,
    allow: await readAllowList(args.values("allow")),
    maxSessions: args.flag("echo") ? MAX_ECHO_SESSIONS : 1,
    ...(name === undefined ? {} : { name }),
    onEvent: (event) => {
      if (event.type === "mispaste") mispastes++;
      // Before there is a port, see `RelayWait`.
      if (event.type === "unregistered" && relay?.isOver === false) return relay.fail(event.reason);
      // A relay was lost and has given us another address, or one that was not there before is.
      if (event.type === "ticket" && shown !== undefined && event.text !== shown) {
        shown = event.text;
        status.tell(
          { type: "ticket", ticket: shown },
          `the addresses at relays have changed; the ticket now:\n\n  connect ${shown}\n`,
        );
      }
      narrate(status, event);
    },
  });
  interrupted.addEventListener("abort", () => listener.close(CUT_SHORT, "interrupted"), { once: true });
  if (relay !== undefined) status.note("opening a port at the relay ...");
  else status.note(isPaste ? "finding our own addresses ..." : "registering with the hub ...");
  // A plugin's hub may be one that no ticket can name: then we are called by name.
  const ticketed = listener.ticket.catch(() => undefined);
  const ready = await Promise.race([
    Promise.all([ticketed, listener.ready]),
    aborted(interrupted),
    ...(relay === undefined ? [] : [relay.failed]),
  ]);
  relay?.end();
  if (ready === undefined) return 0;
  const [ticket] = ready;
  shown = ticket;
  const ways = [
    ...(ticket === undefined ? [] : [`  connect ${ticket}`]),
    ...(name === undefined ? [] : [`  connect ${name} --signaling ${hubWords(args)}`]),
  ];
  status.tell({
    type: "ready",
    ...(ticket === undefined ? {} : { ticket }),
    ...(name === undefined ? {} : { name }),
  }, `waiting; your friend runs:\n\n${ways.join("\n\nor, if allowed by --allow:\n\n")}\n`);
  const answered = new AbortController();
  if (isPaste) {
    const paste = (line: string): boolean => {
      const before = mispastes;
      listener.paste(line);
      return mispastes === before;
    };
    void takeAnswer(args, { input, status, paste, signal: AbortSignal.any([interrupted, answered.signal]) });
  }
  try {
    return await serve(args, listener, input, status);
  } finally {
    answered.abort();
  }
}

/** How callers find us: through a hub, by pasting, or through a relay. @throws {UsageError} If the options do not agree. */
function wayToUs(args: ParsedArgs): Pick<ListenOptions, "via"> & { readonly signaling?: string } {
  const [signaling, via, tokens] = [args.value("signaling"), args.values("via"), args.values("via-token")];
  if (args.value("answer") !== undefined && signaling !== "ticket") {
    throw new UsageError("--answer goes with --signaling ticket");
  }
  if (tokens.length > 1 && tokens.length !== via.length) {
    throw new UsageError("--via-token is given once for all relays, or once for each --via");
  }
  if (via.length > 0) {
    if (signaling === "ticket") throw new UsageError("--via needs no --signaling ticket: nothing is to be pasted back");
    for (const name of signaling === undefined ? ["name", "token"] : []) {
      if (args.values(name).length > 0) {
        throw new UsageError(`--${name} is for the hub: give --signaling besides --via`);
      }
    }
    const relays = via.map((url, i) => {
      const token = tokens[i] ?? tokens[0];
      return token === undefined ? { url } : { url, token };
    });
    return { via: relays, ...(signaling === undefined ? {} : { signaling }) };
  }
  if (tokens.length > 0) throw new UsageError("--via-token goes with --via");
  if (signaling === "relay") throw new UsageError("--signaling relay goes with --via, the URL of the relay");
  if (signaling === undefined) {
    throw new UsageError("--signaling is missing: the URL of a hub, or ticket; or --via, the URL of a relay");
  }
  if (signaling === "ticket") {
    if (args.value("transport") === "quic-native") throw new UsageError("--transport quic-native goes with --via");
    if (args.value("relay") === "required") {
      throw new UsageError("--relay required goes with --via, the URL of a relay");
    }
  }
  return { signaling };
}

/** What callers by name say of the hub. */
function hubWords(args: ParsedArgs): string {
  const [signaling = "", via = ""] = [args.value("signaling"), args.values("via")[0]];
  return signaling === "relay" ? `relay --via ${via}` : signaling;
}

async function serve(args: ParsedArgs, listener: Listener, input: StandardInput, status: Status): Promise<number> {
  const isEcho = args.flag("echo");
  let isCutShort = false;
  const running = new Set<Promise<void>>();
  for await (const session of listener) {
    status.connected(session);
    const work = attend(session, status, isEcho ? undefined : input).then((isWhole) => {
      isCutShort ||= !isWhole;
      running.delete(work);
    });
    running.add(work);
    if (!isEcho || args.flag("once")) await work;
    if (args.flag("once")) return isCutShort ? 1 : 0;
  }
  await Promise.all(running);
  // Why listening ended, if it failed.
  await listener.closed;
  return isCutShort ? 1 : 0;
}

/** Serves one session to its end. Returns whether all went through. */
async function attend(session: Session, status: Status, input: StandardInput | undefined): Promise<boolean> {
  const counts = { sent: 0, received: 0 };
  let failure: string | undefined;
  try {
    if (input === undefined) await echoSession(session, counts);
    else {
      const ends = { input: input.stream(), output: standardOutput(), onReceived: () => noteLongInput(status) };
      await pipeSession(session, ends, counts);
    }
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  // The caller closes: it knows when both directions have ended.
  const closed = await session.closed;
  status.closed(counts, session, closed);
  if (failure !== undefined) status.failed(failure);
  return failure === undefined;
}

/** Where the caller's answer comes from, and where it goes. */
interface AnswerDesk {
  readonly input: StandardInput;
  readonly status: Status;
  /** Returns whether it was an answer to our ticket. */
  readonly paste: (line: string) => boolean;
  readonly signal: AbortSignal;
}

/** Hands the pasted answer to the listener: the first line typed, else a file that appears. A wrong one is asked for again. */
async function takeAnswer(args: ParsedArgs, { input, status, paste, signal }: AnswerDesk): Promise<void> {
  const path = args.value("answer");
  if (path === undefined) {
    if (!Deno.stdin.isTerminal()) {
      status.note("stdin is not a terminal: the answer that your friend gets has to be in --answer FILE");
      return;
    }
    for (let i = 0; i < MAX_PASTES && !signal.aborted; i++) {
      status.note("paste the answer that your friend gets here:");
      const line = await input.line();
      if (line === undefined || (line !== "" && paste(line))) return;
    }
    return;
  }
  const looks = TICKET_LIFETIME_MS / ANSWER_POLL_MS;
  let last = "";
  for (let i = 0; i < looks && !signal.aborted; i++) {
    const text = await Deno.readTextFile(path).catch(() => "");
    const [line = "", rest] = text.split("\n", 2);
    // Without the end of the line it is still being written.
    if (rest !== undefined && line.trim() !== "" && line !== last) {
      last = line;
      if (paste(line)) return;
    }
    await sleep(ANSWER_POLL_MS, { signal }).catch(() => {});
  }
}
