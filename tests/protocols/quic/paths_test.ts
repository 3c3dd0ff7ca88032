import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import { MAX_PATHS, MAX_PREVIOUS_PATHS, Paths } from "../../../protocols/quic/paths.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.0.2.1", 1), maxPayloadBytes: 1472 };
const TUNNEL: Base = { kind: "tunnel", local: addressOf("192.0.2.1", 2), maxPayloadBytes: 1200 };
const REMOTE = addressOf("198.51.100.1", 4433);
const PEERS = { isOurs: false } as const;

Deno.test("Paths differ by base as by remote address (design: a path is base and remote)", () => {
  const paths = new Paths(BASE, REMOTE, true);
  strictEqual(paths.find(BASE, REMOTE), paths.active);
  strictEqual(paths.find(TUNNEL, REMOTE), undefined);
  const relayed = paths.add(TUNNEL, REMOTE, PEERS);
  strictEqual(paths.find(TUNNEL, REMOTE), relayed);
});

Deno.test("Paths go back to the last proven one when the new one fails (RFC 9000 §9.3.2)", () => {
  const paths = new Paths(BASE, REMOTE, true);
  const first = paths.active;
  const second = paths.add(BASE, addressOf("198.51.100.2", 1), PEERS);
  const third = paths.add(BASE, addressOf("198.51.100.3", 1), PEERS);
  paths.use(second);
  paths.use(third);
  // What was never proven is no place to go back to.
  strictEqual(paths.fallback, first);
  strictEqual(paths.goBack(), true);
  strictEqual(paths.active, first);
  strictEqual(paths.goBack(), false);
  paths.use(second);
  deepStrictEqual(paths.forgetPrevious(), [first]);
  strictEqual(paths.goBack(), false);
});

Deno.test("Paths whose fallback comes into use again have none, unless what is left was proven (RFC 9000 §9.3.2)", () => {
  const paths = new Paths(BASE, REMOTE, true);
  const first = paths.active;
  const second = paths.add(BASE, addressOf("198.51.100.2", 1), PEERS);
  paths.use(second);
  paths.use(first);
  strictEqual(paths.fallback, undefined);
  second.markValidated();
  paths.use(second);
  paths.use(first);
  strictEqual(paths.fallback, second);
  strictEqual(paths.remove(first), false);
  strictEqual(paths.remove(second), true);
  strictEqual(paths.fallback, undefined);
});

Deno.test("Paths keeps the first proven path and the latest ones to go back to", () => {
  const paths = new Paths(BASE, REMOTE, true);
  const first = paths.active;
  const others = [1, 2, 3, 4].map((port) => paths.add(BASE, addressOf("198.51.100.2", port), PEERS));
  const left = others.map((path) => {
    path.markValidated();
    return paths.use(path);
  });
  deepStrictEqual(left.map((path) => path?.remote.port), [undefined, undefined, undefined, 1]);
  deepStrictEqual(paths.previous.map(({ remote }) => remote.port), [first.remote.port, 2, 3]);
  strictEqual(paths.use(others[3]!), undefined);
});

Deno.test("Paths remembers eight, and forgets none that matters", () => {
  const paths = new Paths(BASE, REMOTE, true);
  const first = paths.active;
  paths.use(paths.add(BASE, addressOf("198.51.100.2", 1), PEERS));
  const active = paths.active;
  const asked = paths.add(BASE, addressOf("198.51.100.2", 2), PEERS);
  asked.startValidation({ intervalMs: 1, timeoutMs: 1 }, 0);
  const forgotten: number[] = [];
  for (let port = 3; port < 100; port++) {
    const { superfluous } = paths;
    if (superfluous !== undefined) {
      forgotten.push(superfluous.remote.port);
      paths.remove(superfluous);
    }
    paths.add(BASE, addressOf("198.51.100.2", port), PEERS);
  }
  strictEqual(paths.all.length, MAX_PATHS);
  strictEqual([first, active, asked].every((path) => paths.all.includes(path)), true);
  strictEqual(forgotten[0], 3);
  strictEqual(new Set(paths.all.map(({ id }) => id)).size, MAX_PATHS);
});

Deno.test("Paths that were never in use are gone back to last, and in place of the oldest where there are too many", () => {
  const paths = new Paths(BASE, REMOTE, true);
  const first = paths.active;
  const wayBack = paths.add(TUNNEL, REMOTE, PEERS);
  paths.addPrevious(wayBack);
  paths.addPrevious(wayBack);
  paths.addPrevious(first);
  deepStrictEqual(paths.previous, [wayBack]);
  for (let port = 1; port <= MAX_PREVIOUS_PATHS + 1; port++) {
    const path = paths.add(BASE, addressOf("198.51.100.2", port), PEERS);
    path.markValidated();
    paths.use(path);
  }
  // The way back stays, whatever comes and goes.
  strictEqual(paths.previous.length, MAX_PREVIOUS_PATHS);
  strictEqual(paths.previous[0], wayBack);
  strictEqual(paths.goBack() && paths.goBack() && paths.goBack(), true);
  strictEqual(paths.active, wayBack);
});
