/**
 * NATs of the virtual network against the definitions of RFC 4787, read as plainly as possible: random packets in and out,
 * and a history of them all that is searched anew for every answer.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { type NatFiltering, type NatMapping, SeededRandom, VirtualNetwork } from "../../lab/mod.ts";
import { type Address, addressOf } from "../../protocols/core/address.ts";
import { Probe } from "./probe.ts";

const SEEDS = 20;
const STEPS = 150;
const TIMEOUT_MS = 30_000;

interface Sent {
  readonly at: number;
  readonly port: number;
  readonly remote: Address;
  /** The source that the remote saw. */
  readonly external: Address;
}

function isAlike(dependence: NatMapping | NatFiltering, a: Address, b: Address): boolean {
  switch (dependence) {
    case "EIM":
    case "EIF":
      return true;
    case "ADM":
    case "ADF":
      return a.host === b.host;
    case "APDM":
    case "APDF":
      return a === b;
  }
}

/** The external address that a packet must get, if an earlier one has made its mapping and it was kept alive since. */
function mappingOf(history: readonly Sent[], mapping: NatMapping, sent: Omit<Sent, "external">): Address | undefined {
  const last = history.findLast(({ port, remote }) => port === sent.port && isAlike(mapping, remote, sent.remote));
  return last !== undefined && sent.at - last.at < TIMEOUT_MS ? last.external : undefined;
}

/** Whether a packet from `source` to `external` must come in. */
function comesIn(
  history: readonly Sent[],
  filtering: NatFiltering,
  packet: { at: number; source: Address; external: Address },
): boolean {
  const isRecent = (sent: Sent): boolean => sent.external === packet.external && packet.at - sent.at < TIMEOUT_MS;
  return history.some((sent) => isRecent(sent) && isAlike(filtering, sent.remote, packet.source));
}

for (const mapping of ["EIM", "ADM", "APDM"] as const) {
  for (const filtering of ["EIF", "ADF", "APDF"] as const) {
    Deno.test(`VirtualNat ${mapping} ${filtering} does what its history says, for ${SEEDS} seeds (RFC 4787 §4, §5)`, () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const random = new SeededRandom(seed, `${mapping} ${filtering}`);
        const net = new VirtualNetwork({ seed });
        // Ports are never given twice, so that an external address names one mapping.
        const nat = net.nat({ mapping, filtering, allocation: "sequential", timeoutMs: TIMEOUT_MS });
        const inside = new Probe(net.host("inside", { behind: nat }), 5000);
        const servers = ["s1", "s2", "s3"].map((name) => new Probe(net.host(name), 1111));
        const history: Sent[] = [];
        for (let step = 0; step < STEPS; step++) {
          const where = `seed ${seed}, step ${step}`;
          const server = servers[random.below(servers.length)]!;
          const serverPort = 1111 + random.below(2);
          const remote = addressOf(server.base.local.host, serverPort);
          server.open(serverPort);
          const at = net.now;
          if (random.chance(0.5)) {
            const port = 5000 + random.below(3);
            inside.send(remote, "out", { port });
            net.run({ until: at });
            const external = server.received.pop()?.remote;
            const expected = mappingOf(history, mapping, { at, port, remote });
            if (expected !== undefined) strictEqual(external, expected, where);
            else strictEqual(history.some((sent) => sent.external === external), false, where);
            history.push({ at, port, remote, external: external! });
          } else if (history.length > 0) {
            const { external, port } = history[random.below(history.length)]!;
            server.send(external, "in", { port: serverPort });
            net.run({ until: at });
            const received = inside.received.pop();
            const expected = comesIn(history, filtering, { at, source: remote, external });
            strictEqual(received !== undefined, expected, `${where}: ${remote} to ${external} of ${port}`);
            if (received !== undefined) strictEqual(received.remote, remote, where);
          }
          net.run({ until: at + random.below(8000) });
        }
      }
    });
  }
}
