import { strictEqual, throws } from "node:assert/strict";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { ReceiveWindow, SendCredit } from "../../../protocols/quic/flow_control.ts";

Deno.test("SendCredit is consumed, and raised by larger limits only (RFC 9000 §4.1)", () => {
  const credit = new SendCredit();
  strictEqual(credit.availableBytes, 0);
  strictEqual(credit.raise(100), true);
  credit.consume(60);
  strictEqual(credit.availableBytes, 40);
  strictEqual(credit.raise(90), false);
  strictEqual(credit.raise(100), false);
  strictEqual(credit.maximum, 100);
  throws(() => credit.consume(41), RangeError);
  credit.consume(40);
  strictEqual(credit.used, 100);
});

Deno.test("SendCredit says once a limit that it is blocked (RFC 9000 §4.1)", () => {
  const credit = new SendCredit();
  credit.raise(100);
  credit.block();
  strictEqual(credit.isBlockedPending, false);
  credit.consume(100);
  credit.block();
  strictEqual(credit.isBlockedPending, true);
  strictEqual(credit.takeBlocked(), 100);
  credit.block();
  strictEqual(credit.isBlockedPending, false);
  credit.onBlockedLost(100);
  strictEqual(credit.isBlockedPending, true);
  credit.raise(200);
  strictEqual(credit.isBlockedPending, false);
  credit.onBlockedLost(100);
  strictEqual(credit.isBlockedPending, false);
});

Deno.test("ReceiveWindow refuses data beyond the limit (RFC 9000 §4.1)", () => {
  const window = new ReceiveWindow({ windowBytes: 100, maxWindowBytes: 100 });
  window.receive(100);
  throws(() => window.receive(1), (error) => error instanceof TransportError && error.code === 0x03);
});

Deno.test("ReceiveWindow is updated after half of it was read (RFC 9000 §4.2)", () => {
  const window = new ReceiveWindow({ windowBytes: 100, maxWindowBytes: 100 });
  window.receive(80);
  strictEqual(window.consume(49), false);
  strictEqual(window.isUpdatePending, false);
  strictEqual(window.consume(1), true);
  strictEqual(window.consume(10), false);
  strictEqual(window.isUpdatePending, true);
  strictEqual(window.takeUpdate(10, 1000), 160);
  strictEqual(window.maximum, 160);
  strictEqual(window.isUpdatePending, false);
  window.receive(80);
});

Deno.test("ReceiveWindow doubles while half of it is read within two round trips, up to its maximum", () => {
  const window = new ReceiveWindow({ windowBytes: 100, maxWindowBytes: 300 });
  window.consume(50);
  strictEqual(window.takeUpdate(10, 1000), 150);
  window.consume(50);
  strictEqual(window.takeUpdate(10, 1019), 300);
  window.consume(100);
  strictEqual(window.takeUpdate(10, 1030), 500);
  strictEqual(window.windowBytes, 300);
  window.consume(150);
  strictEqual(window.takeUpdate(10, 2000), 650);
});

Deno.test("ReceiveWindow repeats a lost update unless a newer one was sent (RFC 9000 §13.3)", () => {
  const window = new ReceiveWindow({ windowBytes: 100, maxWindowBytes: 100 });
  window.consume(50);
  window.takeUpdate(10, 0);
  window.onUpdateLost(150);
  strictEqual(window.isUpdatePending, true);
  strictEqual(window.takeUpdate(10, 100), 150);
  window.consume(50);
  window.takeUpdate(10, 200);
  window.onUpdateLost(150);
  strictEqual(window.isUpdatePending, false);
});

Deno.test("ReceiveWindow says nothing once it is closed", () => {
  const window = new ReceiveWindow({ windowBytes: 100, maxWindowBytes: 100 });
  window.consume(50);
  window.close();
  strictEqual(window.isUpdatePending, false);
  strictEqual(window.consume(50), false);
  window.onUpdateLost(100);
  strictEqual(window.isUpdatePending, false);
});
