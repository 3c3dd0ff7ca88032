import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { NatBehaviourTest } from "../../candidates/nat_behaviour.ts";
import type { NatBehaviourEvent } from "../../candidates/nat_behaviour.ts";
import { Driver } from "../../io/driver.ts";
import { type NatBehaviour as LabBehaviour, VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { StunServer } from "../../service/stun_server.ts";
import { bindAlternates } from "../../service/stun_sockets.ts";

const NAMES = {
  EIM: "endpoint-independent",
  ADM: "address-dependent",
  APDM: "address-and-port-dependent",
  EIF: "endpoint-independent",
  ADF: "address-dependent",
  APDF: "address-and-port-dependent",
} as const;
/** What can be told of a server with one address. */
const BY_ONE_HOST = {
  EIM: "not port-dependent",
  ADM: "not port-dependent",
  APDM: "address-and-port-dependent",
  EIF: "not port-dependent",
  ADF: "not port-dependent",
  APDF: "address-and-port-dependent",
} as const;

interface World {
  readonly net: VirtualNetwork;
  readonly base: Base;
  readonly events: NatBehaviourEvent[];
}

/** Asks a server with that many addresses from behind such a NAT, or none. */
function ask(nat: LabBehaviour | undefined, hosts: 0 | 1 | 2, loss = 0, seed = 1, isOtherFar = false): World {
  const net = new VirtualNetwork({ seed });
  const service = net.host("service", { rttToCoreMs: 20 });
  if (hosts === 2) net.attach(service, "eth1", { rttToCoreMs: 20 });
  const bases = service.interfaces().map(({ address }) => service.bind(addressOf(address.host, 3478)));
  const groups = hosts === 0 ? [] : bindAlternates(service, bases);
  new Driver(new StunServer(groups), service, () => {});
  const behind = nat === undefined ? undefined : net.nat(nat);
  const client = net.host("client", {
    rttToCoreMs: 20,
    up: {
      lossRate: loss,
      drop: ({ destination }) => isOtherFar && destination.host !== bases[0]!.local.host,
    },
    ...(behind === undefined ? {} : { behind }),
  });
  const base = client.bind(client.address());
  const events: NatBehaviourEvent[] = [];
  const test = new NatBehaviourTest(base, bases[0]!.local, { now: client.now(), random: client.random });
  new Driver(test, client, (event) => events.push(event)).drain();
  net.run({ until: 20_000 });
  return { net, base, events };
}

Deno.test("NAT behaviour: mapping and filtering of every NAT, by a server with two addresses (RFC 5780 §4.3, §4.4)", () => {
  for (const mapping of ["EIM", "ADM", "APDM"] as const) {
    for (const filtering of ["EIF", "ADF", "APDF"] as const) {
      const { events } = ask({ mapping, filtering }, 2);
      strictEqual(events.length, 1);
      const [event] = events;
      ok(event?.type === "behaviour", JSON.stringify(event));
      deepStrictEqual(
        [event.behaviour.isMapped, event.behaviour.mapping, event.behaviour.filtering],
        [true, NAMES[mapping], NAMES[filtering]],
      );
    }
  }
});

Deno.test("NAT behaviour: a server with one address tells what depends on ports (RFC 5780 §4.3)", () => {
  for (const mapping of ["EIM", "ADM", "APDM"] as const) {
    for (const filtering of ["EIF", "ADF", "APDF"] as const) {
      const [event] = ask({ mapping, filtering }, 1).events;
      ok(event?.type === "behaviour", JSON.stringify(event));
      deepStrictEqual(
        [event.behaviour.mapping, event.behaviour.filtering],
        [BY_ONE_HOST[mapping], BY_ONE_HOST[filtering]],
      );
    }
  }
});

Deno.test("NAT behaviour: without a NAT the address is the base's own, and anybody may send to it", () => {
  const { base, events } = ask(undefined, 2);
  deepStrictEqual(events, [{
    type: "behaviour",
    behaviour: {
      mapped: base.local,
      isMapped: false,
      mapping: "endpoint-independent",
      filtering: "endpoint-independent",
    },
  }]);
});

Deno.test("NAT behaviour: lost questions are asked again", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const [event] = ask({ mapping: "EIM", filtering: "ADF" }, 2, 0.2, seed).events;
    ok(event?.type === "behaviour" && event.behaviour.mapping === "endpoint-independent", `seed ${seed}`);
  }
});

Deno.test("NAT behaviour: a server whose other address cannot be reached tells nothing of the mapping", () => {
  for (const mapping of ["EIM", "ADM", "APDM"] as const) {
    const [event, ...rest] = ask({ mapping, filtering: "EIF" }, 2, 0, 1, true).events;
    ok(event?.type === "unknown" && /does not answer, the other address of/.test(event.reason), JSON.stringify(event));
    deepStrictEqual(rest, []);
  }
});

Deno.test("NAT behaviour: a server that has one address and port, or does not answer, tells nothing", () => {
  const [one] = ask({ mapping: "EIM" }, 0).events;
  ok(one?.type === "unknown" && one.reason.includes("RFC 5780"));
  const net = new VirtualNetwork({ seed: 1 });
  const client = net.host("client");
  const base = client.bind(client.address());
  const events: NatBehaviourEvent[] = [];
  const dead = addressOf(net.unusedAddress(), 3478);
  new Driver(new NatBehaviourTest(base, dead, { now: 0, random: client.random }), client, (event) => events.push(event))
    .drain();
  net.run({ until: 20_000 });
  deepStrictEqual(events, [{ type: "unknown", reason: `${dead} does not answer` }]);
});
