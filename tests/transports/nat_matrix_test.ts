import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connects, nameOf, NAT_KINDS } from "../support/nat_theory.ts";
import type { NatKind } from "../support/nat_theory.ts";
import { World } from "../support/virtual_world.ts";

/**
 * Time to the handshake in the cell of the seed, where every pair is known in advance (see docs/performance.md):
 * the peer's candidates are there at 155; the first check leaves one Ta later, after the one to the host address.
 */
function expectedHandshakeMs(caller: NatKind, listener: NatKind): number | undefined {
  // The Initial leaves with the first checks, and the listener knows its source address from the offer.
  if (caller.mapping === "EIM" && listener.mapping === "EIM") return 310;
  // The source address is another than the offer says, and the first Initial comes a Ta before the check that shows it:
  // the second, 20 ms after the first, is answered.
  if (listener.mapping === "EIM") return 330;
  // The listener's own check shows where to send: an Initial leaves when it has come in.
  if (caller.mapping === "EIM") return 392.5;
  return undefined;
}

/** A line for each kind of the caller, a column for each of the listener. */
function table(cell: (caller: NatKind, listener: NatKind) => string): string[] {
  const head = ["caller \\ listener", ...NAT_KINDS.map(nameOf)];
  const rows = NAT_KINDS.map((caller) => [nameOf(caller), ...NAT_KINDS.map((listener) => cell(caller, listener))]);
  return [head, ...rows].map((row) => row.map((text, i) => text.padEnd(i === 0 ? 18 : 10)).join("").trimEnd());
}

Deno.test("the theory of NATs is that of the table: an endpoint-dependent mapping needs a filter that lets any port in", () => {
  const isOpen = ({ mapping }: NatKind): boolean => mapping === "EIM";
  for (const one of NAT_KINDS.filter(isOpen)) {
    for (const other of NAT_KINDS) {
      strictEqual(connects(one, other), isOpen(other) || one.filtering !== "APDF", `${nameOf(one)} ${nameOf(other)}`);
      strictEqual(connects(other, one), connects(one, other));
    }
  }
  // Both ports unknown: nobody gets through, unless a mapping made for somebody else may be used by all.
  for (const one of NAT_KINDS) {
    for (const other of NAT_KINDS) {
      if (isOpen(one) || isOpen(other) || one.filtering === "EIF" || other.filtering === "EIF") continue;
      strictEqual(connects(one, other), false, `${nameOf(one)} ${nameOf(other)}`);
    }
  }
});

Deno.test("ice-then-quic connects exactly the pairs of NATs that can be connected, and says of the others why not", () => {
  const expected: string[] = table((caller, listener) => {
    if (!connects(caller, listener)) return "-";
    return String(expectedHandshakeMs(caller, listener) ?? "yes");
  });
  const actual: string[] = table((caller, listener) => {
    const world = new World({ seed: 1, caller, listener });
    const { caller: peer } = world.call();
    const session = peer.sessions[0];
    if (session === undefined) {
      const failed = peer.first("failed");
      ok(failed !== undefined, `${nameOf(caller)} to ${nameOf(listener)}: neither a session nor a failure in 10 s`);
      strictEqual(failed.event.reason, "unreachablePeer");
      match(
        failed.event.message,
        /^No direct path: .*; one side is (probably )?behind a NAT that gives every peer another/,
      );
      return "-";
    }
    if (world.echo.returned !== "hello") return "no echo";
    return expectedHandshakeMs(caller, listener) === undefined ? "yes" : String(session.times.handshake);
  });
  deepStrictEqual(actual, expected, `is\n${actual.join("\n")}\nshould be\n${expected.join("\n")}`);
});
