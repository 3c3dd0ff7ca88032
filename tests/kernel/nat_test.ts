/**
 * Self-check of the kernel NATs: each maps and filters as its label says.
 *
 * @module
 */

import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { KernelNetwork, type NatKind, PUBLIC_ADDRESSES, whyNotKernel } from "./namespaces.ts";
import type { ProbeReport } from "./probe.ts";

const reason = await whyNotKernel();
const skipped = reason === undefined ? "" : ` [skipped: ${reason}]`;

const PROBE = new URL("probe.ts", import.meta.url).pathname;

/** Starts a probe server on the public segment and waits until it listens. */
async function startServer(network: KernelNetwork): Promise<void> {
  const command = [Deno.execPath(), "run", "-A", "--unstable-net", "--no-check", PROBE, "server", ...PUBLIC_ADDRESSES];
  const server = network.spawn(network.publicNamespace, command, { stdout: "piped" });
  const reader = server.stdout.getReader();
  strictEqual(new TextDecoder().decode((await reader.read()).value), "ready\n");
  await reader.cancel();
}

async function probe(network: KernelNetwork, letter: "a" | "b"): Promise<ProbeReport> {
  const { namespace, inside } = network[letter];
  const command = [Deno.execPath(), "run", "-A", "--unstable-net", "--no-check", PROBE, "client", inside];
  const client = network.spawn(namespace, [...command, ...PUBLIC_ADDRESSES], { stdout: "piped" });
  const { success, stdout } = await client.output();
  strictEqual(success, true);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const PASSES: Readonly<Record<NatKind, readonly boolean[]>> = {
  "EIM+EIF": [true, true, true],
  "EIM+ADF": [true, true, false],
  "EIM+APDF": [true, false, false],
  "APDM+APDF": [true, false, false],
};

function check(kind: NatKind, { ports, passes, portAfterUnasked }: ProbeReport): void {
  deepStrictEqual(passes, PASSES[kind], `${kind} filtering`);
  if (kind === "APDM+APDF") {
    strictEqual(new Set(ports).size, 4, `${kind} mapping: ${ports}`);
    notStrictEqual(portAfterUnasked, 0);
  } else {
    deepStrictEqual(ports, [5001, 5001, 5001, 5001], `${kind} mapping`);
    strictEqual(portAfterUnasked, 5003, `${kind}: unasked packets took the port`);
  }
}

const CASES: readonly (readonly [NatKind, NatKind])[] = [["EIM+EIF", "EIM+ADF"], ["EIM+APDF", "APDM+APDF"]];

for (const [a, b] of CASES) {
  Deno.test({
    name: `Kernel NATs ${a} and ${b} map and filter as labelled (RFC 4787 §4.1, §5)${skipped}`,
    ignore: reason !== undefined,
    async fn(): Promise<void> {
      await using network = await KernelNetwork.build(a, b);
      await startServer(network);
      check(a, await probe(network, "a"));
      check(b, await probe(network, "b"));
    },
  });
}
