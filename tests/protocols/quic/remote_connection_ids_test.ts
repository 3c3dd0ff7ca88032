import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { ACTIVE_CONNECTION_ID_LIMIT, RemoteConnectionIds } from "../../../protocols/quic/remote_connection_ids.ts";

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

const fresh = (sequenceNumber: number, retirePriorTo = 0) => ({
  sequenceNumber,
  retirePriorTo,
  connectionId: id(sequenceNumber),
  statelessResetToken: token(sequenceNumber),
});

Deno.test("RemoteConnectionIds goes on to a fresh one and retires the old (RFC 9000 §5.1.2, §9.5)", () => {
  const ids = new RemoteConnectionIds(id(0));
  strictEqual(ids.renew(0), false);
  ids.onNew(fresh(1));
  ids.onNew(fresh(1)); // Repeated: nothing.
  strictEqual(ids.renew(0), true);
  deepStrictEqual(ids.current, id(1));
  strictEqual(ids.takePendingRetirement(), 0);
  strictEqual(ids.pendingRetirement, undefined);
  strictEqual(ids.renew(0), false);
  ids.onRetirementLost(0);
  strictEqual(ids.pendingRetirement, 0);
});

Deno.test("RemoteConnectionIds leaves those below Retire Prior To (RFC 9000 §19.15)", () => {
  const ids = new RemoteConnectionIds(id(0));
  ids.onNew(fresh(1));
  ids.onNew(fresh(3, 3));
  deepStrictEqual(ids.current, id(3));
  deepStrictEqual([ids.takePendingRetirement(), ids.takePendingRetirement()].sort(), [0, 1]);
  // One that comes late is retired at once.
  ids.onNew(fresh(2));
  strictEqual(ids.takePendingRetirement(), 2);
});

Deno.test("RemoteConnectionIds takes no ID again that was given back, however often it is offered (RFC 9000 §5.1.2, §19.15)", () => {
  const ids = new RemoteConnectionIds(id(0));
  for (let n = 1; n < ACTIVE_CONNECTION_ID_LIMIT; n++) ids.onNew(fresh(n));
  // Seven are used up and given back, one after the other; the peer replaces each, and sends a copy of its first offer.
  for (let n = 1; n < 100; n++) {
    strictEqual(ids.renew(0), true);
    strictEqual(ids.takePendingRetirement(), n - 1);
    ids.onNew(fresh(ACTIVE_CONNECTION_ID_LIMIT - 1 + n));
    for (let gone = 1; gone < n; gone++) ids.onNew(fresh(gone));
    strictEqual(ids.pendingRetirement, undefined);
    deepStrictEqual(ids.current, id(n));
  }
});

Deno.test("RemoteConnectionIds refuses contradictions, too many, and any from a peer with empty ones (RFC 9000 §5.1.1, §19.15)", () => {
  const ids = new RemoteConnectionIds(id(0));
  ids.onNew(fresh(1));
  strictEqual(codeOf(() => ids.onNew({ ...fresh(1), connectionId: id(9) })), 0x0a);
  strictEqual(codeOf(() => ids.onNew({ ...fresh(1), statelessResetToken: token(9) })), 0x0a);
  strictEqual(codeOf(() => ids.onNew({ ...fresh(2), connectionId: id(1) })), 0x0a);
  for (let n = 2; n < ACTIVE_CONNECTION_ID_LIMIT; n++) ids.onNew(fresh(n));
  strictEqual(codeOf(() => ids.onNew(fresh(ACTIVE_CONNECTION_ID_LIMIT))), 0x09);
  strictEqual(codeOf(() => new RemoteConnectionIds(new Uint8Array(0)).onNew(fresh(1))), 0x0a);
});

Deno.test("RemoteConnectionIds bounds the retirements that a peer can cause (RFC 9000 §5.1.2)", () => {
  const ids = new RemoteConnectionIds(id(0));
  let code: number | undefined;
  for (let n = 1; n < 100 && code === undefined; n++) code = codeOf(() => ids.onNew(fresh(n, n)));
  strictEqual(code, 0x09);
});

Deno.test("RemoteConnectionIds knows the reset tokens of IDs in use only (RFC 9000 §10.3.1)", () => {
  const ids = new RemoteConnectionIds(id(0));
  strictEqual(ids.isStatelessReset(token(0)), false);
  ids.setInitialToken(token(7));
  strictEqual(ids.isStatelessReset(token(7)), true);
  ids.onNew(fresh(1));
  strictEqual(ids.isStatelessReset(token(1)), false);
  ids.renew(0);
  strictEqual(ids.isStatelessReset(token(7)), false);
  strictEqual(ids.isStatelessReset(token(1)), true);
});

Deno.test("RemoteConnectionIds gives each path one of its own, until there are no more (RFC 9000 §9.5)", () => {
  const ids = new RemoteConnectionIds(id(0));
  strictEqual(ids.hasSpare, false);
  strictEqual(ids.claim(1), false);
  ids.onNew(fresh(1));
  strictEqual(ids.hasSpare, true);
  strictEqual(ids.claim(1), true);
  strictEqual(ids.claim(1), true);
  deepStrictEqual([ids.of(0), ids.of(1), ids.of(2)], [id(0), id(1), undefined]);
  strictEqual(ids.claim(2), false);
  deepStrictEqual(ids.current, id(0));
  ids.use(1);
  deepStrictEqual(ids.current, id(1));
  ids.release(1); // In use: nothing.
  ids.release(0);
  strictEqual(ids.takePendingRetirement(), 0);
  strictEqual(ids.pendingRetirement, undefined);
});

Deno.test("RemoteConnectionIds retires an ID that two paths use when both are given up (RFC 9000 §9.5)", () => {
  const ids = new RemoteConnectionIds(id(0));
  ids.onNew(fresh(1));
  ids.share(1, 0);
  strictEqual(ids.isShared(1, 0), true);
  ids.use(1);
  ids.release(0);
  strictEqual(ids.pendingRetirement, undefined);
  strictEqual(ids.renew(1), true);
  deepStrictEqual(ids.current, id(1));
  strictEqual(ids.takePendingRetirement(), 0);
  ids.share(5, 4); // Nobody has that.
  strictEqual(ids.of(5), undefined);
});

Deno.test("RemoteConnectionIds replaces what the peer takes back on every path, the one in use first (RFC 9000 §19.15)", () => {
  const ids = new RemoteConnectionIds(id(0));
  for (const n of [1, 2]) {
    ids.onNew(fresh(n));
    ids.claim(n);
  }
  ids.use(2);
  ids.onNew(fresh(3, 3));
  deepStrictEqual(ids.current, id(3));
  deepStrictEqual([ids.of(0), ids.of(1)], [undefined, undefined]);
  deepStrictEqual([1, 2, 3].map(() => ids.takePendingRetirement()).sort(), [0, 1, 2]);
  ids.onNew(fresh(4));
  strictEqual(ids.claim(1), true);
  // The frame is repeated with another Retire Prior To, and all there is belongs to a path that is not in use.
  ids.onNew(fresh(4, 4));
  deepStrictEqual(ids.current, id(4));
  strictEqual(ids.of(1), undefined);
});

Deno.test("RemoteConnectionIds of a peer with empty ones serves every path with the same (RFC 9000 §5.1)", () => {
  const ids = new RemoteConnectionIds(new Uint8Array(0));
  strictEqual(ids.isEmpty, true);
  strictEqual(ids.claim(1), true);
  strictEqual(ids.renew(1), false);
  ids.use(1);
  ids.release(0);
  strictEqual(ids.pendingRetirement, undefined);
});
