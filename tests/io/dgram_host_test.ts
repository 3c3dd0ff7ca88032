import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { DgramHost } from "../../io/dgram_host.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { type HostFixture, RecordingSink, testHostContract } from "../contract/host.ts";

const MAX_TURNS = 20_000;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function settle(isDone: () => boolean): Promise<void> {
  for (let turns = 0; turns < MAX_TURNS && !isDone(); turns++) await turn();
}

function fixture(host: string): () => HostFixture {
  return () => {
    const a = new DgramHost();
    const b = new DgramHost();
    return {
      a,
      b,
      addressOfA: addressOf(host, 0),
      addressOfB: addressOf(host, 0),
      settle,
      close(): void {
        a[Symbol.dispose]();
        b[Symbol.dispose]();
      },
    };
  };
}

testHostContract({ name: "dgram_host on IPv4", open: fixture("127.0.0.1") });
testHostContract({ name: "dgram_host on IPv6", open: fixture("::1") });

Deno.test("DgramHost speaks to both families from a wildcard IPv6 socket, and to each from one of its own", async () => {
  using host = new DgramHost();
  const sink = new RecordingSink(() => host.now());
  host.attach(sink);
  const [wide, four, six] = ["::", "127.0.0.1", "::1"].map((local) => host.bind(addressOf(local, 0)));
  for (const base of [four!, six!]) {
    host.send({ base: wide!, remote: base.local, payload: Uint8Array.of(1) });
    await settle(() => sink.received.length === 1);
    const from = addressOf(base.local.host, wide!.local.port);
    deepStrictEqual(sink.received.splice(0), [{ base, remote: from, bytes: [1] }]);
    host.send({ base, remote: from, payload: Uint8Array.of(2) });
    await settle(() => sink.received.length === 1);
    deepStrictEqual(sink.received.splice(0), [{ base: wide, remote: base.local, bytes: [2] }]);
  }
  deepStrictEqual(sink.errors, []);
});

Deno.test("DgramHost hands over plain bytes: a copy of them is a copy", async () => {
  using host = new DgramHost();
  const copies: Uint8Array[] = [];
  host.attach({
    handleDatagram({ payload }): void {
      copies.push(payload.slice());
      payload.fill(0);
    },
    drain(): void {},
    handleAlarm(): void {},
    handleRoom(): void {},
    handleSocketError(): void {},
  });
  const base = host.bind(addressOf("127.0.0.1", 0));
  host.send({ base, remote: base.local, payload: Uint8Array.of(1, 2, 3) });
  await settle(() => copies.length === 1);
  deepStrictEqual(copies, [Uint8Array.of(1, 2, 3)]);
});

Deno.test("DgramHost has as many sockets as it is told", () => {
  using host = new DgramHost({ maxSockets: 2 });
  const bases = [0, 1].map(() => host.bind(addressOf("127.0.0.1", 0)));
  throws(() => host.bind(addressOf("127.0.0.1", 0)), RangeError);
  host.close(bases[0]!);
  strictEqual(host.bind(addressOf("127.0.0.1", 0)).kind, "socket");
});

Deno.test("DgramHost counts what is sent without room, and loses nothing of what was sent before its base closed", async () => {
  using host = new DgramHost();
  const sink = new RecordingSink(() => host.now());
  host.attach(sink);
  const [from, to] = [0, 1].map(() => host.bind(addressOf("127.0.0.1", 0)));
  const other = host.bind(addressOf("127.0.0.1", 0));
  for (let i = 0; i < 130; i++) host.send({ base: from!, remote: to!.local, payload: Uint8Array.of(i) });
  host.close(from!);
  host.send({ base: other, remote: to!.local, payload: Uint8Array.of(200) });
  await settle(() => sink.received.length === 128 && sink.errors.length === 3);
  // What is sent in the turn of the first `bind` may leave in another order.
  const numbers = sink.received.map(({ bytes }) => bytes[0]!).toSorted((x, y) => x - y);
  deepStrictEqual(numbers, Array.from({ length: 128 }, (_, i) => i));
  deepStrictEqual(
    sink.errors.map(({ base, code }) => [base, code]),
    [
      [from, "ENOBUFS"],
      [from, "ENOBUFS"],
      [other, "ENOBUFS"],
    ].slice(0, sink.errors.length),
  );
});
