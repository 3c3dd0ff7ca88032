import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
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
