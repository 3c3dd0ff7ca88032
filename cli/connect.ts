/**
 * `connect`: calls a peer and joins stdin and stdout to it.
 *
 * @module
 */

import { KnownPeersTable } from "../signaling/known_peers.ts";
import type { TraversalEvent } from "../transports/traversal.ts";
import { parseArgs } from "./args.ts";
import { KeyFileError, readKeyFile } from "./key_file.ts";
import { onlyWord, PEER_OPTIONS, PEER_OPTIONS_HELP, peerOptions } from "./options.ts";
import type { Library } from "./options.ts";
import { pipeSession } from "./pipe.ts";
import { StandardInput, standardOutput } from "./standard_streams.ts";
import { Status } from "./status.ts";

/** What `connect --help` prints. */
export const CONNECT_HELP = `Calls a peer; stdin goes to it, what it sends goes to stdout.

  connect TVxxxxxxxx                              somebody gave you a ticket
  connect bob --signaling ws://hub.example:8080   somebody is registered as bob
  tar c photos | connect TVxxxxxxxx               send a folder

usage: connect TICKET | NAME[@KEY] [options]

${PEER_OPTIONS_HELP}
  --known FILE       where the keys of names are kept; default: in memory`;

/** Runs the command. Returns the exit code. */
export async function connect(words: readonly string[], library: Library): Promise<number> {
  const args = parseArgs(words, {
    ...PEER_OPTIONS,
    string: [...PEER_OPTIONS.string, "known"],
  });
  const status = new Status(args.flag("json"));
  const peer = onlyWord(args, "the ticket or name to call");
  const keyPath = args.value("key");
  const seed = keyPath === undefined ? undefined : await readKeyFile(keyPath);
  const known = await knownPeers(args.value("known"));
  const signaling = args.value("signaling");
  status.note("calling ...");
  const session = await library.dial({
    ...peerOptions(args, seed),
    peer,
    known,
    ...(signaling === undefined ? {} : { signaling }),
    onEvent: (event) => {
      // Without a hub, the ticket that comes of calling is the answer to hand back.
      if (event.type === "ticket") showAnswer(status, event.text);
      else narrate(status, event);
    },
  });
  status.connected(session);
  const counts = { sent: 0, received: 0 };
  try {
    await pipeSession(session, { input: new StandardInput().stream(), output: standardOutput() }, counts);
  } catch (error) {
    session.close();
    status.closed(counts, session, await session.closed);
    throw error;
  }
  session.close();
  status.closed(counts, session, await session.closed);
  return 0;
}

function showAnswer(status: Status, text: string): void {
  status.tell({ type: "answer", answer: text }, `hand this answer back to whoever gave you the ticket:\n\n  ${text}\n`);
}

/** Says what is happening, and above all why it takes time. */
export function narrate(status: Status, event: TraversalEvent): void {
  switch (event.type) {
    case "step":
      if (event.step === "gathered") status.note("asking for a way through ...");
      else if (event.step === "signaled") status.note("the peer was found, trying its addresses ...");
      else if (event.step === "checked") status.note("a path is open, shaking hands ...");
      return;
    case "gatheringError":
      status.note(`no answer about ${event.base.local}: ${event.reason}`);
      return;
    case "unregistered":
      status.note(
        `the hub is gone${event.reason === undefined ? "" : ` (${event.reason})`}; trying again until it is back ...`,
      );
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
    case "mispaste":
      status.tell({ type: "mispaste", message: event.message }, event.message);
      return;
    default:
      return;
  }
}

async function knownPeers(path: string | undefined): Promise<KnownPeersTable> {
  const known = new KnownPeersTable(
    path === undefined ? {} : {
      onPin: (line) => {
        try {
          Deno.writeTextFileSync(path, line, { append: true, create: true, mode: 0o600 });
        } catch {
          // Without write permission the pin holds as long as the program runs, as it does without --known.
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
