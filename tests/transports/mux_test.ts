import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { Mux } from "../../transports/mux.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.0.2.1", 1), maxPayloadBytes: 65507 };
const REMOTE = addressOf("192.0.2.2", 2);

/** A machine that records what it is told and says what it was given to say. */
class Recorder implements Machine<string> {
  readonly received: number[] = [];
  readonly timeouts: number[] = [];
  toSend: Uint8Array[] = [];
  toTell: string[] = [];
  deadline: number | undefined;

  handleDatagram({ payload }: Datagram): void {
    this.received.push(payload[0]!);
    this.toTell.push(`got ${payload[0]}`);
  }

  handleTimeout(now: number): void {
    this.timeouts.push(now);
    this.deadline = undefined;
  }

  pollTransmit(): Datagram | undefined {
    const payload = this.toSend.shift();
    return payload === undefined ? undefined : { base: BASE, remote: REMOTE, payload };
  }

  pollEvent(): string | undefined {
    return this.toTell.shift();
  }

  pollTimeout(): number | undefined {
    return this.deadline;
  }
}

/** A Binding message of a class, with this transaction number and, if given, a USERNAME. */
function stun(type: number, transaction: number, username = ""): Uint8Array {
  const name = new TextEncoder().encode(username);
  const padded = (name.length + 3) & ~3;
  const bytes = new Uint8Array(20 + (username === "" ? 0 : 4 + padded));
  bytes.set([type >> 8, type & 0xff, 0, bytes.length - 20, 0x21, 0x12, 0xa4, 0x42]);
  bytes[19] = transaction;
  if (username !== "") {
    bytes.set([0, 6, 0, name.length], 20);
    bytes.set(name, 24);
  }
  return bytes;
}

const REQUEST = 0x0001;
const INDICATION = 0x0011;
const SUCCESS = 0x0101;

function setUp(): { mux: Mux; a: Recorder; b: Recorder; quic: Recorder; log: string[]; wake: (m: Recorder) => void } {
  const mux = new Mux();
  const log: string[] = [];
  const [a, b, quic] = [new Recorder(), new Recorder(), new Recorder()];
  const ports = new Map([[a, "a"], [b, "b"], [quic, "quic"]].map(([machine, name]) => {
    if (!(machine instanceof Recorder)) throw new TypeError("not a machine");
    return [machine, mux.attach(machine, (event) => log.push(`${name} ${event}`))];
  }));
  mux.routeUsername("aaaa", ports.get(a)!);
  mux.routeUsername("bbbb", ports.get(b)!);
  mux.routeQuic(ports.get(quic)!);
  return { mux, a, b, quic, log, wake: (machine) => ports.get(machine)!.wake() };
}

function deliver(mux: Mux, payload: Uint8Array): void {
  mux.handleDatagram({ base: BASE, remote: REMOTE, payload }, 0);
}

Deno.test("Mux tells STUN from QUIC by the first byte (RFC 9443 §3)", () => {
  const { mux, quic, a } = setUp();
  for (const first of [64, 79, 80, 127, 192, 255]) deliver(mux, new Uint8Array([first, 0]));
  deepStrictEqual(quic.received, [64, 79, 80, 127, 192, 255]);
  for (const first of [0, 3, 4, 20, 63, 128, 191]) deliver(mux, new Uint8Array([first, 0]));
  deliver(mux, new Uint8Array(0));
  deepStrictEqual([...mux.drops], [["first byte", 7], ["empty", 1]]);
  deepStrictEqual(a.received, []);
});

Deno.test("Mux hands STUN requests to the agent whose fragment comes first in USERNAME (RFC 8445 §7.2.2)", () => {
  const { mux, a, b } = setUp();
  deliver(mux, stun(REQUEST, 1, "aaaa:zzzz"));
  deliver(mux, stun(REQUEST, 2, "bbbb:zzzz"));
  deliver(mux, stun(REQUEST, 3, "cccc:zzzz"));
  deliver(mux, stun(REQUEST, 4));
  deliver(mux, stun(INDICATION, 5, "aaaa:zzzz"));
  deepStrictEqual([a.received.length, b.received.length], [1, 1]);
  deepStrictEqual([...mux.drops], [["unknown username", 2], ["unexpected indication", 1]]);
});

Deno.test("Mux hands STUN responses to the machine that asked", () => {
  const { mux, a, b, wake } = setUp();
  a.toSend.push(stun(REQUEST, 7, "x:y"));
  b.toSend.push(stun(REQUEST, 8));
  wake(a);
  wake(b);
  strictEqual(drain(mux), 2);
  deliver(mux, stun(SUCCESS, 8));
  deliver(mux, stun(SUCCESS, 7));
  deliver(mux, stun(SUCCESS, 9));
  deepStrictEqual([a.received.length, b.received.length], [1, 1]);
  deepStrictEqual([...mux.drops], [["unknown transaction", 1]]);
});

Deno.test("Mux lets machines take turns in sending", () => {
  const { mux, a, b, wake } = setUp();
  for (let i = 0; i < 3; i++) {
    a.toSend.push(new Uint8Array([100 + i]));
    b.toSend.push(new Uint8Array([200 + i]));
  }
  wake(a);
  wake(b);
  const order: number[] = [];
  for (let i = 0; i < 6; i++) order.push(mux.pollTransmit(0)!.payload[0]!);
  deepStrictEqual(order, [100, 200, 101, 201, 102, 202]);
  strictEqual(mux.pollTransmit(0), undefined);
});

Deno.test("Mux settles until nothing moves, whatever handlers wake", () => {
  const mux = new Mux();
  const [a, b] = [new Recorder(), new Recorder()];
  const log: string[] = [];
  const portB = mux.attach(b, (event) => log.push(event));
  const portA = mux.attach(a, (event) => {
    log.push(event);
    b.toTell.push(`after ${event}`);
    b.toSend.push(new Uint8Array([64]));
    portB.wake();
  });
  mux.settle(0);
  a.toTell.push("one");
  portA.wake();
  strictEqual(drain(mux), 1);
  deepStrictEqual(log, ["one", "after one"]);
});

Deno.test("Mux wakes the machines that are due, earliest first, each once", () => {
  const { mux, a, b, wake } = setUp();
  a.deadline = 30;
  b.deadline = 10;
  wake(a);
  wake(b);
  drain(mux);
  strictEqual(mux.pollTimeout(), 10);
  mux.handleTimeout(5);
  deepStrictEqual([a.timeouts, b.timeouts], [[], []]);
  mux.handleTimeout(10);
  deepStrictEqual([a.timeouts, b.timeouts, mux.pollTimeout()], [[], [10], 30]);
  mux.handleTimeout(40);
  deepStrictEqual([a.timeouts, mux.pollTimeout()], [[40], undefined]);
});

Deno.test("Mux forgets a machine that is detached", () => {
  const mux = new Mux();
  const machine = new Recorder();
  const port = mux.attach(machine, () => {});
  mux.routeQuic(port);
  mux.routeUsername("aaaa", port);
  machine.deadline = 5;
  machine.toSend.push(new Uint8Array([64]));
  mux.detach(port);
  strictEqual(mux.pollTransmit(0), undefined);
  strictEqual(mux.pollTimeout(), undefined);
  deliver(mux, new Uint8Array([64]));
  deliver(mux, stun(REQUEST, 1, "aaaa:b"));
  deepStrictEqual(machine.received, []);
  deepStrictEqual([...mux.drops], [["no endpoint", 1], ["unknown username", 1]]);
});

function drain(mux: Mux): number {
  for (let count = 0; count < 100; count++) if (mux.pollTransmit(0) === undefined) return count;
  throw new Error("the mux does not run dry");
}
