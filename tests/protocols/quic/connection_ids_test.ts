import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { LocalConnectionIds } from "../../../protocols/quic/connection_ids.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";

const id = (byte: number): Uint8Array => new Uint8Array(8).fill(byte);
const token = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);

function codeOf(action: () => unknown): number | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof TransportError) return error.code;
    throw error;
  }
  return undefined;
}

function local(): { ids: LocalConnectionIds; retired: number[] } {
  let next = 1;
  const retired: number[] = [];
  const registry = {
    issue: (): Uint8Array => id(next++),
    tokenOf: (connectionId: Uint8Array): Uint8Array => token(connectionId[0]!),
    retire: (connectionId: Uint8Array): void => void retired.push(connectionId[0]!),
  };
  return { ids: new LocalConnectionIds(registry, id(0)), retired };
}

Deno.test("LocalConnectionIds issues as many as the peer keeps, four at most (RFC 9000 §5.1.1)", () => {
  const { ids } = local();
  strictEqual(ids.pending, undefined);
  ids.setLimit(2);
  deepStrictEqual(ids.takePending(), { sequenceNumber: 1, connectionId: id(1), statelessResetToken: token(1) });
  strictEqual(ids.pending, undefined);
  ids.setLimit(100);
  strictEqual(ids.active.length, 4);
});

Deno.test("LocalConnectionIds replaces what is retired (RFC 9000 §5.1.2)", () => {
  const { ids, retired } = local();
  ids.setLimit(2);
  ids.takePending();
  ids.onRetire(0, id(1));
  deepStrictEqual(retired, [0]);
  strictEqual(ids.pending?.sequenceNumber, 2);
  ids.onRetire(0, id(1)); // Repeated: nothing.
  deepStrictEqual(ids.active.map(({ sequenceNumber }) => sequenceNumber), [1, 2]);
  strictEqual(ids.sequenceNumberOf(id(2)), 2);
  strictEqual(ids.sequenceNumberOf(id(0)), -1);
});

Deno.test("LocalConnectionIds refuses to retire what was not issued, or the packet's own (RFC 9000 §19.16)", () => {
  const { ids } = local();
  ids.setLimit(2);
  strictEqual(codeOf(() => ids.onRetire(2, id(0))), 0x0a);
  strictEqual(codeOf(() => ids.onRetire(0, id(0))), 0x0a);
});

Deno.test("LocalConnectionIds says a lost one again while it is valid (RFC 9000 §13.3)", () => {
  const { ids } = local();
  ids.setLimit(3);
  ids.takePending();
  ids.takePending();
  ids.onLost(1);
  ids.onLost(1);
  strictEqual(ids.takePending()?.sequenceNumber, 1);
  strictEqual(ids.pending, undefined);
  ids.onRetire(2, id(1));
  ids.takePending();
  ids.onLost(2);
  strictEqual(ids.pending, undefined);
});

Deno.test("LocalConnectionIds gives all back in the end", () => {
  const { ids, retired } = local();
  ids.setLimit(4);
  ids.close();
  deepStrictEqual(retired, [0, 1, 2, 3]);
  deepStrictEqual(ids.active, []);
});
