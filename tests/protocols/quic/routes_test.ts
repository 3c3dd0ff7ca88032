import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Routes } from "../../../protocols/quic/routes.ts";
import { seededRandom } from "../../support/seeded_random.ts";

Deno.test("Routes finds the owner of an ID anywhere in a datagram, until it is retired (RFC 9000 §5.1)", () => {
  const routes = new Routes<string>(seededRandom(1), new Uint8Array(32));
  const ids = Array.from({ length: 1000 }, (_, i) => routes.issue(`owner ${i}`));
  const datagram = new Uint8Array(40);
  ids.forEach((id, i) => {
    datagram.set(id, i % 30);
    strictEqual(routes.find(datagram, i % 30), `owner ${i}`);
  });
  const [first] = ids;
  // The whole ID is compared, not only what the table is ordered by.
  strictEqual(routes.find(first!.map((byte, i) => i === 7 ? byte ^ 1 : byte), 0), undefined);
  strictEqual(routes.find(first!.subarray(0, 7), 0), undefined);
  routes.retire(first!.map((byte, i) => i === 7 ? byte ^ 1 : byte));
  strictEqual(routes.find(first!, 0), "owner 0");
  for (const id of ids) routes.retire(id);
  strictEqual(routes.count, 0);
});

Deno.test("Routes makes the same reset token for the same ID and key only (RFC 9000 §10.3.2)", () => {
  const key = new Uint8Array(32).fill(1);
  const routes = new Routes<string>(seededRandom(1), key);
  const connectionId = routes.issue("owner");
  const statelessResetToken = routes.tokenOf(connectionId);
  strictEqual(statelessResetToken.length, 16);
  deepStrictEqual(new Routes<string>(seededRandom(2), key).tokenOf(connectionId), statelessResetToken);
  ok(
    new Routes<string>(seededRandom(2), new Uint8Array(32)).tokenOf(connectionId).join() !== statelessResetToken.join(),
  );
});

Deno.test("Routes gives up on randomness that repeats itself", () => {
  const routes = new Routes<string>({ fill: (bytes) => bytes.fill(5) }, new Uint8Array(32));
  routes.issue("one");
  throws(() => routes.issue("two"), /repeats itself/);
});
