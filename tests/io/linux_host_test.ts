import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { LinuxHost } from "../../io/linux_host.ts";
import { linuxLibrary, LinuxSocket } from "../../io/linux_sockets.ts";
import type { LinuxLibrary } from "../../io/linux_sockets.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { type HostFixture, RecordingSink, testHostContract } from "../contract/host.ts";

const LOOPBACK = addressOf("127.0.0.1", 0);
const MAX_TURNS = 20_000;

async function settle(isDone: () => boolean): Promise<void> {
  for (let turns = 0; turns < MAX_TURNS && !isDone(); turns++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function fixture(host: string): () => HostFixture {
  return () => {
    const a = new LinuxHost();
    const b = new LinuxHost();
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

const library = linuxLibrary();

if ("reason" in library) {
  Deno.test({ name: `LinuxHost (skipped: ${library.reason})`, ignore: true, fn: () => {} });
} else {
  testHostContract({ name: "linux_host on IPv4", open: fixture("127.0.0.1") });
  testHostContract({ name: "linux_host on IPv6", open: fixture("::1") });
  testSockets(library);
}

function testSockets(library: LinuxLibrary): void {
  Deno.test("LinuxSocket sends a run in one call and takes it in as one (udp(7), UDP_SEGMENT and UDP_GRO)", () => {
    const [a, b] = [new LinuxSocket(library, LOOPBACK), new LinuxSocket(library, LOOPBACK)];
    try {
      const run = Uint8Array.from({ length: 3 * 1200 + 7 }, (_, i) => i % 251);
      strictEqual(a.send(b.local, run, 1200), undefined);
      let bytes: number[] = [];
      let calls = 0;
      for (let received = b.receive(); received !== undefined; received = b.receive()) {
        ok(typeof received !== "string");
        strictEqual(received.remote, a.local);
        strictEqual(received.segmentBytes, Math.min(1200, received.payload.length));
        bytes = [...bytes, ...received.payload];
        calls++;
      }
      deepStrictEqual(bytes, [...run]);
      // Without receive offload it would be four.
      strictEqual(calls, 1);
      // What is longer than the segments before, and no run, stays whole.
      strictEqual(a.send(b.local, run, run.length), undefined);
      const whole = b.receive();
      ok(whole !== undefined && typeof whole !== "string");
      deepStrictEqual([whole.payload.length, whole.segmentBytes], [run.length, run.length]);
    } finally {
      a.close();
      b.close();
    }
  });

  Deno.test("LinuxHost hands over each datagram of a run that the kernel has put together", async () => {
    using host = new LinuxHost();
    const sink = new RecordingSink(() => host.now());
    host.attach(sink);
    const [from, to] = [host.bind(LOOPBACK), host.bind(LOOPBACK)];
    // A run of one length may be for different machines: STUN and QUIC are told apart by each first byte.
    host.send({ base: from, remote: to.local, payload: Uint8Array.of(0, 1, 64, 2, 0, 3), segmentBytes: 2 });
    await settle(() => sink.received.length === 3);
    deepStrictEqual(sink.received.map(({ bytes }) => bytes), [[0, 1], [64, 2], [0, 3]]);
  });

  Deno.test("LinuxHost is woken from a long wait by a datagram, a new socket and a closed one", async () => {
    using host = new LinuxHost();
    const sink = new RecordingSink(() => host.now());
    host.attach(sink);
    const [from, to] = [host.bind(LOOPBACK), host.bind(LOOPBACK)];
    for (let round = 1; round <= 3; round++) {
      // Long enough for the sockets to be left to the waiting thread.
      await settle(((turns) => () => ++turns > 50)(0));
      const other = host.bind(LOOPBACK);
      host.send({ base: from, remote: to.local, payload: Uint8Array.of(round) });
      host.send({ base: from, remote: other.local, payload: Uint8Array.of(round) });
      await settle(() => sink.received.length === 2 * round);
      strictEqual(sink.received.length, 2 * round);
      host.close(other);
    }
  });
}
