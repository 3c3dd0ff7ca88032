/**
 * The command line: chooses the subcommand and turns what goes wrong into one line and an exit code.
 *
 * @module
 */

import { DialError } from "../transports/dial.ts";
import { UsageError } from "./args.ts";
import { candidates, CANDIDATES_HELP } from "./candidates.ts";
import { connect, CONNECT_HELP } from "./connect.ts";
import { demo, DEMO_HELP } from "./demo.ts";
import { identity, IDENTITY_HELP } from "./identity.ts";
import { listen, LISTEN_HELP } from "./listen.ts";
import type { Library } from "./options.ts";
import { serve, SERVE_HELP } from "./serve.ts";
import { printLine } from "./standard_streams.ts";
import { Status } from "./status.ts";

const HELP = `Peer-to-peer QUIC through NATs.

  serve                                    run a hub that peers find each other by
  listen --signaling ws://HUB:8080         wait for a friend; prints a ticket
  connect TICKET                           call

commands:
  listen        wait for peers
  connect       call a peer
  serve         hub, STUN server and relay
  candidates    show what addresses this machine can be reached at
  identity      make and show a key
  demo          all of it on this machine

COMMAND --help tells more. Exit codes: 0 done, 1 failed, 2 wrong usage.`;

interface Command {
  readonly help: string;
  readonly run: (words: readonly string[], library: Library) => Promise<number>;
}

const COMMANDS: { readonly [name: string]: Command } = {
  listen: { help: LISTEN_HELP, run: listen },
  connect: { help: CONNECT_HELP, run: connect },
  serve: { help: SERVE_HELP, run: serve },
  candidates: { help: CANDIDATES_HELP, run: candidates },
  identity: { help: IDENTITY_HELP, run: identity },
  demo: { help: DEMO_HELP, run: demo },
};

/** Runs the command that `words` name. Returns the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(words: readonly string[], library: Library): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const code = printed(HELP, new Status(false));
    return name === undefined ? 2 : code;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  const status = new Status(rest.includes("--json"));
  if (command === undefined) {
    status.failed(`There is no command "${name}"; see --help`);
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    return printed(command.help, status);
  }
  try {
    return await command.run(rest, library);
  } catch (error) {
    return explain(error, status, name);
  }
}

/** Help on stdout. @returns The exit code. */
function printed(text: string, status: Status): number {
  try {
    printLine(text);
    return 0;
  } catch (error) {
    return explain(error, status, "");
  }
}

function explain(error: unknown, status: Status, command: string): number {
  if (error instanceof UsageError) {
    status.failed(`${error.message}; see ${command} --help`, { reason: "usage" });
    return 2;
  }
  if (error instanceof DialError) {
    const { reason, expected, actual } = error;
    status.failed(error.message, {
      reason,
      ...(expected === undefined ? {} : { expected }),
      ...(actual === undefined ? {} : { actual }),
    });
    return 1;
  }
  // A mistake of the caller's, as the library says it: a ticket with a typo, a name that is none.
  if (error instanceof TypeError || error instanceof RangeError) {
    status.failed(error.message, { reason: "usage" });
    return 2;
  }
  if (error instanceof Deno.errors.NotCapable) {
    status.failed(`A permission is missing: ${error.message}`, { reason: "permission" });
    return 1;
  }
  status.failed(error instanceof Error ? error.message : String(error));
  return 1;
}
