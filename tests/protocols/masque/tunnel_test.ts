import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Address } from "../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { bindResponse } from "../../../protocols/masque/bind_request.ts";
import { OUTER_UDP_PAYLOAD_BYTES } from "../../../protocols/masque/config.ts";
import { MAX_CONTEXT_ID_GAPS, MAX_OPEN_CONTEXTS } from "../../../protocols/masque/contexts.ts";
import { CONTEXT_IDLE_MS } from "../../../protocols/masque/udp_tunnel.ts";
import { PORT_BASE, PUBLIC_ADDRESS, rawClient, rawProxy, tunnelPair } from "../../support/masque_pair.ts";

const REMOTE = addressOf("192.0.2.42", 1234);
const remoteAt = (index: number): Address => addressOf(`198.51.100.${index & 0xff}`, 1000 + (index >> 8));

Deno.test("UdpTunnel has the public address as its base, and room for an Initial in it (RFC 9298 §6.2)", () => {
  const { client, proxy } = tunnelPair();
  const base = client.tunnel.base!;
  deepStrictEqual([base.kind, base.local], ["tunnel", PUBLIC_ADDRESS]);
  // Of 1280 bytes 41 are the packet's, 3 the frame's, and Quarter Stream ID, Context ID and address 9.
  strictEqual(base.maxPayloadBytes, OUTER_UDP_PAYLOAD_BYTES - 41 - 3 - 9);
  ok(base.maxPayloadBytes >= 1200 + 12);
  deepStrictEqual(client.events, [{ type: "open", base, publicAddresses: [PUBLIC_ADDRESS] }]);
  strictEqual(proxy.port?.publicAddress, PUBLIC_ADDRESS);
});

Deno.test("UdpTunnel sends uncompressed first, and compressed once that is acknowledged", () => {
  const { pair, client, proxy } = tunnelPair();
  const send = (hex: string): void => {
    strictEqual(client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload: fromHex(hex) }, pair.now), true);
    pair.runTo(pair.now + 100);
  };
  send("01");
  strictEqual(proxy.port?.contextCount, 2);
  send("0203");
  deepStrictEqual(proxy.sent.map(({ base, remote, payload }) => [base, remote, toHex(payload)]), [
    [PORT_BASE, REMOTE, "01"],
    [PORT_BASE, REMOTE, "0203"],
  ]);
  // And back, each way in its own context.
  proxy.port?.handleDatagram({ base: PORT_BASE, remote: REMOTE, payload: fromHex("04") }, pair.now);
  proxy.port?.handleDatagram({ base: PORT_BASE, remote: remoteAt(1), payload: fromHex("05") }, pair.now);
  pair.runTo(pair.now + 100);
  deepStrictEqual(client.received.map(({ base, remote, payload }) => [base, remote, toHex(payload)]), [
    [client.tunnel.base, REMOTE, "04"],
    [client.tunnel.base, remoteAt(1), "05"],
  ]);
});

Deno.test("UdpTunnel and BoundPort cut runs into datagrams, and drop what does not fit (RFC 9298 §6.1)", () => {
  const { pair, client, proxy } = tunnelPair();
  const payload = fromHex("0102030405");
  client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload, segmentBytes: 2 }, pair.now);
  proxy.port?.handleDatagram({ base: PORT_BASE, remote: REMOTE, payload, segmentBytes: 3 }, pair.now);
  const large = new Uint8Array(client.tunnel.base!.maxPayloadBytes);
  strictEqual(client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload: large }, pair.now), true);
  const tooLarge = new Uint8Array(large.length + 1);
  strictEqual(client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload: tooLarge }, pair.now), false);
  pair.runTo(pair.now + 100);
  deepStrictEqual(proxy.sent.map((datagram) => datagram.payload.length), [2, 2, 1, large.length]);
  deepStrictEqual(client.received.map((datagram) => toHex(datagram.payload)), ["010203", "0405"]);
  deepStrictEqual([...client.tunnel.drops], [["too large", 1]]);
});

Deno.test("UdpTunnel closes contexts that are idle when others need them, and sends uncompressed without one", () => {
  const { pair, client, proxy } = tunnelPair();
  const sendTo = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      client.tunnel.send({ base: PORT_BASE, remote: remoteAt(i), payload: fromHex("aa") }, pair.now);
      pair.runTo(pair.now + 1);
    }
    pair.runTo(pair.now + 100);
  };
  sendTo(0, MAX_OPEN_CONTEXTS + 5);
  strictEqual(client.tunnel.contextCount, MAX_OPEN_CONTEXTS);
  strictEqual(proxy.port?.contextCount, MAX_OPEN_CONTEXTS);
  strictEqual(proxy.sent.length, MAX_OPEN_CONTEXTS + 5);
  for (let i = 0; i < 3; i++) {
    pair.runTo(pair.now + CONTEXT_IDLE_MS / 3);
    sendTo(0, 10);
  }
  sendTo(500, 501);
  // Of the first, ten are in use; the others have made room for one, besides the uncompressed one.
  deepStrictEqual([client.tunnel.contextCount, proxy.port?.contextCount], [12, 12]);
});

Deno.test("UdpTunnel gives the address back", () => {
  const { pair, client, proxy } = tunnelPair();
  client.tunnel.close();
  client.drain(pair.now);
  strictEqual(client.closedReason, "the tunnel was closed");
  pair.runTo(pair.now + 100);
  strictEqual(proxy.port?.isOpen, false);
  strictEqual(client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload: fromHex("00") }, pair.now), false);
});

Deno.test("UdpTunnel ends when the proxy ends the port, or the connection closes", () => {
  for (const end of ["port", "connection"] as const) {
    const { pair, client, proxy } = tunnelPair();
    if (end === "port") proxy.port?.close();
    else proxy.end.http3.close(pair.now);
    pair.runTo(pair.now + 100);
    ok(client.closedReason !== undefined, end);
    strictEqual(client.tunnel.base, undefined);
  }
});

Deno.test("UdpTunnel tells why a proxy grants nothing", () => {
  const refusing = rawProxy({ status: 401, fields: [] });
  deepStrictEqual(refusing.client.events, [{ type: "closed", reason: "the proxy answered 401", status: 401 }]);
  const plain = rawProxy({ status: 200, fields: [["capsule-protocol", "?1"]] });
  strictEqual(plain.client.closedReason, "the proxy does not bind");
});

Deno.test("BoundPort ends its tunnel on each mistake, with the code of RFC 9297 §3.3", () => {
  const cases: readonly (readonly [string, "write" | "datagram", string])[] = [
    ["context 0 assigned", "write", "11 02 00 00"],
    ["own ID taken", "write", "11 08 03 04 c000022a 04d2"],
    ["ID used again", "write", "11 02 02 00 13 01 02 11 02 02 00"],
    ["two uncompressed contexts", "write", "11 02 02 00 11 02 04 00"],
    ["tuple assigned twice", "write", "11 08 04 04 c000022a 04d2 11 08 06 04 c000022a 04d2"],
    ["IP version 5", "write", "11 08 04 05 c000022a 04d2"],
    ["ASSIGN cut short", "write", "11 07 04 04 c000022a 04"],
    ["ASSIGN too long", "write", "11 09 04 04 c000022a 04d2 00"],
    ["ACK of context 0", "write", "12 01 00"],
    ["ACK of nothing", "write", "12 01 01"],
    ["ACK of its own", "write", "11 02 02 00 12 01 02"],
    ["ACK that is empty", "write", "12 00"],
    ["CLOSE of context 0", "write", "13 01 00"],
    ["CLOSE of nothing", "write", "13 01 04"],
    ["datagram of context 0", "datagram", "00 6869"],
    ["datagram of context 0 in a capsule", "write", "00 03 00 6869"],
  ];
  for (const [name, how, hex] of cases) {
    const { proxy, client, write, sendDatagram } = rawClient();
    if (how === "write") write(hex);
    else sendDatagram(hex);
    strictEqual(proxy.port?.isOpen, false, name);
    const [reset] = client.of("reset");
    strictEqual(reset?.code, 0x010e, name);
    // The connection goes on.
    strictEqual(client.quic.state, "confirmed", name);
  }
});

Deno.test("BoundPort ends a tunnel that makes it remember too much (H3_EXCESSIVE_LOAD)", () => {
  const gaps = rawClient();
  // Every second ID of the client's, so that none follows another.
  let capsules = "";
  for (let i = 0; i <= MAX_CONTEXT_ID_GAPS; i++) {
    const id = (0x4000 + 4 * (i + 1)).toString(16);
    capsules += `11 09 ${id} 04 c000022a ${(1000 + i).toString(16).padStart(4, "0")}`;
  }
  gaps.write(capsules);
  strictEqual(gaps.client.of("reset")[0]?.code, 0x0107);
  const long = rawClient();
  long.write("11 80100000 02");
  strictEqual(long.client.of("reset")[0]?.code, 0x0107);
});

Deno.test("BoundPort passes over what it may: unknown capsules, crossed and late ones, unknown contexts", () => {
  const { pair, proxy, client, write, sendDatagram, streamId } = rawClient();
  write("29 03 010203 80000021 00");
  write("11 02 02 00 13 01 02 13 01 02");
  sendDatagram("02 04 c000022a 04d2 6869");
  sendDatagram("40");
  write("11 02 04 00");
  sendDatagram("04 05 c000022a 04d2 6869");
  strictEqual(proxy.port?.isOpen, true);
  deepStrictEqual([...proxy.port!.drops], [["unknown context", 1], ["truncated", 1], ["IP version", 1]]);
  // A datagram in a capsule is one: RFC 9297 §3.5.
  write("00 0a 04 04 c000022a 04d2 6869");
  deepStrictEqual(proxy.sent.map(({ remote, payload }) => [remote, toHex(payload)]), [[REMOTE, "6869"]]);
  strictEqual(toHex(client.readAll(streamId, pair.now)), "120102" + "120104");
});

Deno.test("BoundPort ends a tunnel whose content ends inside a capsule (RFC 9297 §3.3), and one that just ends", () => {
  const cut = rawClient();
  cut.write("11 02 02");
  cut.client.http3.finish(cut.streamId);
  cut.pair.runTo(cut.pair.now + 100);
  strictEqual(cut.client.of("reset")[0]?.code, 0x010e);
  const whole = rawClient();
  whole.client.http3.finish(whole.streamId);
  whole.pair.runTo(whole.pair.now + 100);
  deepStrictEqual([whole.proxy.port?.isOpen, whole.client.of("reset").length], [false, 0]);
});

Deno.test("BoundPort asks its owner: targets, sources, amounts", () => {
  const { pair, proxy, client, write, sendDatagram, streamId } = rawClient({
    isTarget: (target) => target === REMOTE,
    isSource: (source) => source === REMOTE,
    spend: (direction) => direction === "in",
  });
  write("11 02 02 00");
  sendDatagram("02 04 c000022a 04d3 6869");
  sendDatagram("02 04 c000022a 04d2 6869");
  write("11 08 04 04 c000022a 04d3");
  write("11 08 06 04 c000022a 04d2");
  const port = proxy.port!;
  port.handleDatagram({ base: PORT_BASE, remote: remoteAt(1), payload: fromHex("01") }, pair.now);
  port.handleDatagram({ base: PORT_BASE, remote: REMOTE, payload: fromHex("02") }, pair.now);
  pair.runTo(pair.now + 100);
  deepStrictEqual([...port.drops], [["target", 1], ["quota", 1], ["source", 1]]);
  strictEqual(toHex(client.readAll(streamId, pair.now)), "120102" + "130104" + "120106");
  const datagram = client.http3.readDatagram(pair.now)!;
  strictEqual(toHex(datagram.bytes.subarray(datagram.payloadAt)), "0602");
});

Deno.test("BoundPort forwards nothing from strangers once the uncompressed context is closed", () => {
  const { pair, proxy, write } = rawClient();
  write("11 02 02 00 11 08 04 04 c000022a 04d2 13 01 02");
  const port = proxy.port!;
  port.handleDatagram({ base: PORT_BASE, remote: remoteAt(1), payload: fromHex("01") }, pair.now);
  port.handleDatagram({ base: PORT_BASE, remote: REMOTE, payload: fromHex("02") }, pair.now);
  deepStrictEqual([...port.drops], [["no context", 1]]);
});

Deno.test("UdpTunnel ends on each mistake of a proxy, with the code of RFC 9297 §3.3", () => {
  const cases: readonly (readonly [string, "write" | "datagram", string])[] = [
    ["uncompressed context of a proxy", "write", "11 02 01 00"],
    ["own ID taken", "write", "11 08 04 04 c000022a 04d2"],
    ["tuple assigned twice", "write", "11 08 01 04 c000022a 04d2 11 08 03 04 c000022a 04d2"],
    ["ACK of nothing", "write", "12 01 04"],
    ["CLOSE of nothing", "write", "13 01 01"],
    ["datagram of context 0", "datagram", "00 6869"],
  ];
  for (const [name, how, hex] of cases) {
    const { client, proxy, write, sendDatagram } = rawProxy(bindResponse([PUBLIC_ADDRESS]));
    if (how === "write") write(hex);
    else sendDatagram(hex);
    ok(client.closedReason !== undefined, name);
    strictEqual(proxy.of("reset")[0]?.code, 0x010e, name);
  }
});

Deno.test("UdpTunnel closes the proxy's context where registrations cross", () => {
  const { pair, client, proxy, write } = rawProxy();
  client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload: fromHex("01") }, pair.now);
  write("12 01 02 11 08 01 04 c000022a 04d2 12 01 04");
  client.tunnel.send({ base: PORT_BASE, remote: REMOTE, payload: fromHex("02") }, pair.now);
  pair.runTo(pair.now + 100);
  strictEqual(toHex(proxy.readAll(0, pair.now)), "11020200" + "11080404c000022a04d2" + "130101");
  const sent: string[] = [];
  for (let next = proxy.http3.readDatagram(pair.now); next !== undefined; next = proxy.http3.readDatagram(pair.now)) {
    sent.push(toHex(next.bytes.subarray(next.payloadAt)));
  }
  deepStrictEqual(sent, ["0204c000022a04d201", "0402"]);
});
