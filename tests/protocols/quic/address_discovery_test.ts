import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import { Reader, TruncatedError } from "../../../protocols/core/reader.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import {
  ADDRESS_DISCOVERY_ROLES,
  AddressObserver,
  AddressReporter,
  decodeAddressDiscovery,
  decodeObservedAddress,
  encodeAddressDiscovery,
  encodeObservedAddress,
  isObservedAddress,
  MAX_REPORT_BURST,
  MAX_REPORTED_PATHS,
  REPORT_INTERVAL_MS,
  reportsTo,
  unexpectedReport,
} from "../../../protocols/quic/address_discovery.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { readVarint } from "../../../protocols/quic/varint.ts";

const BASE: Base = { kind: "socket", local: addressOf("10.0.0.1", 4433), maxPayloadBytes: 1472 };
const OTHER: Base = { kind: "tunnel", local: addressOf("198.51.100.9", 9), maxPayloadBytes: 1200 };
const REMOTE = addressOf("203.0.113.7", 50000);

const pathTo = (port: number) => ({ base: BASE, remote: addressOf("203.0.113.7", port) });

Deno.test("Address discovery's parameter is 0, 1 or 2 in one varint (address-discovery-00 §4)", () => {
  for (const [value, role] of ADDRESS_DISCOVERY_ROLES.entries()) {
    const writer = new Writer(new Uint8Array(8));
    encodeAddressDiscovery(role, writer);
    deepStrictEqual([...writer.written()], [value]);
    strictEqual(decodeAddressDiscovery(new Reader(writer.written())), role);
  }
  strictEqual(decodeAddressDiscovery(new Reader(fromHex("4002"))), "reports and wants");
  for (const wrong of ["", "03", "4003", "40", "0100", "ffffffffffffffff"]) {
    throws(
      () => decodeAddressDiscovery(new Reader(fromHex(wrong))),
      (error) => error instanceof TransportError && error.code === 0x08,
    );
  }
});

Deno.test("Address discovery reports to those who want it only (address-discovery-00 §4)", () => {
  const table = ADDRESS_DISCOVERY_ROLES.map((from) => ADDRESS_DISCOVERY_ROLES.map((to) => reportsTo(from, to)));
  deepStrictEqual(table, [[false, true, true], [false, false, false], [false, true, true]]);
  strictEqual(reportsTo(undefined, "wants"), false);
  strictEqual(reportsTo("reports", undefined), false);
  strictEqual(unexpectedReport(0x9f81a6).code, 0x0a);
});

Deno.test("OBSERVED_ADDRESS is written and read byte by byte, truncated nowhere (address-discovery-00 §5)", () => {
  const rows = [
    ["809f81a6 00 cb007107 c350", { sequenceNumber: 0, address: REMOTE }],
    ["809f81a7 4040 20010db8000000000000000000000001 01bb", {
      sequenceNumber: 64,
      address: addressOf("2001:db8::1", 443),
    }],
  ] as const;
  for (const [hex, report] of rows) {
    const bytes = fromHex(hex);
    const writer = new Writer(new Uint8Array(64));
    encodeObservedAddress(report, writer);
    strictEqual(toHex(writer.written()), toHex(bytes));
    for (let length = 4; length <= bytes.length; length++) {
      const reader = new Reader(bytes.subarray(0, length));
      const type = readVarint(reader);
      strictEqual(isObservedAddress(type), true);
      const read = () => decodeObservedAddress(type, reader);
      if (length < bytes.length) throws(read, TruncatedError);
      else deepStrictEqual(read(), { type: "OBSERVED_ADDRESS", ...report });
    }
  }
  strictEqual(isObservedAddress(0x9f81a8), false);
});

Deno.test("AddressReporter tells each path once, with numbers that grow over the connection (address-discovery-00 §5)", () => {
  const reporter = new AddressReporter();
  const writer = new Writer(new Uint8Array(64));
  strictEqual(reporter.writeFrame(pathTo(1), writer, 0), undefined);
  reporter.onPath(pathTo(1));
  reporter.onPath(pathTo(1));
  reporter.onPath(pathTo(2));
  strictEqual(reporter.isDue(pathTo(1), 0), true);
  strictEqual(reporter.isDue({ base: OTHER, remote: pathTo(1).remote }, 0), false);
  deepStrictEqual(reporter.writeFrame(pathTo(1), writer, 0), {
    type: "OBSERVED_ADDRESS",
    sequenceNumber: 0,
    ...pathTo(1),
  });
  strictEqual(toHex(writer.written()), "809f81a600cb0071070001");
  strictEqual(reporter.isDue(pathTo(1), 0), false);
  strictEqual(reporter.writeFrame(pathTo(2), writer, 0)?.sequenceNumber, 1);
  reporter.onReturn(pathTo(1));
  strictEqual(reporter.writeFrame(pathTo(1), writer, 0)?.sequenceNumber, 2);
});

Deno.test("AddressReporter repeats a lost report on its own path, unless a newer one was told (address-discovery-00 §5)", () => {
  const reporter = new AddressReporter();
  const writer = new Writer(new Uint8Array(64));
  reporter.onPath(pathTo(1));
  reporter.onPath(pathTo(2));
  const first = reporter.writeFrame(pathTo(1), writer, 0)!;
  reporter.onLost(first);
  strictEqual(reporter.isDue(pathTo(1), 0), true);
  const second = reporter.writeFrame(pathTo(1), writer, 0)!;
  strictEqual(second.sequenceNumber, 1);
  reporter.onLost(first);
  strictEqual(reporter.isDue(pathTo(1), 0), false);
  reporter.onLost({ ...second, remote: addressOf("203.0.113.7", 99) });
  strictEqual(reporter.isDue(pathTo(1), 0), false);
});

Deno.test("AddressReporter leaves a frame that does not fit for the next packet", () => {
  const reporter = new AddressReporter();
  reporter.onPath(pathTo(1));
  strictEqual(reporter.writeFrame(pathTo(1), new Writer(new Uint8Array(10)), 0), undefined);
  strictEqual(reporter.writeFrame(pathTo(1), new Writer(new Uint8Array(11)), 0)?.sequenceNumber, 0);
});

Deno.test("AddressReporter is not made to flood: eight reports at once, then one a second (address-discovery-00 §7)", () => {
  const reporter = new AddressReporter();
  const writer = new Writer(new Uint8Array(1000));
  let told = 0;
  for (let port = 1; port <= 12; port++) {
    reporter.onPath(pathTo(port));
    if (reporter.writeFrame(pathTo(port), writer, 0) !== undefined) told++;
  }
  strictEqual(told, MAX_REPORT_BURST);
  strictEqual(reporter.dueAt(pathTo(1), 0), undefined);
  strictEqual(reporter.dueAt(pathTo(9), 0), REPORT_INTERVAL_MS);
  strictEqual(reporter.isDue(pathTo(9), REPORT_INTERVAL_MS - 1), false);
  strictEqual(reporter.writeFrame(pathTo(9), writer, REPORT_INTERVAL_MS)?.sequenceNumber, 8);
  strictEqual(reporter.writeFrame(pathTo(10), writer, REPORT_INTERVAL_MS), undefined);
  for (let port = 100; port < 100 + 2 * MAX_REPORTED_PATHS; port++) reporter.onPath(pathTo(port));
  strictEqual(reporter.isDue(pathTo(12), 1e6), false);
});

Deno.test("AddressObserver ignores what is not newer than all before on that path (address-discovery-00 §5)", () => {
  const observer = new AddressObserver();
  const report = (sequenceNumber: number, port: number) =>
    ({ type: "OBSERVED_ADDRESS", sequenceNumber, address: addressOf("198.51.100.1", port) }) as const;
  deepStrictEqual(observer.onFrame(report(5, 1), pathTo(1)), { ...pathTo(1), address: addressOf("198.51.100.1", 1) });
  strictEqual(observer.onFrame(report(5, 2), pathTo(1)), undefined);
  strictEqual(observer.onFrame(report(4, 2), pathTo(1)), undefined);
  // Another path counts for itself, and the same address again is no news.
  strictEqual(observer.onFrame(report(4, 2), pathTo(2))?.address.port, 2);
  strictEqual(observer.onFrame(report(6, 1), pathTo(1)), undefined);
  strictEqual(observer.onFrame(report(7, 3), pathTo(1))?.address.port, 3);
  for (let port = 10; port < 10 + 3 * MAX_REPORTED_PATHS; port++) observer.onFrame(report(0, 1), pathTo(port));
  strictEqual(observer.onFrame(report(1, 9), pathTo(1))?.address.port, 9);
});
