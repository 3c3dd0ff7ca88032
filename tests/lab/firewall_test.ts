/**
 * The stateful firewall of the virtual network.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { type NatFiltering, VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { Probe } from "./probe.ts";

Deno.test("VirtualFirewall lets in whom its inside has sent to, untranslated (RFC 6092 §3.2)", () => {
  // The client has sent to s1:1111. Who gets in: s1:1111, s1:2222, s2:1111.
  const expected: Record<NatFiltering, readonly string[]> = {
    EIF: ["same", "other port", "other host"],
    ADF: ["same", "other port"],
    APDF: ["same"],
  };
  for (const filtering of ["EIF", "ADF", "APDF"] as const) {
    const net = new VirtualNetwork({ seed: 1 });
    const client = new Probe(net.host("client", { behind: net.firewall({ filtering, timeoutMs: 30_000 }) }), 5000);
    const s1 = new Probe(net.host("s1", { address: "2001:db8:ffff::1" }), 1111);
    const s2 = new Probe(net.host("s2", { address: "2001:db8:ffff::2" }), 1111);
    s1.send(client.base.local, "unasked");
    net.run();
    client.send(s1.base.local, "hello");
    net.run();
    deepStrictEqual(s1.take(), ["[2001:db8:1::2]:5000 hello"]);
    s1.send(client.base.local, "same");
    s1.send(client.base.local, "other port", { port: 2222 });
    s2.send(client.base.local, "other host");
    net.run();
    deepStrictEqual(client.received.splice(0).map(({ text }) => text), expected[filtering], filtering);
    net.run({ until: 30_000 });
    s1.send(client.base.local, "late");
    net.run();
    deepStrictEqual(client.take(), []);
    strictEqual(net.trace.drops.get("filtered"), 2 + 3 - expected[filtering].length);
  }
});

Deno.test("VirtualNetwork has hosts with both families: NAT for the one, firewall for the other", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a", { behind: net.nat() });
  net.attach(host, "eth0", { behind: net.firewall() });
  deepStrictEqual(host.interfaces().map(({ name, address }) => `${name} ${address.host}`), [
    "eth0 192.168.1.2",
    "eth0 2001:db8:1::2",
  ]);
  const probe = new Probe(host);
  const server = net.host("server", { address: "2001:db8:ffff::1" });
  net.attach(server, "eth0");
  const there = new Probe(server, 1);
  probe.sendFrom(host.bind(addressOf("2001:db8:1::2", 9)), there.base.local, "six");
  net.run();
  deepStrictEqual(there.take(), ["[2001:db8:1::2]:9 six"]);
  let opened = 0;
  server.streams.listen(80, () => ({ handleOpen: () => opened++ }));
  host.streams.connect(addressOf("2001:db8:ffff::1", 80), {});
  host.streams.connect(addressOf("203.0.113.2", 80), {});
  net.run();
  strictEqual(opened, 2);
});
