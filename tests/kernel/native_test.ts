/**
 * `quic-native` behind real NATs: `serve --relay` on the public segment, `listen --via` in one home, `connect` in the other.
 * Sessions begin through the relay; where there is a direct path, they move to it under the bytes of a file.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { file, inParts } from "./files.ts";
import { KernelNetwork, type NatKind, whyNotKernel } from "./namespaces.ts";
import { finish, hasPath, kinds, type Peers, start } from "./native_peers.ts";
import { CONNECTED, NOT_CONNECTED } from "./pairs.ts";

const reason = await whyNotKernel();
const skipped = reason === undefined ? "" : ` [skipped: ${reason}]`;

const FILE_BYTES = 3_000_000;
/** What stays with the relay is bound by its quota. */
const RELAYED_FILE_BYTES = 300_000;

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

test(`quic-native from behind ${CUT[0]} to behind ${CUT[1]} by name, with the hub at the relay`, async () => {
  await using network = await KernelNetwork.build(...CUT);
  const files = { toListener: file(7, FILE_BYTES), toCaller: file(8, FILE_BYTES) };
  const peers = await start(network, {
    toListener: ({ caller }) => inParts(files.toListener, () => hasPath(caller, "direct")),
    toCaller: ({ caller }) => inParts(files.toCaller, () => hasPath(caller, "direct")),
  }, { isByName: true });
  await finish(network, peers, files);
  deepStrictEqual([kinds(peers.caller), kinds(peers.listener)], [["relayed", "direct"], ["relayed", "direct"]]);
});
