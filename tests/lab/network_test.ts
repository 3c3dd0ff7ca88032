/**
 * Hosts, time and determinism of the virtual network.
 *
 * @module
 */

import { deepStrictEqual, notStrictEqual, strictEqual, throws } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { Probe } from "./probe.ts";

Deno.test("VirtualNetwork adds up round trips: 155 ms between peers, 77.5 ms to a server on the core", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const server = new Probe(net.host("server"), 3478);
  const [a, b] = ["a", "b"].map((name) => {
    const nat = net.nat({ mapping: "EIM", filtering: "EIF" });
    return new Probe(net.host(name, { behind: nat, rttToCoreMs: 77.5 }), 5000);
  });
  a!.send(server.base.local, "to server");
  b!.send(server.base.local, "to server");
  net.run();
  deepStrictEqual(server.received.map(({ at, remote }) => `${at} ${remote}`), [
    "38.75 203.0.113.2:5000",
    "38.75 203.0.113.3:5000",
  ]);
  server.send(addressOf("203.0.113.2", 5000), "back");
  net.run();
  deepStrictEqual(a!.received, [{ at: 77.5, remote: server.base.local, text: "back" }]);
  a!.send(addressOf("203.0.113.3", 5000), "to peer");
  net.run();
  deepStrictEqual(b!.received, [{ at: 77.5 + 77.5, remote: addressOf("203.0.113.2", 5000), text: "to peer" }]);
  strictEqual(net.trace.drops.size, 0);
});

Deno.test("VirtualHost gives the driver alarms at exact instants, in any order of setting", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const probe = new Probe(net.host("a"));
  for (const [setAt, alarmAt] of [[0, 100], [10, 50], [60, 200], [70, 300.25]] as const) {
    net.at(setAt, () => {
      probe.alarmAt = alarmAt;
      probe.driver.drain();
    });
  }
  net.run();
  deepStrictEqual(probe.timeoutsAt, [50, 300.25]);
  strictEqual(net.now, 300.25);
});

Deno.test("VirtualHost sends a run as its segments, and hands over what arrives together before one drain", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const [a, b] = ["a", "b"].map((name) => new Probe(net.host(name), 5000));
  a!.send(b!.base.local, "aabbc", { segmentBytes: 2 });
  a!.send(b!.base.local, "");
  net.run();
  deepStrictEqual(b!.received.map(({ text }) => text), ["aa", "bb", "c", ""]);
  strictEqual(b!.drains, 1);
});

Deno.test("VirtualHost delivers to itself without a link", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const probe = new Probe(net.host("a", { rttToCoreMs: 100 }), 5000);
  probe.open(5001);
  probe.send(addressOf("203.0.113.1", 5001), "x");
  net.run();
  deepStrictEqual(probe.received, [{ at: 0, remote: probe.base.local, text: "x" }]);
});

Deno.test("VirtualHost interns the addresses it hands out: remote and base compare by identity", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a", { behind: net.nat() });
  const a = new Probe(host, 5000);
  const b = new Probe(net.host("b"), 5000);
  a.send(b.base.local, "1");
  net.run();
  b.send(b.received[0]!.remote, "2");
  net.run();
  strictEqual(b.received[0]!.remote, addressOf("203.0.113.1", 5000));
  strictEqual(a.received[0]!.remote, b.base.local);
  strictEqual(a.base.local, addressOf("192.168.1.2", 5000));
  strictEqual(host.address(5000), a.base.local);
});

Deno.test("VirtualHost has interfaces with no way out, which swallow or refuse", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a", { behind: net.nat() });
  net.attach(host, "docker0", { address: "172.17.0.1", deadEnd: "vanish" });
  net.attach(host, "tun0", { address: "10.8.0.2", deadEnd: "ENETUNREACH", hasDefaultRoute: true });
  deepStrictEqual(
    host.interfaces().map(({ name, address, hasDefaultRoute }) => [name, address.host, hasDefaultRoute]),
    [["eth0", "192.168.1.2", true], ["docker0", "172.17.0.1", false], ["tun0", "10.8.0.2", true]],
  );
  const probe = new Probe(host);
  const server = addressOf(net.unusedAddress(), 3478);
  for (const local of ["172.17.0.1", "10.8.0.2"]) probe.sendFrom(host.bind(addressOf(local, 0)), server, "x");
  net.run();
  deepStrictEqual([...net.trace.drops], [["no way out", 1]]);
  deepStrictEqual(probe.errors.map(({ base, remote, code }) => [base.local.host, remote, code]), [
    ["10.8.0.2", server, "ENETUNREACH"],
  ]);
  deepStrictEqual([...probe.driver.socketErrors], [["ENETUNREACH", 1]]);
});

Deno.test("VirtualHost fails sends on purpose, and those no system would take", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a");
  const a = new Probe(host, 5000);
  const b = new Probe(net.host("b"), 5000);
  const codes = (): string[] => {
    net.run();
    return a.errors.splice(0).map(({ code }) => code);
  };
  for (const code of ["EINVAL", "ENETUNREACH", "EPERM", "EMSGSIZE"]) {
    host.failSends(a.base, code, { count: 2 });
    for (let i = 0; i < 3; i++) a.send(b.base.local, code);
    deepStrictEqual(codes(), [code, code]);
    deepStrictEqual(b.take(), [`203.0.113.1:5000 ${code}`]);
  }
  host.failSends(a.base, "EPERM", { remote: addressOf("203.0.113.9", 9) });
  a.send(b.base.local, "elsewhere");
  deepStrictEqual(codes(), []);
  a.send(addressOf("2001:db8::1", 9), "other family");
  a.send(b.base.local, "x".repeat(1473));
  deepStrictEqual(codes(), ["EINVAL", "EMSGSIZE"]);
  host.reportError(a.base, "ECONNRESET");
  net.run();
  deepStrictEqual(a.errors, [{ base: a.base, remote: undefined, code: "ECONNRESET" }]);
});

Deno.test("VirtualHost answers that there is no room while its interface is behind, and says when there is", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const server = new Probe(net.host("server"), 1);
  // 80 kbit/s is 10 bytes a ms; packets of 100 bytes.
  const a = new Probe(net.host("a", { sendBufferBytes: 250, up: { rateBitsPerSecond: 80_000 } }));
  for (let i = 0; i < 6; i++) a.queue(server.base.local, "x".repeat(72));
  a.driver.drain();
  strictEqual(a.queued, 3, "three packets are more than 250 bytes");
  net.run({ until: 4.5 });
  strictEqual(a.queued, 3, "255 bytes wait");
  net.run({ until: 5 });
  strictEqual(a.queued, 2);
  net.run();
  deepStrictEqual(server.received.map(({ at }) => at), [10, 20, 30, 40, 50, 60]);
});

Deno.test("VirtualHost loses a socket, an interface, or itself", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a");
  const a = new Probe(host, 5000);
  const b = new Probe(net.host("b"), 5000);
  throws(() => host.bind(addressOf("203.0.113.1", 5000)), /in use/);
  throws(() => host.bind(addressOf("10.0.0.1", 0)), /no interface/);
  host.removeInterface("eth0");
  a.send(b.base.local, "x");
  b.send(a.base.local, "x");
  net.run();
  deepStrictEqual([...a.driver.socketErrors], [["ENETUNREACH", 1]]);
  deepStrictEqual([...net.trace.drops], [["no route", 1]]);
  net.attach(host, "wlan0", { address: "203.0.113.7" });
  const moved = host.bind(addressOf("203.0.113.7", 5000));
  a.sendFrom(moved, b.base.local, "moved");
  net.run();
  deepStrictEqual(b.take(), ["203.0.113.7:5000 moved"]);
  host.stop();
  b.send(moved.local, "x");
  net.run();
  strictEqual(net.trace.drops.get("port closed"), 1);
});

Deno.test("VirtualHost loses an address as Linux does, and its sockets work again when it comes back", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const host = net.host("a", { rttToCoreMs: 10 });
  net.attach(host, "eth0", { address: "2001:db8::a" });
  const a = new Probe(host, 5000);
  const six = host.bind(addressOf("2001:db8::a", 5000));
  const b = new Probe(net.host("b"), 5000);
  const far = addressOf("2001:db8::b", 5000);
  b.send(a.base.local, "under way");
  net.run({ until: 1 });
  host.removeAddress("203.0.113.1");
  host.removeAddress("2001:db8::a");
  throws(() => host.removeAddress("203.0.113.1"), /does not have it/);
  a.send(b.base.local, "x");
  a.sendFrom(six, far, "x");
  net.run();
  deepStrictEqual([...a.driver.socketErrors], [["ENETUNREACH", 1]]);
  deepStrictEqual([...net.trace.drops], [["no way out", 1], ["no such address", 1]]);
  deepStrictEqual(a.received, []);
  deepStrictEqual(host.interfaces(), []);
  net.attach(host, "eth0", { address: "203.0.113.1", rttToCoreMs: 10 });
  a.send(b.base.local, "back");
  net.run();
  deepStrictEqual(b.take(), ["203.0.113.1:5000 back"]);
});

Deno.test("VirtualNetwork gives the same trace for the same seed, and another for another", () => {
  const run = (seed: number): { hash: string; times: number[] } => {
    const net = new VirtualNetwork({ seed, trace: { hashPayloads: true } });
    const lossy = { latencyMs: 20, jitterMs: 10, lossRate: 0.3, duplicateRate: 0.1, reorderRate: 0.1, reorderMs: 15 };
    const nat = net.nat({ mapping: "APDM", allocation: "random" });
    const a = new Probe(net.host("a", { behind: nat, up: lossy }));
    const b = new Probe(net.host("b", { down: lossy }), 5000);
    for (let i = 0; i < 200; i++) net.at(i, () => a.send(b.base.local, `${i}`));
    net.run();
    return { hash: net.trace.hash(), times: b.received.map(({ at }) => at) };
  };
  const first = run(1);
  deepStrictEqual(run(1), first);
  notStrictEqual(run(2).hash, first.hash);
  strictEqual(first.hash.length, 64);
});

Deno.test("Trace keeps events when asked to, in order, with the reason of each drop", () => {
  const net = new VirtualNetwork({ seed: 1, trace: { keepEvents: true } });
  const nat = net.nat({ name: "router" });
  const a = new Probe(net.host("a", { behind: nat, rttToCoreMs: 10 }), 5000);
  a.send(addressOf("203.0.113.9", 1), "x");
  net.run();
  const described = net.trace.events.map((event) =>
    `${event.at} ${event.where} ${event.type} ${event.packet.source}${
      event.type === "dropped" ? ` ${event.reason}` : ""
    }`
  );
  deepStrictEqual(described, [
    "0 a sent 192.168.1.2:5000",
    "5 router translated 203.0.113.1:5000",
    "5 core dropped 203.0.113.1:5000 no route",
  ]);
});

Deno.test("VirtualNetwork passes an hour of keep-alive", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const server = new Probe(net.host("server"), 3478);
  const clients = Array.from({ length: 10 }, (_, index) => {
    const nat = net.nat({ timeoutMs: 30_000 });
    return new Probe(net.host(`client${index}`, { behind: nat, rttToCoreMs: 50 }));
  });
  const hourMs = 3_600_000;
  for (let at = 0; at < hourMs; at += 15_000) {
    net.at(at, () => clients.forEach((client) => client.send(server.base.local, "x")));
  }
  net.run({ until: hourMs });
  strictEqual(net.now, hourMs);
  strictEqual(server.received.length, 10 * 240);
  strictEqual(new Set(server.received.map(({ remote }) => remote)).size, 10, "no mapping was ever lost");
});

Deno.test("VirtualNetwork stops a run by time, by condition, and when it goes round in circles", () => {
  const net = new VirtualNetwork({ seed: 9 });
  const tick = (): void => net.at(net.now + 1, tick);
  net.at(0, tick);
  strictEqual(net.run({ until: 10.5 }), 11);
  strictEqual(net.now, 10.5);
  net.run({ stopWhen: () => net.now >= 20 });
  strictEqual(net.now, 20);
  throws(() => net.run({ maxEvents: 100 }), /100 events by 120 ms \(seed 9\)/);
});

Deno.test("VirtualNetwork refuses names and addresses twice", () => {
  const net = new VirtualNetwork({ seed: 1 });
  net.host("a", { address: "203.0.113.5" });
  throws(() => net.host("a"), /has it already/);
  throws(() => net.host("b", { address: "203.0.113.5" }), /somebody on core has it/);
  throws(() => new VirtualNetwork({ seed: 0.5 }).host("a"), /not a safe integer/);
});
