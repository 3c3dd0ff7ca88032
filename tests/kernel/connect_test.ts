/**
 * The whole thing behind real NATs: `serve` on the public segment, `listen` in one home, `connect` in the other, a file each
 * way.
 *
 * @module
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { file, sha256 } from "./files.ts";
import { KernelNetwork, PUBLIC_ADDRESSES, whyNotKernel } from "./namespaces.ts";
import { CONNECTED, NOT_CONNECTED } from "./pairs.ts";
import { Program } from "./program.ts";

const reason = await whyNotKernel();
const skipped = reason === undefined ? "" : ` [skipped: ${reason}]`;

const HUB = `${PUBLIC_ADDRESSES[0]}:8080`;
const FILE_BYTES = 3_000_000;
/** A pair that cannot connect says so within this time. */
const MAX_FAILURE_MS = 10_000;
/** What the start of the runtime may take of a busy machine, of which nothing is promised. */
const MAX_START_MS = 10_000;

interface Peers {
  readonly listener: Program;
  readonly caller: Program;
  /** When the caller was started. */
  readonly startedAt: number;
}

/** Starts a hub, a listener in home b and, once it is registered, a caller in home a. */
async function start(
  network: KernelNetwork,
  files: { toListener: Uint8Array<ArrayBuffer>; toCaller: Uint8Array<ArrayBuffer> },
): Promise<Peers> {
  const hub = new Program(network, network.publicNamespace, ["serve", "--listen", HUB, "--json"]);
  await hub.fact("ready");
  const signaling = ["--signaling", `ws://${HUB}`, "--json"];
  const listener = new Program(network, network.b.namespace, ["listen", "--once", ...signaling], files.toCaller);
  const { ticket } = await listener.fact("ready");
  ok(typeof ticket === "string", "a listener that is ready has a ticket");
  const startedAt = performance.now();
  const caller = new Program(network, network.a.namespace, ["connect", ticket, ...signaling], files.toListener);
  return { listener, caller, startedAt };
}

for (const [a, b] of CONNECTED) {
  Deno.test({
    name: `A file each way, unharmed, from behind ${a} to behind ${b}${skipped}`,
    ignore: reason !== undefined,
    async fn(): Promise<void> {
      await using network = await KernelNetwork.build(a, b);
      const files = { toListener: file(1, FILE_BYTES), toCaller: file(2, FILE_BYTES) };
      const { listener, caller } = await start(network, files);
      const [callerEnd, listenerEnd] = await Promise.all([caller.output(), listener.output()]);
      const ended = callerEnd.code === 0 && listenerEnd.code === 0;
      const log = `${caller.log}\n${listener.log}\n${ended ? "" : await network.describe()}`;
      deepStrictEqual([callerEnd.code, listenerEnd.code], [0, 0], log);
      strictEqual(sha256(listenerEnd.stdout), sha256(files.toListener), log);
      strictEqual(sha256(callerEnd.stdout), sha256(files.toCaller), log);
      const { path, transport } = await caller.fact("connected");
      strictEqual(transport, "ice-then-quic");
      const { kind, remote } = Object(path);
      strictEqual(kind, "direct");
      strictEqual(String(remote).split(":")[0], network.b.outside);
    },
  });
}

for (const [a, b] of NOT_CONNECTED) {
  Deno.test({
    name: `From behind ${a} to behind ${b} there is no way, and connect says so within ${MAX_FAILURE_MS} ms${skipped}`,
    ignore: reason !== undefined,
    async fn(): Promise<void> {
      await using network = await KernelNetwork.build(a, b);
      const { caller, startedAt } = await start(network, {
        toListener: file(1, FILE_BYTES),
        toCaller: file(2, FILE_BYTES),
      });
      const { code, stdout } = await caller.output();
      const tookMs = performance.now() - startedAt;
      strictEqual(code, 1, caller.log);
      strictEqual(stdout.length, 0);
      ok(tookMs <= MAX_FAILURE_MS + MAX_START_MS, `it took ${tookMs} ms. ${caller.log}`);
      const { message } = await caller.fact("error");
      match(String(message), /^No direct path: .*NAT/);
    },
  });
}
