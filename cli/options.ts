/**
 * The options that commands share, and what they mean.
 *
 * @module
 */

import type { DialOptions, Listener, ListenOptions, PeerOptions, Session } from "../mod.ts";
import type { CandidateProvider } from "../candidates/provider.ts";
import { integerOption, UsageError } from "./args.ts";
import type { ParsedArgs } from "./args.ts";
import { BACKEND_NAMES } from "../transports/backends.ts";
import type { BackendName } from "../transports/backends.ts";
import { RELAY_POLICIES } from "../transports/traversal.ts";
import type { RelayPolicy } from "../transports/traversal.ts";

/** The library, handed in by `mod.ts` so that commands do not import it. */
export interface Library {
  dial(options: DialOptions): Promise<Session>;
  listen(options: ListenOptions): Listener;
  names(kind: "transport" | "candidates" | "signaling"): readonly string[];
  makeCandidates(name: string, options: { readonly loopback: boolean }): CandidateProvider;
}

/** Options of every command that opens sockets towards a peer. */
export const PEER_OPTIONS = {
  boolean: ["json", "help", "loopback"],
  string: ["signaling", "stun", "token", "transport", "relay", "backend", "key", "idle", "ca"],
  collect: ["stun", "ca"],
} as const;

/** How they are explained. */
export const PEER_OPTIONS_HELP =
  `  --signaling URL    the hub: ws://HOST:PORT or wss://HOST; or relay, for the hub at the relay of --via
  --stun HOST:PORT   a STUN server to ask; may be repeated
  --token T          the hub's token, if it asks for one
  --transport NAME   how to connect: ice-then-quic, quic-native, which needs a relay, or auto, both at once; default auto
  --relay POLICY     what relays may do: never anything; signal-only, find a direct path but carry no data; until-direct,
                     carry data as long as there is none; allowed, be used where they are faster; required, be the
                     only way, for those who hide where they are; default until-direct
  --backend NAME     what moves and seals packets: runtime; ffi, sockets of Linux with segmentation offload and libcrypto,
                     which needs --allow-ffi; auto, ffi where it is allowed; default auto
  --key FILE         who we are: a key made by "identity"; default: a new one each time
  --ca FILE          authorities, PEM, by which hub and relay are believed besides the usual ones; may be repeated
  --idle SECONDS     how long a silent peer is waited for; default 30, which is the most without a relay
  --loopback         this machine only: for trying things out
  --json             one JSON object a line on stderr`;

/** Longest `--idle`: an hour. */
const MAX_IDLE_SECONDS = 3600;

/** Packets that keep a quiet session alive leave this many times within the idle timeout, so that one may be lost. */
const KEEP_ALIVES_PER_IDLE_TIMEOUT = 3;

/** Longest pause between them: below the 30 s after which many NATs forget (RFC 9000 §10.1.2). */
const MAX_KEEP_ALIVE_MS = 15_000;

/** The part of the library's options that command lines have in common. Reads the files of `--ca`. */
export async function peerOptions(args: ParsedArgs, seed: Uint8Array | undefined): Promise<PeerOptions> {
  const token = args.value("token");
  const transport = args.value("transport");
  const stun = args.values("stun");
  const idle = args.value("idle");
  const backend = backendName(args.value("backend"));
  const caCerts = await Promise.all(args.values("ca").map((path) => Deno.readTextFile(path)));
  return {
    loopback: args.flag("loopback"),
    ...(token === undefined ? {} : { token }),
    ...(transport === undefined ? {} : { transports: [transport] }),
    ...(args.value("relay") === undefined ? {} : { relay: relayPolicy(args) }),
    ...(backend === undefined ? {} : { backend }),
    ...(stun.length === 0 ? {} : { stun }),
    ...(caCerts.length === 0 ? {} : { caCerts }),
    ...(seed === undefined ? {} : { key: seed }),
    ...(idle === undefined ? {} : { quic: idleSettings(idle) }),
  };
}

/** @throws {UsageError} If there is no such backend. */
function backendName(text: string | undefined): BackendName | undefined {
  const name = BACKEND_NAMES.find((it) => it === text);
  if (text !== undefined && name === undefined) {
    throw new UsageError(`--backend takes ${BACKEND_NAMES.join(", ")}, not "${text}"`);
  }
  return name;
}

/** @throws {UsageError} If there is no such policy, or it does not go with the other options. */
function relayPolicy(args: ParsedArgs): RelayPolicy {
  const text = args.value("relay");
  const policy = RELAY_POLICIES.find((it) => it === text);
  if (policy === undefined) throw new UsageError(`--relay takes ${RELAY_POLICIES.join(", ")}, not "${text}"`);
  const transport = args.value("transport");
  if (policy === "never" && args.values("via").length > 0) {
    throw new UsageError("--relay never does not go with --via: leave one of them out");
  }
  if (policy === "never" && transport === "quic-native") {
    throw new UsageError("--relay never does not go with --transport quic-native, which begins at a relay");
  }
  if (policy === "required" && transport === "ice-then-quic") {
    throw new UsageError("--relay required does not go with --transport ice-then-quic, which uses none");
  }
  return policy;
}

function idleSettings(text: string): { readonly idleTimeoutMs: number; readonly keepAliveMs: number } {
  const idleTimeoutMs = 1000 * integerOption("idle", text, { min: 1, max: MAX_IDLE_SECONDS });
  return {
    idleTimeoutMs,
    keepAliveMs: Math.min(MAX_KEEP_ALIVE_MS, idleTimeoutMs / KEEP_ALIVES_PER_IDLE_TIMEOUT),
  };
}

/** The one word a command needs. @throws {UsageError} If there is none, or more. */
export function onlyWord(args: ParsedArgs, what: string): string {
  const [word, ...rest] = args._;
  if (word === undefined) throw new UsageError(`${what} is missing`);
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is one word too many`);
  return word;
}

/** @throws {UsageError} If there is any word. */
export function noWords(args: ParsedArgs): void {
  if (args._[0] !== undefined) throw new UsageError(`"${args._[0]}" is one word too many`);
}
