import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { NatOptions, VirtualHost, VirtualNat } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { dialName, Echo, HUB_PORT, listenAs, startHub, startStun, STUN_PORT } from "../support/virtual_peers.ts";

/** The cell of the seed: 155 ms between the peers, 77.5 ms to the hub, address-dependent filtering on both sides. */
const PEER_RTT_MS = 155;
const NAT: NatOptions = { mapping: "EIM", filtering: "ADF" };
const CALL_AT = 5000;

function world(seed: number): { net: VirtualNetwork; server: VirtualHost; a: VirtualHost; b: VirtualHost } {
  const net = new VirtualNetwork({ seed });
  const server = net.host("server");
  // 77.5 ms from either NAT to the core, where the server is, make 155 ms between the peers.
  const nat = (): VirtualNat => net.nat({ ...NAT, rttToCoreMs: PEER_RTT_MS / 2 });
  const a = net.host("a", { behind: nat() });
  const b = net.host("b", { behind: nat() });
  startHub(server);
  startStun(server);
  return { net, server, a, b };
}

Deno.test("ice-then-quic: by name, both behind NATs, the echo is back in three round trips and not a millisecond more", () => {
  const { net, server, a, b } = world(1);
  const hub = server.address(HUB_PORT);
  const stun = [server.address(STUN_PORT)];
  const echo = new Echo(net);
  const listener = listenAs(net, b, "bob", { hub, stun, allow: { any: true, keys: [] }, onConnection: echo.answer });
  net.run({ until: CALL_AT });
  ok(listener.first("registered"));
  const caller = dialName(net, a, "bob", { hub, stun, onSession: echo.ask, onConnection: echo.hear });
  net.run({ until: CALL_AT + 2000 });
  strictEqual(caller.sessions.length, 1, JSON.stringify(caller.first("failed")));
  const { times } = caller.sessions[0]!;
  deepStrictEqual({ ...times, firstByte: (echo.firstByteAt ?? NaN) - CALL_AT, returned: echo.returned }, {
    gathered: 77.5,
    signaled: 155,
    checked: 237.5,
    handshake: 310,
    firstByte: 465,
    returned: "hello",
  });
});

Deno.test("ice-then-quic: a dead STUN server and a dead interface cost nothing", () => {
  const { net, server, a, b } = world(2);
  net.attach(a, "docker0", { deadEnd: "vanish", address: "172.17.0.1", hasDefaultRoute: false });
  net.attach(b, "docker0", { deadEnd: "vanish", address: "172.17.0.1", hasDefaultRoute: false });
  const hub = server.address(HUB_PORT);
  const stun = [addressOf(net.unusedAddress(), STUN_PORT), server.address(STUN_PORT)];
  const echo = new Echo(net);
  listenAs(net, b, "bob", { hub, stun, allow: { any: true, keys: [] }, onConnection: echo.answer });
  net.run({ until: CALL_AT });
  dialName(net, a, "bob", { hub, stun, onSession: echo.ask, onConnection: echo.hear });
  net.run({ until: CALL_AT + 2000 });
  ok((echo.firstByteAt ?? Infinity) - CALL_AT <= 500, `first byte after ${(echo.firstByteAt ?? NaN) - CALL_AT} ms`);
});
