import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import {
  DenoHost,
  MAX_IMMEDIATE_RECEIVE_ERRORS,
  MAX_RECEIVE_BATCH_DATAGRAMS,
  type UdpSocket,
} from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { type HostFixture, RecordingSink, testHostContract } from "../contract/host.ts";

const LOOPBACK = addressOf("127.0.0.1", 0);
const MAX_TURNS = 20_000;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function settle(isDone: () => boolean): Promise<void> {
  for (let turns = 0; turns < MAX_TURNS && !isDone(); turns++) await turn();
}

function fixture(host: string): () => HostFixture {
  return () => {
    const a = new DenoHost();
    const b = new DenoHost();
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

testHostContract({ name: "deno_host on IPv4", open: fixture("127.0.0.1") });
testHostContract({ name: "deno_host on IPv6", open: fixture("::1") });

/** A socket whose outcomes a test decides. */
class FakeSocket implements UdpSocket {
  readonly addr: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 4433 };
  readonly sent: number[] = [];
  sendOutcome: () => Promise<number> = () => Promise.resolve(1);
  receives = 0;
  receiveOutcomes: (() => Promise<[Uint8Array, Deno.Addr]>)[] = [];
  #reject: (error: Error) => void = () => {};

  receive(): Promise<[Uint8Array, Deno.Addr]> {
    this.receives++;
    const outcome = this.receiveOutcomes.shift();
    if (outcome !== undefined) return outcome();
    return new Promise((_, reject) => this.#reject = reject);
  }

  send(payload: Uint8Array): Promise<number> {
    this.sent.push(payload.length);
    return this.sendOutcome();
  }

  close(): void {
    this.#reject(new Deno.errors.BadResource("closed"));
  }
}

interface Faked {
  readonly host: DenoHost;
  readonly socket: FakeSocket;
  readonly sink: RecordingSink;
  readonly base: Base;
}

function faked(socket: FakeSocket = new FakeSocket()): Faked {
  const host = new DenoHost({ openSocket: () => socket });
  const sink = new RecordingSink(() => host.now());
  host.attach(sink);
  return { host, socket, sink, base: host.bind(LOOPBACK) };
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}

for (const code of ["EINVAL", "ENETUNREACH", "EPERM", "EMSGSIZE", "ECONNREFUSED", "ECONNRESET"]) {
  Deno.test(`DenoHost reports ${code} of a send and goes on`, async () => {
    const { host, socket, sink, base } = faked();
    const remote = addressOf("192.0.2.1", 9);
    socket.sendOutcome = () => Promise.reject(withCode(code));
    host.send({ base, remote, payload: new Uint8Array(3) });
    await settle(() => sink.drains > 0);
    deepStrictEqual(sink.errors, [{ base, remote, code }]);
    socket.sendOutcome = () => Promise.resolve(3);
    strictEqual(host.send({ base, remote, payload: new Uint8Array(3) }), true);
    await turn();
    strictEqual(sink.errors.length, 1);
    deepStrictEqual(socket.sent, [3, 3]);
    host[Symbol.dispose]();
  });

  Deno.test(`DenoHost reports ${code} of a receive and reads on`, async () => {
    const socket = new FakeSocket();
    socket.receiveOutcomes = [
      () => Promise.reject(withCode(code)),
      () => Promise.resolve([Uint8Array.of(5), { transport: "udp", hostname: "192.0.2.7", port: 7 }]),
    ];
    const { host, sink, base } = faked(socket);
    await settle(() => sink.received.length > 0 && sink.errors.length > 0);
    deepStrictEqual(sink.errors, [{ base, remote: undefined, code }]);
    deepStrictEqual(sink.received, [{ base, remote: addressOf("192.0.2.7", 7), bytes: [5] }]);
    host[Symbol.dispose]();
  });
}

Deno.test("DenoHost names an error by its class where the system's name is missing", async () => {
  const { host, socket, sink, base } = faked();
  socket.sendOutcome = () => Promise.reject(new Deno.errors.NotCapable("no"));
  host.send({ base, remote: addressOf("192.0.2.1", 9), payload: new Uint8Array(3) });
  await settle(() => sink.errors.length > 0);
  strictEqual(sink.errors[0]?.code, "NotCapable");
  host[Symbol.dispose]();
});

Deno.test("DenoHost waits when a socket keeps failing to receive", async () => {
  const socket = new FakeSocket();
  socket.receiveOutcomes = Array.from({ length: 1000 }, () => () => Promise.reject(withCode("EPERM")));
  const host = new DenoHost({ openSocket: () => socket });
  const sink = new RecordingSink(() => host.now());
  host.attach(sink);
  host.bind(LOOPBACK);
  for (let turns = 0; turns < 50; turns++) await turn();
  strictEqual(socket.receives, MAX_IMMEDIATE_RECEIVE_ERRORS);
  strictEqual(sink.errors.length, MAX_IMMEDIATE_RECEIVE_ERRORS);
  host[Symbol.dispose]();
});

Deno.test("DenoHost reports a socket that throws instead of failing", async () => {
  const { host, socket, sink, base } = faked();
  socket.sendOutcome = () => {
    throw withCode("EINVAL");
  };
  const remote = addressOf("192.0.2.1", 9);
  for (let i = 0; i < 200; i++) strictEqual(host.send({ base, remote, payload: new Uint8Array(3) }), true);
  await settle(() => sink.errors.length > 0);
  deepStrictEqual(sink.errors[199], { base, remote, code: "EINVAL" });
  host[Symbol.dispose]();
});

Deno.test("DenoHost speaks to both families from a wildcard IPv6 socket, and to each from one of its own", async () => {
  const a = new DenoHost();
  const b = new DenoHost();
  const [sinkOfA, sinkOfB] = [new RecordingSink(() => 0), new RecordingSink(() => 0)];
  a.attach(sinkOfA);
  b.attach(sinkOfB);
  const four = b.bind(LOOPBACK);
  const six = b.bind(addressOf("::1", 0));
  const wildcard = a.bind(addressOf("::", 0));
  const ownFour = a.bind(LOOPBACK);
  for (const [base, remote] of [[ownFour, four.local], [wildcard, four.local], [wildcard, six.local]] as const) {
    a.send({ base, remote, payload: Uint8Array.of(1) });
  }
  await settle(() => sinkOfB.received.length === 3);
  deepStrictEqual(sinkOfB.received.map(({ remote }) => remote.family).sort(), [4, 4, 6]);
  for (const { base, remote } of sinkOfB.received) b.send({ base, remote, payload: Uint8Array.of(2) });
  await settle(() => sinkOfA.received.length === 3);
  deepStrictEqual(sinkOfA.received.map(({ remote }) => remote).sort(), [four.local, four.local, six.local].sort());
  deepStrictEqual([sinkOfA.errors, sinkOfB.errors], [[], []]);
  a[Symbol.dispose]();
  b[Symbol.dispose]();
});

Deno.test("DenoHost answers a flood before it ends", async () => {
  const socket = new FakeSocket();
  const from = { transport: "udp", hostname: "192.0.2.7", port: 7 } as const;
  socket.receiveOutcomes = Array.from(
    { length: 2 * MAX_RECEIVE_BATCH_DATAGRAMS + 1 },
    () => () => Promise.resolve([Uint8Array.of(5), from]),
  );
  const host = new DenoHost({ openSocket: () => socket });
  const sink = new RecordingSink(() => host.now());
  const drainedAt: number[] = [];
  sink.onDrain = () => drainedAt.push(sink.received.length);
  host.attach(sink);
  host.bind(LOOPBACK);
  await settle(() => drainedAt.length === 3);
  deepStrictEqual(drainedAt, [64, 128, 129]);
  host[Symbol.dispose]();
});

Deno.test("DenoHost lends its buffers until sends settle, counts what comes without room, and tells of room", async () => {
  const { host, socket, sink, base } = faked();
  const settled: (() => void)[] = [];
  socket.sendOutcome = () => new Promise((resolve) => settled.push(() => resolve(1)));
  const datagram: Datagram = { base, remote: addressOf("192.0.2.1", 9), payload: new Uint8Array(1200) };
  // Of 128 buffers, 32 are kept for a run that is already in the driver's hand.
  for (let sent = 1; sent <= 96; sent++) strictEqual(host.send(datagram), true);
  for (let sent = 97; sent <= 129; sent++) strictEqual(host.send(datagram), false);
  await settle(() => sink.errors.length > 0);
  deepStrictEqual([socket.sent.length, sink.errors.map(({ code }) => code), sink.rooms], [128, ["ENOBUFS"], 0]);
  for (const finish of settled.splice(0, 31)) finish();
  for (let turns = 0; turns < 5; turns++) await turn();
  strictEqual(sink.rooms, 0);
  for (const finish of settled.splice(0)) finish();
  await settle(() => sink.rooms > 0);
  strictEqual(sink.rooms, 1);
  host[Symbol.dispose]();
});

Deno.test("DenoHost does not report a send that fails because its base was closed", async () => {
  const { host, socket, sink, base } = faked();
  socket.sendOutcome = () => turn().then(() => Promise.reject(new Deno.errors.BadResource("closed")));
  host.send({ base, remote: addressOf("192.0.2.1", 9), payload: new Uint8Array(3) });
  host.close(base);
  for (let turns = 0; turns < 5; turns++) await turn();
  deepStrictEqual(sink.errors, []);
});

Deno.test("DenoHost survives errors of every kind under a driver, which counts them", async () => {
  const socket = new FakeSocket();
  const host = new DenoHost({ openSocket: () => socket });
  const codes = ["EINVAL", "ENETUNREACH", "EPERM", "EMSGSIZE", "ECONNRESET"];
  let left = 2 * codes.length;
  socket.sendOutcome = () => Promise.reject(withCode(codes[left % codes.length]!));
  const bases: Base[] = [];
  const machine: Machine<never> = {
    handleDatagram(): void {},
    handleTimeout(): void {},
    pollTransmit(): Datagram | undefined {
      const [base] = bases;
      if (left === 0 || base === undefined) return undefined;
      left--;
      return { base, remote: addressOf("192.0.2.1", 9), payload: new Uint8Array(1) };
    },
    pollEvent: () => undefined,
    pollTimeout: () => undefined,
  };
  const driver = new Driver(machine, host, () => {});
  bases.push(host.bind(LOOPBACK));
  driver.drain();
  await settle(() => driver.socketErrors.size === codes.length);
  deepStrictEqual(
    [...driver.socketErrors].sort(),
    [["ECONNRESET", 2], ["EINVAL", 2], ["EMSGSIZE", 2], ["ENETUNREACH", 2], ["EPERM", 2]],
  );
  host[Symbol.dispose]();
});

Deno.test("DenoHost lists interfaces and says what it could not find out", () => {
  const { interfaces, missing } = new DenoHost().describeInterfaces();
  const loopback = interfaces.find(({ isLoopback }) => isLoopback);
  strictEqual(loopback?.hasDefaultRoute, false);
  ok(missing.length <= 1);
});

Deno.test("DenoHost has as many sockets as it is told, and reads into as much memory", () => {
  const buffers: number[] = [];
  const openSocket = (): UdpSocket => ({
    addr: { transport: "udp", hostname: "127.0.0.1", port: 4433 },
    receive: (buffer) => {
      buffers.push(buffer.length);
      return new Promise(() => {});
    },
    send: () => Promise.resolve(1),
    close: () => {},
  });
  const small = new DenoHost({ openSocket, maxSockets: 2, receiveBufferBytes: 2048 });
  small.bind(LOOPBACK);
  small.bind(LOOPBACK);
  throws(() => small.bind(LOOPBACK), { name: "RangeError", message: /2 sockets are open/ });
  new DenoHost({ openSocket }).bind(LOOPBACK);
  deepStrictEqual(buffers, [2048, 2048, 65_536]);
});
