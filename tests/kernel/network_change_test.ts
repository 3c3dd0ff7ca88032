/**
 * The address of a real interface is replaced in mid-transfer, and a real NAT forgets: both files arrive, on one session.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { file, inParts } from "./files.ts";
import { KernelNetwork, type NatKind, whyNotKernel } from "./namespaces.ts";
import { finish, hasPath, kinds, type Peers, start } from "./native_peers.ts";

const reason = await whyNotKernel();
const skipped = reason === undefined ? "" : ` [skipped: ${reason}]`;

const KINDS: readonly [NatKind, NatKind] = ["EIM+APDF", "EIM+APDF"];
const FILE_BYTES = 3_000_000;

for (const side of ["caller", "listener"] as const) {
  Deno.test({
    name: `quic-native goes on when the address of the ${side} is replaced under a file each way${skipped}`,
    ignore: reason !== undefined,
    fn: async () => {
      await using network = await KernelNetwork.build(...KINDS);
      const files = { toListener: file(7, FILE_BYTES), toCaller: file(8, FILE_BYTES) };
      const home = side === "caller" ? network.a : network.b;
      let replacing: Promise<string> | undefined;
      const areDirect = async ({ caller, listener }: Peers): Promise<void> => {
        await Promise.all([hasPath(caller, "direct"), hasPath(listener, "direct")]);
        // While the second parts are on their way; the third ones leave when the program has seen it.
        replacing ??= network.replaceAddress(home);
      };
      const hasFollowed = async (peers: Peers): Promise<void> => {
        await peers[side].fact("network", ({ change }) => change === "removed");
      };
      const peers = await start(network, {
        toListener: (both) => inParts(files.toListener, () => areDirect(both), () => hasFollowed(both)),
        toCaller: (both) => inParts(files.toCaller, () => areDirect(both), () => hasFollowed(both)),
      });
      await finish(network, peers, files);
      const address = await replacing;
      const told = peers[side].facts("network").map((
        { change, local },
      ) => [change, String(local).replace(/:\d+$/, "")]);
      deepStrictEqual(told, [["added", address], ["removed", home.inside]]);
      ok(kinds(peers.caller).includes("direct"));
      deepStrictEqual([peers.caller.facts("connected").length, peers.listener.facts("connected").length], [1, 1]);
    },
  });
  Deno.test({
    name: `quic-native goes on when the NAT of the ${side} gets another address under a file each way${skipped}`,
    ignore: reason !== undefined,
    fn: async () => {
      await using network = await KernelNetwork.build(...KINDS);
      const files = { toListener: file(9, FILE_BYTES), toCaller: file(10, FILE_BYTES) };
      const home = side === "caller" ? network.a : network.b;
      let replacing: Promise<void> | undefined;
      const areDirect = async ({ caller, listener }: Peers): Promise<void> => {
        await Promise.all([hasPath(caller, "direct"), hasPath(listener, "direct")]);
        await (replacing ??= network.replacePublicAddress(home));
      };
      // The third parts leave when the caller has found its direct path silent.
      const hasRetreated = async ({ caller }: Peers): Promise<void> => {
        await caller.fact("path", ({ kind }) => kind === "relayed");
      };
      const peers = await start(network, {
        toListener: (both) => inParts(files.toListener, () => areDirect(both), () => hasRetreated(both)),
        toCaller: (both) => inParts(files.toCaller, () => areDirect(both), () => hasRetreated(both)),
      });
      await finish(network, peers, files);
      deepStrictEqual([peers.caller.facts("connected").length, peers.listener.facts("connected").length], [1, 1]);
      strictEqual(peers.caller.facts("network").length + peers.listener.facts("network").length, 0);
    },
  });
}
