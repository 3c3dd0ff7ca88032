/**
 * `quic-native` behind real NATs: `serve --relay` on the public segment, `listen --via` in one home, `connect` in the other.
 * Sessions begin through the relay; where there is a direct path, they move to it under the bytes of a file.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { file, inParts, sha256 } from "./files.ts";
import { KernelNetwork, type NatKind, PUBLIC_ADDRESSES, whyNotKernel } from "./namespaces.ts";
import { CONNECTED, NOT_CONNECTED } from "./pairs.ts";
import { type Input, Program, type StatusLine } from "./program.ts";

const reason = await whyNotKernel();
const skipped = reason === undefined ? "" : ` [skipped: ${reason}]`;

const HUB = `${PUBLIC_ADDRESSES[0]}:8080`;
const RELAY = `${PUBLIC_ADDRESSES[0]}:4433`;
const TOKEN = "kernel";
const FILE_BYTES = 3_000_000;
/** What stays with the relay is bound by its quota. */
const RELAYED_FILE_BYTES = 300_000;

interface Peers {
  readonly listener: Program;
  readonly caller: Program;
}

interface Inputs {
  readonly toListener: (peers: Peers) => Input;
  readonly toCaller: (peers: Peers) => Input;
}

/** Starts a relay, a listener in home b and, once it has a port at the relay, a caller in home a that knows the ticket. */
async function start(network: KernelNetwork, { toListener, toCaller }: Inputs): Promise<Peers> {
  const words = ["serve", "--listen", HUB, "--relay", RELAY, "--relay-token", TOKEN, "--json"];
  const server = new Program(network, network.publicNamespace, words);
  const { relay } = await server.fact("ready");
  const [via] = Array.isArray(relay) ? relay : [];
  ok(typeof via === "string", "a relay that is ready has a URL");
  const listening = ["listen", "--once", "--via", via, "--via-token", TOKEN, "--json"];
  const early = Promise.withResolvers<Peers>();
  const listener = new Program(network, network.b.namespace, listening, later(early.promise, toCaller));
  const { ticket } = await listener.fact("ready");
  ok(typeof ticket === "string", "a listener that is ready has a ticket");
  const calling = ["connect", ticket, "--json"];
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
async function finish(
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
function kinds(program: Program): unknown[] {
  const connected = program.facts("connected").map(({ path }) => Object(path).kind);
  return [...connected, ...program.facts("path").map(({ kind }) => kind)];
}

async function hasPath(program: Program, kind: "direct" | "relayed"): Promise<StatusLine> {
  const connected = await program.fact("connected");
  return Object(connected["path"]).kind === kind
    ? connected
    : await program.fact("path", (line) => line["kind"] === kind);
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name}${skipped}`, ignore: reason !== undefined, fn });
}

for (const [a, b] of CONNECTED) {
  test(`quic-native from behind ${a} to behind ${b} becomes direct under a file each way`, async () => {
    await using network = await KernelNetwork.build(a, b);
    const files = { toListener: file(1, FILE_BYTES), toCaller: file(2, FILE_BYTES) };
    // The second half has to wait for the direct path.
    const peers = await start(network, {
      toListener: ({ caller }) => inParts(files.toListener, () => hasPath(caller, "direct")),
      toCaller: ({ caller }) => inParts(files.toCaller, () => hasPath(caller, "direct")),
    });
    await finish(network, peers, files);
    const { transport } = await peers.caller.fact("connected");
    strictEqual(transport, "quic-native");
  });
}

for (const [a, b] of NOT_CONNECTED) {
  test(`quic-native from behind ${a} to behind ${b} stays relayed, a file each way`, async () => {
    await using network = await KernelNetwork.build(a, b);
    const files = { toListener: file(3, RELAYED_FILE_BYTES), toCaller: file(4, RELAYED_FILE_BYTES) };
    const peers = await start(network, { toListener: () => files.toListener, toCaller: () => files.toCaller });
    await finish(network, peers, files);
    deepStrictEqual([kinds(peers.caller), kinds(peers.listener)], [["relayed"], ["relayed"]]);
  });
}

const CUT: readonly [NatKind, NatKind] = ["EIM+APDF", "EIM+APDF"];

test(`quic-native from behind ${CUT[0]} to behind ${CUT[1]} loses nothing when the direct path is cut`, async () => {
  await using network = await KernelNetwork.build(...CUT);
  const files = { toListener: file(5, FILE_BYTES), toCaller: file(6, FILE_BYTES) };
  let cutting: Promise<void> | undefined;
  const areDirect = async ({ caller, listener }: Peers): Promise<void> => {
    await Promise.all([hasPath(caller, "direct"), hasPath(listener, "direct")]);
    // While the second parts are on their way; the third ones meet the cut in any case.
    cutting ??= network.cutBetweenHomes();
  };
  const isCut = async (): Promise<void> => await cutting;
  const peers = await start(network, {
    toListener: (both) => inParts(files.toListener, () => areDirect(both), isCut),
    toCaller: (both) => inParts(files.toCaller, () => areDirect(both), isCut),
  });
  await finish(network, peers, files);
  ok(await network.cutPackets() > 0, "the cut has met no packet");
  strictEqual(kinds(peers.caller).at(-1), "relayed");
});
