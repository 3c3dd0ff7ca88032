import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { hostCandidates } from "../../candidates/host.ts";
import type { CandidateProvider } from "../../candidates/provider.ts";
import { Ready } from "../../candidates/ready.ts";
import { VirtualNetwork } from "../../lab/mod.ts";
import { parseAddress } from "../../protocols/core/address.ts";
import type { LocalCandidate } from "../../protocols/core/candidate.ts";
import { Gathering, MAX_OBSERVATIONS } from "../../transports/gathering.ts";
import { Mux } from "../../transports/mux.ts";
import { socketBase } from "../support/ice_pair.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { dialName, HUB_PORT, startHub, startStun, STUN_PORT } from "../support/virtual_peers.ts";

Deno.test("gathering waits for no server that an interface cannot reach, and says so (RFC 8445 §5.1.1)", () => {
  const net = new VirtualNetwork({ seed: 11 });
  const server = net.host("server");
  startHub(server);
  startStun(server);
  const host = net.host("a", { behind: net.nat({ rttToCoreMs: 40 }) });
  net.attach(host, "docker0", { deadEnd: "ENETUNREACH", address: "172.17.0.1", hasDefaultRoute: false });
  const peer = dialName(net, host, "nobody", { hub: server.address(HUB_PORT), stun: [server.address(STUN_PORT)] });
  net.run({ until: 1000 });
  const failed = peer.first("gatheringError");
  const error = peer.first("socketError");
  ok(failed?.event.type === "gatheringError" && error?.event.type === "socketError");
  ok(failed.at <= 10, `the error was told after ${failed.at} ms`);
  strictEqual(failed.event.base.local.host, "172.17.0.1");
  const { base, remote, code } = error.event.error;
  deepStrictEqual([base.local.host, remote, code], ["172.17.0.1", server.address(STUN_PORT), "ENETUNREACH"]);
});

const server = parseAddress("198.51.100.1:3478");
const relay = parseAddress("198.51.100.2:443");
const wifi = socketBase("192.168.1.5:1000");
const lte = socketBase("10.0.0.5:1000");

/** A gathering with a list of what it tells. */
function gather(providers: readonly CandidateProvider[]): { mux: Mux; gathering: Gathering; told: () => string[] } {
  const lines: string[] = [];
  const line = (word: string, { type, address, base }: LocalCandidate): number =>
    lines.push(`${word} ${type} ${address} on ${base.local.host}`);
  const mux = new Mux();
  const node = { providers, bases: [wifi], now: 0, random: seededRandom(1), expectsServers: false };
  const gathering = new Gathering(mux, node, {
    candidateFound: (candidate) => line("+", candidate),
    candidateWithdrawn: (candidate) => line("-", candidate),
    gatheringFailed: () => lines.push("failed"),
    gatheringDone: () => lines.push("done"),
  });
  const told = (): string[] => {
    mux.settle(0);
    return lines.splice(0);
  };
  return { mux, gathering, told };
}

Deno.test("gathering takes bases that come, and withdraws all that it knew of one that goes", () => {
  const { gathering, told } = gather([hostCandidates()]);
  deepStrictEqual(told(), ["+ host 192.168.1.5:1000 on 192.168.1.5", "done"]);
  gathering.addBase(lte, 1);
  deepStrictEqual(told(), ["+ host 10.0.0.5:1000 on 10.0.0.5", "done"]);
  gathering.observe(wifi, parseAddress("203.0.113.1:1"), relay, 2);
  deepStrictEqual(told(), ["+ srflx 203.0.113.1:1 on 192.168.1.5"]);
  gathering.removeBase(wifi, 3);
  deepStrictEqual(told(), ["- host 192.168.1.5:1000 on 192.168.1.5", "- srflx 203.0.113.1:1 on 192.168.1.5"]);
  deepStrictEqual(gathering.candidates.map(({ address }) => address), [lte.local]);
  gathering.stop();
  gathering.addBase(wifi, 4);
  gathering.observe(lte, parseAddress("203.0.113.1:2"), relay, 4);
  deepStrictEqual(told(), []);
});

Deno.test("gathering replaces an address that the same observer sees changed, and that of no other", () => {
  const { gathering, told } = gather([hostCandidates()]);
  told();
  const [first, second, third] = ["203.0.113.1:1", "203.0.113.1:2", "203.0.113.1:3"].map(parseAddress);
  gathering.observe(wifi, first!, relay, 1);
  gathering.observe(wifi, second!, server, 1);
  gathering.observe(wifi, first!, relay, 1);
  deepStrictEqual(told(), ["+ srflx 203.0.113.1:1 on 192.168.1.5", "+ srflx 203.0.113.1:2 on 192.168.1.5"]);
  gathering.observe(wifi, third!, relay, 2);
  deepStrictEqual(told(), ["- srflx 203.0.113.1:1 on 192.168.1.5", "+ srflx 203.0.113.1:3 on 192.168.1.5"]);
  // There is no NAT any more: that is the base's own address, which is a host candidate and stays one.
  gathering.observe(wifi, wifi.local, relay, 3);
  deepStrictEqual(told(), ["- srflx 203.0.113.1:3 on 192.168.1.5"]);
  gathering.observe(wifi, third!, relay, 4);
  deepStrictEqual(told(), ["+ srflx 203.0.113.1:3 on 192.168.1.5"]);
});

Deno.test("gathering remembers a bounded number of observers, and takes nothing back for those it has forgotten", () => {
  const { gathering, told } = gather([]);
  const seen = parseAddress("203.0.113.1:1");
  for (let number = 0; number < 1000; number++) {
    gathering.observe(wifi, seen, parseAddress(`198.51.100.${number % 250}:${1 + number}`), number);
  }
  deepStrictEqual(told(), ["+ srflx 203.0.113.1:1 on 192.168.1.5"]);
  gathering.observe(wifi, parseAddress("203.0.113.1:2"), parseAddress("198.51.100.0:1"), 1001);
  deepStrictEqual(told(), ["+ srflx 203.0.113.1:2 on 192.168.1.5"]);
  strictEqual(MAX_OBSERVATIONS, 64);
});

Deno.test("gathering goes on with a provider that knows nothing of bases that come and go", () => {
  const provider: CandidateProvider = {
    name: "plain",
    gather: ([base]) => {
      const ready = new Ready([{ type: "host", address: base!.local, base: base! }], { added: () => [] });
      return {
        handleDatagram: () => {},
        handleTimeout: () => {},
        pollTransmit: () => undefined,
        pollEvent: () => ready.pollEvent(),
        pollTimeout: () => undefined,
      };
    },
  };
  const { gathering, told } = gather([provider]);
  told();
  gathering.addBase(lte, 1);
  strictEqual(gathering.isDone, true);
  gathering.removeBase(wifi, 2);
  deepStrictEqual(told(), ["- host 192.168.1.5:1000 on 192.168.1.5"]);
});
