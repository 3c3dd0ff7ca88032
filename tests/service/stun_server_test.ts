import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { fromHex, toHex } from "../../protocols/core/bytes.ts";
import type { Base } from "../../protocols/core/machine.ts";
import { countersOf, formatMetrics } from "../../service/metrics.ts";
import { ANSWER_BURST, ANSWERS_PER_SECOND, MAX_QUEUED_ANSWERS, StunServer } from "../../service/stun_server.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.0.2.1", 3478), maxPayloadBytes: 65_507 };
const REQUEST = fromHex("00010000 2112a442 000102030405060708090a0b");

function ask(server: StunServer, remote: Address, now = 0): void {
  server.handleDatagram({ base: BASE, remote, payload: REQUEST }, now);
}

function answered(server: StunServer): Address[] {
  const remotes: Address[] = [];
  for (let sent = server.pollTransmit(0); sent !== undefined; sent = server.pollTransmit(0)) remotes.push(sent.remote);
  return remotes;
}

Deno.test("StunServer answers a Binding request with the address it came from (RFC 8489 §14.2)", () => {
  const server = new StunServer();
  const remote = addressOf("203.0.113.5", 0x1234);
  ask(server, remote);
  const sent = server.pollTransmit(0)!;
  strictEqual(sent.base, BASE);
  strictEqual(sent.remote, remote);
  // XOR-MAPPED-ADDRESS: port and address with the magic cookie taken off (0x1234 ^ 0x2112, 203.0.113.5 ^ 0x2112a442).
  strictEqual(
    toHex(sent.payload),
    "0101000c" + "2112a442" + "000102030405060708090a0b" + "00200008" + "0001" + "3326" + "ea12d547",
  );
  strictEqual(server.pollTransmit(0), undefined);
});

Deno.test("StunServer ignores everything else, cut short at any byte too", () => {
  const server = new StunServer();
  const remote = addressOf("203.0.113.5", 4000);
  for (let end = 0; end < REQUEST.length; end++) {
    server.handleDatagram({ base: BASE, remote, payload: REQUEST.subarray(0, end) }, 0);
  }
  server.handleDatagram({ base: BASE, remote, payload: REQUEST.with(0, 0x01) }, 0);
  deepStrictEqual(answered(server), []);
  deepStrictEqual([...server.counters], [["ignored", REQUEST.length + 1]]);
});

Deno.test("StunServer answers one address so often, and one IPv6 network as one address", () => {
  const server = new StunServer();
  for (let i = 0; i < ANSWER_BURST + 10; i++) ask(server, addressOf("203.0.113.5", 4000 + i));
  ask(server, addressOf("203.0.113.6", 4000));
  strictEqual(answered(server).length, ANSWER_BURST + 1);
  for (let i = 0; i < ANSWER_BURST + 10; i++) ask(server, addressOf(`2001:db8::${i + 1}`, 4000));
  ask(server, addressOf("2001:db8:0:1::1", 4000));
  strictEqual(answered(server).length, ANSWER_BURST + 1);
  strictEqual(server.counters.get("dropped_rate"), 20);
  for (let i = 0; i < 100; i++) ask(server, addressOf("203.0.113.5", 4000), 1000);
  strictEqual(answered(server).length, ANSWERS_PER_SECOND);
});

Deno.test("StunServer drops what a socket without room cannot send", () => {
  const server = new StunServer();
  for (let i = 0; i < MAX_QUEUED_ANSWERS + 5; i++) ask(server, addressOf(`203.0.${i >> 8}.${i & 255}`, 4000));
  strictEqual(answered(server).length, MAX_QUEUED_ANSWERS);
  strictEqual(server.counters.get("dropped_queue"), 5);
});

Deno.test("Metrics are text in the exposition format of Prometheus", () => {
  const counters = new Map([["offers", 3], ["early_answers", 2]]);
  strictEqual(
    formatMetrics([
      { name: "traverse_hub_clients", type: "gauge", help: "Connections to the hub.", value: 7 },
      ...countersOf("hub", counters, "Hub"),
    ]),
    "# HELP traverse_hub_clients Connections to the hub.\n# TYPE traverse_hub_clients gauge\ntraverse_hub_clients 7\n" +
      "# HELP traverse_hub_early_answers_total Hub: early answers.\n" +
      "# TYPE traverse_hub_early_answers_total counter\ntraverse_hub_early_answers_total 2\n" +
      "# HELP traverse_hub_offers_total Hub: offers.\n# TYPE traverse_hub_offers_total counter\n" +
      "traverse_hub_offers_total 3\n",
  );
});
