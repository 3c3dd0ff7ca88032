import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Address } from "../../../protocols/core/address.ts";
import { randomUnit } from "../../../protocols/core/random.ts";
import type { CompressionCapsule } from "../../../protocols/masque/compression_capsule.ts";
import { ContextTable, MAX_PENDING_CAPSULES } from "../../../protocols/masque/contexts.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const A = addressOf("192.0.2.1", 1);
const B = addressOf("192.0.2.2", 2);

function capsulesOf(table: ContextTable): CompressionCapsule[] {
  const capsules: CompressionCapsule[] = [];
  for (let next = table.takeCapsule(); next !== undefined; next = table.takeCapsule()) capsules.push(next);
  return capsules;
}

Deno.test("ContextTable gives clients even IDs and proxies odd ones, never twice (RFC 9298 §4)", () => {
  const client = new ContextTable("client");
  const ids = [undefined, A, B].map((target) => client.assign(target)?.id);
  deepStrictEqual(ids, [2, 4, 6]);
  client.close(4);
  strictEqual(client.assign(A)?.id, 8);
  const proxy = new ContextTable("proxy");
  proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 2, target: undefined }, () => true);
  deepStrictEqual([A, B].map((target) => proxy.assign(target)?.id), [1, 3]);
});

Deno.test("ContextTable has one context a tuple, and one that is uncompressed", () => {
  const client = new ContextTable("client");
  strictEqual(client.assign(undefined)?.id, 2);
  strictEqual(client.assign(undefined), undefined);
  strictEqual(client.assign(A)?.id, 4);
  strictEqual(client.assign(A), undefined);
  deepStrictEqual([client.find(4)?.target, client.to(A)?.id, client.uncompressed?.id, client.size], [A, 4, 2, 2]);
});

Deno.test("ContextTable of a proxy introduces nobody once the uncompressed context is closed", () => {
  const proxy = new ContextTable("proxy");
  throws(() => proxy.assign(undefined), TypeError);
  strictEqual(proxy.assign(A), undefined);
  proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 2, target: undefined }, () => true);
  strictEqual(proxy.assign(A)?.id, 1);
  proxy.handle({ type: "COMPRESSION_CLOSE", contextId: 2 }, () => true);
  strictEqual(proxy.assign(B), undefined);
  // What is open stays so.
  strictEqual(proxy.to(A)?.id, 1);
});

Deno.test("ContextTable refuses what is too much, and what its owner does not take", () => {
  const proxy = new ContextTable("proxy", 2);
  proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 2, target: A }, () => true);
  proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 4, target: B }, () => false);
  proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 6, target: undefined }, () => false);
  proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 8, target: B }, () => true);
  deepStrictEqual(capsulesOf(proxy).map(({ type, contextId }) => [type, contextId]), [
    ["COMPRESSION_ACK", 2],
    ["COMPRESSION_CLOSE", 4],
    ["COMPRESSION_ACK", 6],
    ["COMPRESSION_CLOSE", 8],
  ]);
  throws(() => proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 4, target: B }, () => true), /used before/);
});

Deno.test("ContextTable owes a peer only so many capsules", () => {
  const proxy = new ContextTable("proxy", 0);
  const assign = (index: number): void =>
    proxy.handle({ type: "COMPRESSION_ASSIGN", contextId: 2 * index, target: A }, () => true);
  for (let index = 1; index <= MAX_PENDING_CAPSULES; index++) assign(index);
  throws(() => assign(MAX_PENDING_CAPSULES + 1), { code: "H3_EXCESSIVE_LOAD" });
});

/** What the draft says of one side, in as few words as can be. */
class Model {
  readonly open = new Map<number, Address | undefined>();
}

Deno.test("ContextTables of both sides agree after random operations and crossing capsules", () => {
  for (let seed = 1; seed <= 40; seed++) run(seed);
});

function run(seed: number): void {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(randomUnit(random) * count);
  const targets = Array.from({ length: 6 }, (_, i) => addressOf("198.51.100.1", 1000 + i));
  const sides = { client: new ContextTable("client", 5), proxy: new ContextTable("proxy", 5) };
  const model = { client: new Model(), proxy: new Model() };
  // In order, as a stream delivers them, and late.
  const flying = { client: [] as CompressionCapsule[], proxy: [] as CompressionCapsule[] };
  const other = { client: "proxy", proxy: "client" } as const;
  const take = (side: "client" | "proxy"): void => void flying[other[side]].push(...capsulesOf(sides[side]));
  const deliver = (side: "client" | "proxy"): void => {
    const capsule = flying[side].shift();
    if (capsule === undefined) return;
    sides[side].handle(capsule, (target) => target !== targets[5]);
    take(side);
    if (capsule.type === "COMPRESSION_CLOSE") model[side].open.delete(capsule.contextId);
  };
  try {
    for (let step = 0; step < 400; step++) {
      const side = pick(2) === 0 ? "client" : "proxy";
      const table = sides[side];
      switch (pick(4)) {
        case 0: {
          const target = side === "client" && pick(6) === 0 ? undefined : targets[pick(6)]!;
          const before = table.size;
          const context = table.assign(target);
          strictEqual(table.size, before + (context === undefined ? 0 : 1));
          if (context !== undefined) model[side].open.set(context.id, target);
          break;
        }
        case 1: {
          const ids = [...table.values()].map(({ id }) => id);
          if (ids.length > 0 && pick(3) === 0) table.close(ids[pick(ids.length)]!);
          break;
        }
        default:
          deliver(side);
      }
      take(side);
      ok(table.size <= 5);
      const tuples = [...table.values()].map(({ target }) => target);
      strictEqual(new Set(tuples).size, tuples.length);
    }
    for (let round = 0; round < 1000 && flying.client.length + flying.proxy.length > 0; round++) {
      deliver("client");
      deliver("proxy");
    }
    deepStrictEqual([flying.client.length, flying.proxy.length], [0, 0]);
    const view = (table: ContextTable): unknown =>
      [...table.values()].map(({ id, target, isAcknowledged }) => [id, String(target), isAcknowledged]).sort();
    deepStrictEqual(view(sides.client), view(sides.proxy));
    // Every context that is open is one that one side asked for, and nobody has closed it.
    for (const { id, target } of sides.client.values()) {
      const asked = model.client.open.has(id) ? model.client.open : model.proxy.open;
      ok(asked.has(id) && asked.get(id) === target);
      ok(target !== targets[5] || id % 2 === 1);
    }
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
}
