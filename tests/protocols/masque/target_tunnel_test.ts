import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { toHex } from "../../../protocols/core/bytes.ts";
import type { Http3End } from "../../support/http3_pair.ts";
import { PORT_BASE, rawClient } from "../../support/masque_pair.ts";

const TARGET = addressOf("192.0.2.42", 1234);

/** HTTP Datagrams that have come, hexadecimal. */
function received(client: Http3End, now: number): string[] {
  const all: string[] = [];
  for (let next = client.http3.readDatagram(now); next !== undefined; next = client.http3.readDatagram(now)) {
    all.push(toHex(next.bytes.subarray(next.payloadAt)));
  }
  return all;
}

Deno.test("A tunnel to one target carries UDP payloads in context 0, both ways (RFC 9298 §5)", () => {
  const { pair, proxy, client, streamId, sendDatagram } = rawClient({ isTarget: () => false }, TARGET);
  deepStrictEqual(client.of("response")[0]?.response, { status: 200, fields: [["capsule-protocol", "?1"]] });
  sendDatagram("00 6869");
  // An empty datagram is one: RFC 768.
  sendDatagram("00");
  deepStrictEqual(proxy.sent.map(({ base, remote, payload }) => [base, remote, toHex(payload)]), [
    [PORT_BASE, TARGET, "6869"],
    [PORT_BASE, TARGET, ""],
  ]);
  const from = (host: string, port: number): void =>
    proxy.port?.handleDatagram(
      { base: PORT_BASE, remote: addressOf(host, port), payload: Uint8Array.of(1, 2) },
      pair.now,
    );
  from("192.0.2.42", 1234);
  // RFC 9298 §3.1: whoever else sends there is not heard, be it the same host.
  from("192.0.2.42", 1235);
  from("192.0.2.43", 1234);
  pair.runTo(pair.now + 100);
  deepStrictEqual(received(client, pair.now), ["000102"]);
  deepStrictEqual([...proxy.port?.drops ?? []], [["no context", 2]]);
  strictEqual(client.of("reset").length, 0);
  strictEqual(streamId, 0);
});

Deno.test("A tunnel to one target drops what is of other contexts or cut short (RFC 9298 §4)", () => {
  const { proxy, client, sendDatagram } = rawClient({}, TARGET);
  for (const hex of ["02 6869", "01", "", "40", "3f 00"]) sendDatagram(hex);
  deepStrictEqual(proxy.sent, []);
  deepStrictEqual([...proxy.port?.drops ?? []], [["unknown context", 3], ["truncated", 2]]);
  strictEqual(client.of("reset").length + client.of("stopped").length, 0);
});

Deno.test("A tunnel to one target takes DATAGRAM capsules, and passes over all others (RFC 9297 §3.2, §3.5)", () => {
  const { proxy, client, write } = rawClient({}, TARGET);
  // COMPRESSION_ASSIGN, COMPRESSION_CLOSE and a malformed one: nothing to this tunnel. Then one that nobody knows.
  write("11 02 02 00  13 01 00  11 01 ff  0b 00  29 03 010203");
  write("00 03 00 6869");
  deepStrictEqual(proxy.sent.map(({ remote, payload }) => [remote, toHex(payload)]), [[TARGET, "6869"]]);
  strictEqual(proxy.port?.contextCount, 1);
  strictEqual(client.of("reset").length, 0);
});

Deno.test("A tunnel to one target ends with the stream (RFC 9298 §3.1)", () => {
  const { pair, proxy, client, streamId } = rawClient({}, TARGET);
  client.http3.finish(streamId);
  pair.runTo(pair.now + 100);
  strictEqual(proxy.port?.isOpen, false);
});
