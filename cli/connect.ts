/**
 * `connect`: calls a peer and joins stdin and stdout to it.
 *
 * @module
 */

import { KnownPeersTable } from "../signaling/known_peers.ts";
import type { TraversalEvent } from "../transports/traversal.ts";
import { parseArgs, UsageError } from "./args.ts";
import { interruption } from "./interrupt.ts";
import { KeyFileError, readKeyFile } from "./key_file.ts";
import { appendLine } from "./new_file.ts";
import { onlyWord, PEER_OPTIONS, PEER_OPTIONS_HELP, peerOptions } from "./options.ts";
import type { Library } from "./options.ts";
import { CUT_SHORT, pipeSession } from "./pipe.ts";
import { StandardInput, standardOutput } from "./standard_streams.ts";
import { Status } from "./status.ts";

/** What `connect --help` prints. */
export const CONNECT_HELP = `Calls a peer; stdin goes to it, what it sends goes to stdout.

  connect TVxxxxxxxx                              somebody gave you a ticket
  connect bob --signaling ws://hub.example:8080   somebody is registered as bob
  tar c photos | connect TVxxxxxxxx               send a folder

usage: connect TICKET | NAME[@KEY] [options]

${PEER_OPTIONS_HELP}
  --via URL          with --signaling relay: the relay, as "serve --relay" prints it
  --known FILE       where the keys of names are kept; default: in memory
  --post-quantum     a key exchange against quantum computers to come as well; the first flight is two datagrams then`;

/** Runs the command. Returns the exit code. */
export async function connect(words: readonly string[], library: Library): Promise<number> {
  const args = parseArgs(words, {
    ...PEER_OPTIONS,
    boolean: [...PEER_OPTIONS.boolean, "post-quantum"],
    string: [...PEER_OPTIONS.string, "known", "via"],
  });
  const status = new Status(args.flag("json"));
  const peer = onlyWord(args, "The ticket or name to call");
  const keyPath = args.value("key");
  const seed = keyPath === undefined ? undefined : await readKeyFile(keyPath);
  const known = await knownPeers(args.value("known"), status);
  const [signaling, via] = [args.value("signaling"), args.value("via")];
  if ((via === undefined) === (signaling === "relay")) throw new UsageError("--via and --signaling relay go together");
  const interrupted = interruption();
  let calls = 0;
  const session = await library.dial({
    ...await peerOptions(args, seed),
    postQuantum: args.flag("post-quantum"),
    peer,
    known,
    signal: interrupted,
    ...(signaling === undefined ? {} : { signaling }),
    ...(via === undefined ? {} : { via }),
    onEvent: (event) => {
      // Without a hub, the ticket that comes of calling is the answer to hand back.
      if (event.type === "ticket") showAnswer(status, event.text);
      else if (event.type === "openChannel") status.note(++calls === 1 ? "calling ..." : "no luck; calling again ...");
      else narrate(status, event);
    },
  });
  status.connected(session);
  const interrupt = (): void => session.close(CUT_SHORT, "interrupted");
  interrupted.addEventListener("abort", interrupt, { once: true });
  const counts = { sent: 0, received: 0 };
  const ends = {
    input: new StandardInput().stream(),
    output: standardOutput(),
    onReceived: () => noteLongInput(status),
  };
  try {
    await pipeSession(session, ends, counts);
  } finally {
    // Both directions have ended, or it is told already that they will not.
    session.close();
    status.closed(counts, session, await session.closed);
    await session[Symbol.asyncDispose]();
  }
  return 0;
}

/** The peer has sent everything, but a person may not know that it is now their turn to end. */
export function noteLongInput(status: Status): void {
  if (Deno.stdin.isTerminal()) status.note("the peer has sent everything; end your side with Ctrl-D");
}

function showAnswer(status: Status, text: string): void {
  status.tell({ type: "answer", answer: text }, `hand this answer back to whoever gave you the ticket:\n\n  ${text}\n`);
}

/** Says what is happening, and above all why it takes time. */
export function narrate(status: Status, event: TraversalEvent): void {
  switch (event.type) {
    case "step":
      if (event.step === "gathered") status.note("our addresses are known; looking for the peer ...");
      else if (event.step === "signaled") {
        status.note("the peer was found; trying its addresses and opening our NAT ...");
      } else if (event.step === "checked") status.note("a path is open; shaking hands ...");
      return;
    case "note":
      status.note(event.message);
      return;
    case "gatheringError":
      status.note(`seen from ${event.base.local}: ${event.reason}`);
      return;
    case "unregistered":
      status.note(`${event.reason ?? "the hub is gone"}; trying again until it is there ...`);
      return;
    case "refused":
      status.tell(
        { type: "refused", reason: event.reason, ...(event.caller === undefined ? {} : { caller: event.caller }) },
        `turned a caller down (${event.reason})${event.caller === undefined ? "" : `: ${event.caller}`}`,
      );
      return;
    case "callFailed":
      status.tell({ type: "callFailed", message: event.message }, `a call came to nothing: ${event.message}`);
      return;
    case "base": {
      const local = event.base.local.toString();
      const words = event.change === "added" ? `using ${local}` : `${local} is gone`;
      status.tell({ type: "network", change: event.change, local }, `the network has changed: ${words}`);
      return;
    }
    case "path":
      status.path(event.kind, event.ms, event.reason);
      return;
    case "mispaste":
      status.tell({ type: "mispaste", message: event.message }, event.message);
      return;
    default:
      return;
  }
}

async function knownPeers(path: string | undefined, status: Status): Promise<KnownPeersTable> {
  const known = new KnownPeersTable(
    path === undefined ? {} : {
      onPin: (line) => {
        try {
          appendLine(path, line);
        } catch (error) {
          // The pin holds as long as the program runs, as it does without --known.
          status.note(`the peer's key is not kept: ${error instanceof Error ? error.message : error}`);
        }
      },
    },
  );
  if (path === undefined) return known;
  try {
    known.load(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return known;
    throw new KeyFileError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  return known;
}
