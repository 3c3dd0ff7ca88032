import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { HostOptions, PortAllocation, VirtualNat, VirtualNetwork } from "../../lab/mod.ts";
import { World } from "../support/virtual_world.ts";
import type { Place } from "../support/virtual_world.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";

const WAN_MS = 77.5;

/** Calls, and says which way the session took. */
function callIn(
  world: World,
): { readonly times: Readonly<Record<string, number | undefined>>; readonly remote: string } {
  const { caller } = world.call();
  strictEqual(world.echo.returned, "hello", `seed ${world.net.seed}: ${JSON.stringify(caller.first("failed"))}`);
  return { times: world.timesOf(caller), remote: remoteOf(caller) };
}

function remoteOf(peer: VirtualPeer): string {
  return peer.sessions[0]!.connection.path.remote.host;
}

/** Both peers get what `make` makes, which is made once. */
function shared(make: (net: VirtualNetwork) => HostOptions): { readonly caller: Place; readonly listener: Place } {
  let made: HostOptions | undefined;
  const place = (net: VirtualNetwork): HostOptions => made ??= make(net);
  return { caller: place, listener: place };
}

for (const [caller, listener] of [["public", {}], [{}, "public"], ["public", "public"]] as const) {
  const name = `${caller === "public" ? "a public caller" : "a caller behind a NAT"} and ` +
    `${listener === "public" ? "a public listener" : "a listener behind a NAT"}`;
  Deno.test(`ice-then-quic connects ${name} as fast as two behind NATs`, () => {
    const world = new World({ seed: 1, caller, listener });
    const { times } = callIn(world);
    deepStrictEqual([times["signaled"], times["handshake"], times["firstByte"]], [155, 310, 465]);
  });
}

for (const allocation of ["sequential", "random", "contiguous"] satisfies PortAllocation[]) {
  Deno.test(`ice-then-quic does not care how ports are chosen: ${allocation} (RFC 4787 §4.2.1)`, () => {
    const world = new World({ seed: 1, caller: { allocation }, listener: { allocation } });
    strictEqual(callIn(world).times["firstByte"], 465);
  });
}

Deno.test("ice-then-quic between two behind one NAT takes the way inside, and knocks there first", () => {
  // 1 ms between the two: 2 × 77.5 + 2 × 1 to the candidates, then three ways of 1 ms each way.
  const world = new World({
    seed: 1,
    ...shared((net) => ({ behind: net.nat({ rttToCoreMs: WAN_MS }), rttToCoreMs: 1 })),
  });
  const { times, remote } = callIn(world);
  deepStrictEqual(times, { gathered: 78.5, signaled: 157, checked: 158, handshake: 159, firstByte: 161 });
  match(remote, /^192\.168\.1\./);
});

Deno.test("ice-then-quic between two behind one carrier's NAT, each behind one of their own, takes its hairpin", () => {
  // 2 ms from either home to the carrier. The host address that both early attempts go to is not there: a check through
  // the hairpin leaves one Ta later, takes 4 ms, and then comes a handshake of 8.
  const home = (net: VirtualNetwork, carrier: VirtualNat): HostOptions => ({
    behind: net.nat({ behind: carrier, rttToCoreMs: 4 }),
  });
  let carrier: VirtualNat | undefined;
  const place = (net: VirtualNetwork): HostOptions => {
    carrier ??= net.nat({ name: "carrier", rttToCoreMs: WAN_MS, inside: "100.64.0" });
    return home(net, carrier);
  };
  const world = new World({ seed: 1, caller: place, listener: place });
  const { times, remote } = callIn(world);
  deepStrictEqual(times, { gathered: 81.5, signaled: 163, checked: 172, handshake: 180, firstByte: 188 });
  strictEqual(remote, carrier?.address);
});

Deno.test("ice-then-quic behind a carrier's NAT that has no hairpin fails with a reason", () => {
  let carrier: VirtualNat | undefined;
  const place = (net: VirtualNetwork): HostOptions => {
    carrier ??= net.nat({ name: "carrier", rttToCoreMs: WAN_MS, inside: "100.64.0", hairpin: false });
    return { behind: net.nat({ behind: carrier, rttToCoreMs: 4 }) };
  };
  const { caller } = new World({ seed: 1, caller: place, listener: place }).call();
  strictEqual(caller.sessions.length, 0);
  match(caller.first("failed")!.event.message, /^No direct path: 2 address pairs were tried and none answered/);
});

Deno.test("ice-then-quic between two behind two layers of NAT each takes its three round trips", () => {
  const place = (net: VirtualNetwork): HostOptions => ({
    behind: net.nat({ behind: net.nat({ rttToCoreMs: WAN_MS, filtering: "APDF" }), rttToCoreMs: 4 }),
  });
  const world = new World({ seed: 1, caller: place, listener: place });
  const rttMs = 2 * (WAN_MS + 4);
  const { times } = callIn(world);
  deepStrictEqual([times["handshake"], times["firstByte"]], [2 * rttMs, 3 * rttMs]);
});

for (const filtering of ["EIF", "ADF", "APDF"] as const) {
  Deno.test(`ice-then-quic connects over IPv6 through firewalls that filter ${filtering} (RFC 6092)`, () => {
    const place = (net: VirtualNetwork): HostOptions => ({ behind: net.firewall({ rttToCoreMs: WAN_MS, filtering }) });
    const world = new World({ seed: 1, serverAddress: "2001:db8:ffff::1", caller: place, listener: place });
    const { times, remote } = callIn(world);
    deepStrictEqual(times, { gathered: 77.5, signaled: 155, checked: 232.5, handshake: 310, firstByte: 465 });
    match(remote, /^2001:db8:2:/);
  });
}

Deno.test("ice-then-quic connects at 2 to 5 % loss, every way of every packet, whatever the seed", () => {
  let slowestMs = 0;
  for (let seed = 1; seed <= 24; seed++) {
    const lossRate = [0.02, 0.03, 0.05][seed % 3]!;
    const filtering = (["EIF", "ADF", "APDF"] as const)[seed % 3]!;
    // Where theory allows it, one side has an endpoint-dependent mapping.
    const mapping = filtering === "APDF" ? "EIM" : (["EIM", "ADM", "APDM"] as const)[seed % 4] ?? "EIM";
    const [plain, odd]: [Place, Place] = [{ filtering }, { filtering, mapping }];
    const sides = seed % 2 === 0 ? { caller: plain, listener: odd } : { caller: odd, listener: plain };
    const world = new World({ seed, ...sides, link: { lossRate, jitterMs: 5 } });
    slowestMs = Math.max(slowestMs, callIn(world).times["firstByte"] ?? Infinity);
  }
  ok(slowestMs < 5000, `the slowest took ${slowestMs} ms`);
});
