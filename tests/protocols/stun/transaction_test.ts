import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Base, Datagram } from "../../../protocols/core/machine.ts";
import { encodeStun } from "../../../protocols/stun/npm_stun.ts";
import { Transaction, type TransactionEvent } from "../../../protocols/stun/transaction.ts";

const base: Base = { kind: "socket", local: addressOf("192.0.2.1", 1000), maxPayloadBytes: 1472 };
const remote = addressOf("192.0.2.2", 3478);
const transactionId = new Uint8Array(12).fill(7);
const request: Datagram = { base, remote, payload: encodeStun({ class: "request", transactionId }) };
const response: Datagram = {
  base,
  remote,
  payload: encodeStun({ class: "success", transactionId, xorMappedAddress: base.local }),
};

Deno.test("Transaction sends at the times of the example (RFC 8489 §6.2.1)", () => {
  const transaction = new Transaction(request, { now: 0 });
  const { sentAt, endedAt, event } = runToEnd(transaction);
  deepStrictEqual(sentAt, [0, 500, 1500, 3500, 7500, 15500, 31500]);
  deepStrictEqual({ endedAt, event }, { endedAt: 39500, event: { type: "timeout" } });
});

Deno.test("Transaction goes by its configuration", () => {
  const config = { rtoMs: 100, requestCount: 3, lastMultiplier: 4 };
  const { sentAt, endedAt } = runToEnd(new Transaction(request, { now: 10, config }));
  deepStrictEqual({ sentAt, endedAt }, { sentAt: [10, 110, 310], endedAt: 710 });
});

Deno.test("Transaction measures the round trip of a request sent once", () => {
  const transaction = new Transaction(request, { now: 5 });
  strictEqual(transaction.pollTransmit(5), request);
  strictEqual(transaction.pollTransmit(5), undefined);
  transaction.handleDatagram(response, 47);
  deepStrictEqual(transaction.pollEvent(), { type: "response", response, rttMs: 42 });
  strictEqual(transaction.pollEvent(), undefined);
  strictEqual(transaction.pollTimeout(), undefined);
  strictEqual(transaction.isPending, false);
});

Deno.test("Transaction measures nothing when it is open which request was answered", () => {
  const transaction = new Transaction(request, { now: 0 });
  transaction.pollTransmit(0);
  transaction.pollTransmit(500);
  transaction.handleDatagram(response, 510);
  deepStrictEqual(transaction.pollEvent(), { type: "response", response, rttMs: undefined });
  strictEqual(transaction.requestsSent, 2);
});

Deno.test("Transaction keeps a copy of the response", () => {
  const transaction = new Transaction(request, { now: 0 });
  transaction.pollTransmit(0);
  const borrowed = response.payload.slice();
  transaction.handleDatagram({ ...response, payload: borrowed }, 1);
  borrowed.fill(0);
  deepStrictEqual(transaction.pollEvent(), { type: "response", response, rttMs: 1 });
});

Deno.test("Transaction ignores other transactions, requests, indications and what is no STUN", () => {
  const transaction = new Transaction(request, { now: 0 });
  transaction.pollTransmit(0);
  const other = new Uint8Array(12).fill(8);
  const ignored = [
    encodeStun({ class: "success", transactionId: other }),
    encodeStun({ class: "request", transactionId }),
    encodeStun({ class: "indication", transactionId }),
    new Uint8Array(40),
    new Uint8Array(0),
  ];
  for (const payload of ignored) transaction.handleDatagram({ base, remote, payload }, 1);
  strictEqual(transaction.pollEvent(), undefined);
  strictEqual(transaction.isPending, true);
});

Deno.test("Transaction that is cancelled sends no more and waits as long (RFC 8445 §7.3.1.4)", () => {
  const transaction = new Transaction(request, { now: 0 });
  transaction.pollTransmit(0);
  transaction.pollTransmit(500);
  transaction.cancel();
  strictEqual(transaction.pollTimeout(), 39500);
  strictEqual(transaction.pollTransmit(1500), undefined);
  transaction.handleDatagram(response, 2000);
  strictEqual(transaction.pollEvent()?.type, "response");
});

Deno.test("Transaction does not mind early and late wake-ups", () => {
  const transaction = new Transaction(request, { now: 0 });
  for (const now of [0, 0, 1, 499]) transaction.handleTimeout(now);
  transaction.pollTransmit(0);
  strictEqual(transaction.pollTransmit(499), undefined);
  // Late: one request, not the backlog.
  strictEqual(transaction.pollTransmit(9000), request);
  strictEqual(transaction.pollTransmit(9000), undefined);
  strictEqual(transaction.pollTimeout(), 10_000);
});

function runToEnd(
  transaction: Transaction,
): { sentAt: number[]; endedAt: number; event: TransactionEvent | undefined } {
  const sentAt: number[] = [];
  let now = 0;
  let event: TransactionEvent | undefined;
  for (let step = 0; event === undefined && step < 100; step++) {
    now = transaction.pollTimeout()!;
    transaction.handleTimeout(now);
    while (transaction.pollTransmit(now) !== undefined) sentAt.push(now);
    event = transaction.pollEvent();
  }
  return { sentAt, endedAt: now, event };
}
