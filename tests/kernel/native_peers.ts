/**
 * Two programs that talk by `quic-native`: `serve --relay` on the public segment, `listen --via` in one home, `connect` in the
 * other.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { sha256 } from "./files.ts";
import { type KernelNetwork, PUBLIC_ADDRESSES } from "./namespaces.ts";
import { type Input, Program, type StatusLine } from "./program.ts";

const HUB = `${PUBLIC_ADDRESSES[0]}:8080`;
const RELAY = `${PUBLIC_ADDRESSES[0]}:4433`;
const TOKEN = "kernel";

/** Both programs. */
export interface Peers {
  readonly listener: Program;
  readonly caller: Program;
}

/** What they read, which may depend on what both of them say. */
export interface Inputs {
  readonly toListener: (peers: Peers) => Input;
  readonly toCaller: (peers: Peers) => Input;
}

/**
 * Starts a relay, a listener in home b and, once it has a port at the relay, a caller in home a that knows the ticket, or asks
 * the hub at the relay for a name.
 */
export async function start(
  network: KernelNetwork,
  { toListener, toCaller }: Inputs,
  { isByName = false }: { readonly isByName?: boolean } = {},
): Promise<Peers> {
  const words = ["serve", "--listen", HUB, "--relay", RELAY, "--relay-token", TOKEN, "--json"];
  const server = new Program(network, network.publicNamespace, words);
  const { relay } = await server.fact("ready");
  const [via] = Array.isArray(relay) ? relay : [];
  ok(typeof via === "string", "a relay that is ready has a URL");
  const hub = isByName ? ["--signaling", "relay", "--transport", "quic-native"] : [];
  const named = isByName ? ["--name", "bob", "--allow", "any"] : [];
  const listening = ["listen", "--once", "--via", via, "--via-token", TOKEN, "--json", ...hub, ...named];
  const early = Promise.withResolvers<Peers>();
  const listener = new Program(network, network.b.namespace, listening, later(early.promise, toCaller));
  const { ticket } = await listener.fact("ready");
  ok(typeof ticket === "string", "a listener that is ready has a ticket");
  const calling = ["connect", ...(isByName ? ["bob", "--via", via] : [ticket]), "--json", ...hub];
  const caller = new Program(network, network.a.namespace, calling, later(early.promise, toListener));
  early.resolve({ listener, caller });
  return { listener, caller };
}

/** What a program reads may depend on what it and the other one say, so it comes when both have started. */
function later(peers: Promise<Peers>, input: (peers: Peers) => Input): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  void peers.then((both) => {
    const made = input(both);
    return (made instanceof Uint8Array ? new Blob([made]).stream() : made).pipeTo(writable);
  }).catch(() => {
    // The program has ended before it read everything: its exit code tells.
  });
  return readable;
}

/** Waits until both have ended; both files have to have arrived as they were sent. */
export async function finish(
  network: KernelNetwork,
  { caller, listener }: Peers,
  files: { readonly toListener: Uint8Array; readonly toCaller: Uint8Array },
): Promise<void> {
  const [callerEnd, listenerEnd] = await Promise.all([caller.output(), listener.output()]);
  const ended = callerEnd.code === 0 && listenerEnd.code === 0;
  const log = `${caller.log}\n${listener.log}\n${ended ? "" : await network.describe()}`;
  deepStrictEqual([callerEnd.code, listenerEnd.code], [0, 0], log);
  strictEqual(sha256(listenerEnd.stdout), sha256(files.toListener), log);
  strictEqual(sha256(callerEnd.stdout), sha256(files.toCaller), log);
}

/** The kinds of path that a program has told, in order. */
export function kinds(program: Program): unknown[] {
  const connected = program.facts("connected").map(({ path }) => Object(path).kind);
  return [...connected, ...program.facts("path").map(({ kind }) => kind)];
}

/** Waits until a program's path is of that kind. */
export async function hasPath(program: Program, kind: "direct" | "relayed"): Promise<StatusLine> {
  const connected = await program.fact("connected");
  return Object(connected["path"]).kind === kind
    ? connected
    : await program.fact("path", (line) => line["kind"] === kind);
}
