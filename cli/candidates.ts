/**
 * `candidates`: shows what was gathered and how.
 *
 * @module
 */

import { Driver } from "../io/driver.ts";
import { sleep } from "../io/sleep.ts";
import { resolveServer } from "../io/resolve.ts";
import { systemHost } from "../io/system_host.ts";
import { NatBehaviourTest } from "../candidates/nat_behaviour.ts";
import type { NatBehaviour } from "../candidates/nat_behaviour.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate } from "../protocols/core/candidate.ts";
import type { Base } from "../protocols/core/machine.ts";
import { bindBases } from "../transports/bases.ts";
import { Gathering } from "../transports/gathering.ts";
import { Mux, MuxMachine } from "../transports/mux.ts";
import { parseArgs, UsageError } from "./args.ts";
import { noWords } from "./options.ts";
import type { Library } from "./options.ts";
import { Status } from "./status.ts";

/** A server that has not answered by then has not answered: RFC 8489 §6.2.1 would go on for 39.5 s. */
const PATIENCE_MS = 3000;

/** What `candidates --help` prints. */
export const CANDIDATES_HELP = `Shows at which addresses a peer could reach this machine.

  candidates --stun hub.example:3478       and how the NAT in between behaves, if the server can tell

usage: candidates [options]

  --stun HOST:PORT   a STUN server to ask what it sees of us; may be repeated
  --candidates NAME  only this provider; may be repeated
  --loopback         loopback addresses, and nothing else
  --json             one JSON object a line on stderr`;

/** Runs the command. Returns the exit code: 1 if nothing was found. */
export async function candidates(words: readonly string[], library: Library): Promise<number> {
  const args = parseArgs(words, {
    boolean: ["json", "help", "loopback"],
    string: ["stun", "candidates"],
    collect: ["stun", "candidates"],
  });
  noWords(args);
  const status = new Status(args.flag("json"));
  const loopback = args.flag("loopback");
  const chosen = args.values("candidates");
  const servers = (await Promise.all(
    args.values("stun").map(async (server) => {
      const found = await resolveServer(server);
      if (found.length === 0) throw new UsageError(`--stun ${server} is not HOST:PORT, or the name is not known`);
      return found;
    }),
  )).flat();
  const { host, note } = systemHost();
  if (note !== undefined) status.note(note);
  const bases = bindBases(host, { loopbackOnly: loopback });
  const now = host.now();
  const mux = new Mux();
  const done = Promise.withResolvers<void>();
  const providers = (chosen.length > 0 ? chosen : ["host", "srflx"]).map((name) =>
    library.makeCandidates(name, { loopback })
  );
  /** Asks of each base that a server saw how the NAT before it behaves: the server that saw it first. */
  const askBehaviour = async (from: readonly Base[]): Promise<void> => {
    await Promise.all(from.map((base) => {
      const server = servers.find((address) => address.family === base.local.family);
      if (server === undefined) return undefined;
      const told = Promise.withResolvers<void>();
      mux.attach(new NatBehaviourTest(base, server, { now: host.now(), random: host.random }), (event) => {
        if (event.type === "behaviour") showBehaviour(status, { base, server, behaviour: event.behaviour });
        else status.note(`seen from ${base.local}: how the NAT behaves is not known: ${event.reason}`);
        told.resolve();
      });
      driver.drain();
      return told.promise;
    }));
  };
  let found = 0;
  let isMapped = false;
  let hasFailed = false;
  const gathering = new Gathering(mux, {
    providers,
    bases,
    now,
    random: host.random,
    expectsServers: servers.length > 0,
  }, {
    candidateFound: (candidate, at) => {
      found++;
      isMapped ||= candidate.type === "srflx";
      show(status, candidate, at - now);
    },
    candidateWithdrawn: () => {},
    gatheringFailed: ({ base, reason }) => {
      hasFailed = true;
      const local = base.local.toString();
      status.tell({ type: "error", base: local, message: reason }, `      ${local}: ${reason}`);
    },
    gatheringDone: () => done.resolve(),
  });
  gathering.addServers(servers, now);
  const driver = new Driver(new MuxMachine(mux, now), host, () => {});
  driver.drain();
  await Promise.race([done.promise, sleep(PATIENCE_MS)]);
  await Promise.race([askBehaviour(bases), sleep(PATIENCE_MS)]);
  for (const base of bases) host.close(base);
  if (servers.length > 0 && !isMapped && !hasFailed) {
    status.note(
      "no server saw us under another address: there is no NAT in between, or no way from here to any of them",
    );
  }
  const { interfaces, missing } = host.describeInterfaces();
  if (interfaces.length === 0) { for (const each of missing) status.note(each); }
  if (found === 0) status.failed("Nothing was found; is there a network?");
  return found === 0 ? 1 : 0;
}

function showBehaviour(
  status: Status,
  { base, server, behaviour }: { readonly base: Base; readonly server: Address; readonly behaviour: NatBehaviour },
): void {
  const { isMapped, mapping, filtering } = behaviour;
  const what = isMapped ? `NAT   ${mapping} mapping, ${filtering} filtering` : `no NAT, ${filtering} filtering`;
  status.tell({
    type: "nat",
    base: base.local.toString(),
    server: server.toString(),
    isMapped,
    mapping,
    filtering,
  }, `${what}, from ${base.local}`);
}

function show(status: Status, candidate: LocalCandidate, ms: number): void {
  const { type, address, base, server } = candidate;
  const via = server === undefined ? "" : `, seen by ${server} after ${Math.round(ms)} ms`;
  status.tell({
    type: "candidate",
    kind: type,
    address: address.toString(),
    base: base.local.toString(),
    ...(server === undefined ? {} : { server: server.toString(), ms: Math.round(ms * 10) / 10 }),
  }, `${type.padEnd(5)} ${address} from ${base.local}${via}`);
}
