import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { rawClient, rawProxy } from "../../support/masque_pair.ts";

// Capsules of the relay that are malformed, at either end of a live tunnel, with the code as the peer reads it:
// RFC 9297 §3.3, RFC 9298 §4, draft-ietf-masque-connect-udp-listen-13.

const H3_MESSAGE_ERROR = 0x010e;
const H3_EXCESSIVE_LOAD = 0x0107;

/** What is wrong whoever says it; `own` is an ID that the sender may use, `theirs` one that is the other's. */
function malformed(own: string, theirs: string): readonly (readonly [what: string, capsules: string])[] {
  return [
    ["ASSIGN without anything", "11 00"],
    ["ASSIGN without IP version", `11 01 ${own}`],
    ["ASSIGN of context 0", "11 02 00 00"],
    ["ASSIGN of context 0 with an address", "11 08 00 04 c000022a 04d2"],
    ["ASSIGN of the other's ID", `11 08 ${theirs} 04 c000022a 04d2`],
    ["ASSIGN of IP version 1", `11 08 ${own} 01 c000022a 04d2`],
    ["ASSIGN of IP version 255", `11 08 ${own} ff c000022a 04d2`],
    ["ASSIGN of IPv4 with an address of IPv6", `11 14 ${own} 04 20010db8000000000000000000000001 04d2`],
    ["ASSIGN of IPv6 with an address of IPv4", `11 08 ${own} 06 c000022a 04d2`],
    ["ASSIGN without port", `11 06 ${own} 04 c000022a`],
    ["ASSIGN with half a port", `11 07 ${own} 04 c000022a 04`],
    ["ASSIGN with a byte too many", `11 09 ${own} 04 c000022a 04d2 00`],
    ["ASSIGN of an ID that is cut", "11 01 40"],
    ["ASSIGN of the same ID twice", `11 08 ${own} 04 c000022a 04d2 11 08 ${own} 04 c000022a 04d3`],
    ["ASSIGN of the same address twice", `11 08 ${own} 04 c000022a 04d2 11 09 40${more(own)} 04 c000022a 04d2`],
    ["ACK without anything", "12 00"],
    ["ACK of context 0", "12 01 00"],
    ["ACK of the sender's own", `12 01 ${own}`],
    ["ACK of what was never assigned", `12 01 ${more(theirs)}`],
    ["ACK of an ID that is cut", "12 01 40"],
    ["ACK with a byte too many", "12 02 40 0000"],
    ["CLOSE without anything", "13 00"],
    ["CLOSE of context 0", "13 01 00"],
    ["CLOSE of what was never assigned", `13 01 ${more(theirs)}`],
    ["CLOSE of an ID that is cut", "13 01 80"],
    ["CLOSE with a byte too many", `11 08 ${own} 04 c000022a 04d2 13 02 ${own} 00`],
    ["a datagram of context 0 in a capsule", "00 03 00 6869"],
  ];
}

/** An ID of the same side that nobody uses. */
function more(id: string): string {
  return (parseInt(id, 16) + 0x20).toString(16).padStart(2, "0");
}

for (const [what, capsules] of malformed("04", "03")) {
  Deno.test(`Relay meets ${what}: H3_MESSAGE_ERROR on the stream, and the connection goes on (RFC 9297 §3.3)`, () => {
    const { proxy, client, write } = rawClient();
    write(capsules);
    deepStrictEqual([proxy.port?.isOpen, client.of("reset")[0]?.code], [false, H3_MESSAGE_ERROR], capsules);
    strictEqual(client.quic.state, "confirmed");
  });
}

for (const [what, capsules] of [...malformed("03", "04"), ["an uncompressed context of the relay's", "11 02 03 00"]]) {
  Deno.test(`Tunnel meets ${what}: H3_MESSAGE_ERROR on the stream, and the connection goes on (RFC 9297 §3.3)`, () => {
    const { proxy, client, write } = rawProxy();
    write(capsules!);
    ok(client.closedReason !== undefined, capsules);
    deepStrictEqual([client.tunnel.base, proxy.of("reset")[0]?.code], [undefined, H3_MESSAGE_ERROR]);
    strictEqual(proxy.quic.state, "confirmed");
  });
}

const WHOLE: readonly string[] = [
  "11 02 02 00",
  "11 08 04 04 c000022a 04d2",
  "11 15 4004 06 20010db8000000000000000000000001 04d2",
  "00 0a 04 04 c000022a 04d2 6869",
  "80000021 4003 010203",
];

Deno.test("Relay meets a stream that ends inside a capsule, at every byte of it: H3_MESSAGE_ERROR (RFC 9297 §3.3)", () => {
  for (const text of WHOLE) {
    const bytes = fromHex(text);
    for (let length = 1; length < bytes.length; length++) {
      const { pair, proxy, client, write, streamId } = rawClient();
      write(toHex(bytes.subarray(0, length)));
      strictEqual(proxy.port?.isOpen, true, `${text}, ${length} bytes`);
      client.http3.finish(streamId);
      pair.runTo(pair.now + 100);
      deepStrictEqual(
        [proxy.port?.isOpen, client.of("reset")[0]?.code],
        [false, H3_MESSAGE_ERROR],
        `${text}, ${length}`,
      );
    }
  }
});

Deno.test("Tunnel meets a stream that ends inside a capsule, at every byte of it: H3_MESSAGE_ERROR (RFC 9297 §3.3)", () => {
  const bytes = fromHex("11 08 03 04 c000022a 04d2");
  for (let length = 1; length < bytes.length; length++) {
    const { pair, proxy, client, write } = rawProxy();
    write(toHex(bytes.subarray(0, length)));
    strictEqual(client.closedReason, undefined);
    proxy.http3.finish(0);
    pair.runTo(pair.now + 100);
    ok(client.closedReason !== undefined, `${length}`);
    strictEqual(client.tunnel.base, undefined);
  }
});

Deno.test("Relay and tunnel meet a capsule longer than any they know: H3_EXCESSIVE_LOAD (RFC 9297 §3.2)", () => {
  for (const type of ["11", "12", "13"]) {
    const relay = rawClient();
    relay.write(`${type} bfffffff 02`);
    strictEqual(relay.client.of("reset")[0]?.code, H3_EXCESSIVE_LOAD, type);
    const tunnel = rawProxy();
    tunnel.write(`${type} ffffffffffffffff 02`);
    strictEqual(tunnel.proxy.of("reset")[0]?.code, H3_EXCESSIVE_LOAD, type);
  }
});

Deno.test("Relay passes over a capsule of an unknown type, however long it is, without keeping it (RFC 9297 §3.2)", () => {
  const { proxy, client, write, pair } = rawClient();
  // 64 KiB of what nobody knows, and then something known.
  write("29 80010000");
  const part = "ab".repeat(1024);
  for (let n = 0; n < 64; n++) write(part);
  write("11 02 02 00");
  pair.runTo(pair.now + 1000);
  deepStrictEqual([proxy.port?.isOpen, proxy.port?.contextCount], [true, 1]);
  strictEqual(client.quic.state, "confirmed");
});
