import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Driver, MAX_BURST_DATAGRAMS } from "../../io/driver.ts";
import type { Host, HostSink, NetworkInterface, SocketError } from "../../io/host.ts";
import { type Address, addressOf } from "../../protocols/core/address.ts";
import { MAX_RUN_DATAGRAMS } from "../../protocols/core/machine.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";
import { seededRandom } from "../support/seeded_random.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.0.2.1", 1), maxPayloadBytes: 1472 };
const REMOTE = addressOf("192.0.2.2", 2);

/** A host that writes down what it is asked for. */
class FakeHost implements Host {
  readonly random = seededRandom(1);
  readonly epochMs = 0;
  readonly log: string[] = [];
  clock = 0;
  /** Datagrams it takes before it has no room. */
  room = Infinity;
  sink: HostSink | undefined;

  now(): number {
    return this.clock;
  }

  interfaces(): readonly NetworkInterface[] {
    return [];
  }

  bind(_local: Address): Base {
    return BASE;
  }

  close(): void {}

  send(datagram: Datagram): boolean {
    this.log.push(`send ${datagram.payload.length}`);
    return --this.room > 0;
  }

  setAlarm(at: number | undefined): void {
    this.log.push(`alarm ${at}`);
  }

  attach(sink: HostSink): void {
    this.sink = sink;
  }
}

/** A machine with lists in place of a protocol. */
class FakeMachine implements Machine<string> {
  readonly log: string[] = [];
  readonly events: string[] = [];
  readonly datagrams: Datagram[] = [];
  deadline: number | undefined;

  handleDatagram({ payload }: Datagram, now: number): void {
    this.log.push(`datagram ${payload.length} at ${now}`);
  }

  handleTimeout(now: number): void {
    this.log.push(`timeout at ${now}`);
  }

  pollTransmit(): Datagram | undefined {
    return this.datagrams.shift();
  }

  pollEvent(): string | undefined {
    return this.events.shift();
  }

  pollTimeout(): number | undefined {
    return this.deadline;
  }

  handleSocketError({ code }: SocketError, now: number): void {
    this.log.push(`${code} at ${now}`);
  }

  queue(count: number, lengthBytes = 100, segmentBytes?: number): void {
    for (let i = 0; i < count; i++) {
      const datagram = { base: BASE, remote: REMOTE, payload: new Uint8Array(lengthBytes) };
      this.datagrams.push(segmentBytes === undefined ? datagram : { ...datagram, segmentBytes });
    }
  }
}

interface Rig {
  readonly host: FakeHost;
  readonly machine: FakeMachine;
  readonly events: string[];
  readonly driver: Driver<string>;
}

function rig(onEvent: (event: string, rig: Rig) => void = () => {}): Rig {
  const host = new FakeHost();
  const machine = new FakeMachine();
  const events: string[] = [];
  const driver: Driver<string> = new Driver(machine, host, (event) => {
    events.push(event);
    onEvent(event, made);
  });
  const made: Rig = { host, machine, events, driver };
  return made;
}

Deno.test("Driver hands over datagrams and drains only when told", () => {
  const { host, machine } = rig();
  machine.queue(1);
  host.clock = 7;
  host.sink?.handleDatagram({ base: BASE, remote: REMOTE, payload: new Uint8Array(3) });
  host.sink?.handleDatagram({ base: BASE, remote: REMOTE, payload: new Uint8Array(4) });
  deepStrictEqual([machine.log, host.log], [["datagram 3 at 7", "datagram 4 at 7"], []]);
  machine.deadline = 12;
  host.sink?.drain();
  deepStrictEqual(host.log, ["send 100", "alarm 12"]);
});

Deno.test("Driver runs timeouts when the alarm rings, then drains", () => {
  const { host, machine } = rig();
  host.clock = 5;
  host.sink?.handleAlarm();
  deepStrictEqual([machine.log, host.log], [["timeout at 5"], ["alarm undefined"]]);
});

/** Single datagrams of a burst: one more run might not fit behind them. */
const SINGLES = MAX_BURST_DATAGRAMS - MAX_RUN_DATAGRAMS + 1;

Deno.test("Driver ends a burst where another run might exceed 32 datagrams, and comes back at once", () => {
  const { host, machine } = rig();
  machine.queue(SINGLES + 8);
  machine.deadline = 99;
  host.clock = 3;
  host.sink?.drain();
  deepStrictEqual([host.log.length, host.log.at(-1)], [SINGLES + 1, "alarm 3"]);
  host.log.length = 0;
  host.sink?.handleAlarm();
  deepStrictEqual([host.log.length, host.log.at(-1)], [8 + 1, "alarm 99"]);
});

Deno.test("Driver counts each datagram of a run", () => {
  const { host, machine } = rig();
  machine.queue(5, 950, 100);
  host.sink?.drain();
  // Ten datagrams a run: behind two of them there is no room for one of 16.
  deepStrictEqual(host.log, ["send 950", "send 950", "alarm 0"]);
});

Deno.test("Driver stops polling while there is no room, and goes on when there is", () => {
  const { host, machine } = rig();
  machine.queue(5);
  host.room = 2;
  host.sink?.drain();
  host.sink?.drain();
  strictEqual(machine.datagrams.length, 3);
  host.room = Infinity;
  host.sink?.handleRoom();
  strictEqual(machine.datagrams.length, 0);
});

Deno.test("Driver tells events in order, and sends what their handlers brought about", () => {
  const { host, machine, events } = rig((event, { machine, driver }) => {
    if (event !== "first") return;
    machine.events.push("third");
    machine.queue(1, 11);
    // Taken up when the event has been handled.
    driver.drain();
  });
  machine.events.push("first", "second");
  machine.queue(1, 10);
  host.sink?.drain();
  deepStrictEqual(events, ["first", "second", "third"]);
  deepStrictEqual(host.log, ["send 10", "send 11", "alarm undefined"]);
});

Deno.test("Driver sends one burst a drain, however many events come between", () => {
  let count = 0;
  const { host, machine, events } = rig((_event, { machine }) => {
    if (++count < 10) machine.events.push("more");
    machine.queue(20);
  });
  machine.events.push("more");
  host.sink?.drain();
  strictEqual(events.length, 10);
  strictEqual(host.log.filter((line) => line.startsWith("send")).length, SINGLES);
});

Deno.test("Driver counts socket errors by name and tells a machine that wants to know", () => {
  const { host, machine, driver } = rig();
  for (const code of ["EPERM", "EINVAL", "EPERM"]) host.sink?.handleSocketError({ base: BASE, remote: REMOTE, code });
  deepStrictEqual([...driver.socketErrors], [["EPERM", 2], ["EINVAL", 1]]);
  deepStrictEqual(machine.log, ["EPERM at 0", "EINVAL at 0", "EPERM at 0"]);
});

Deno.test("Driver goes on after an event handler that throws", () => {
  const { host, machine, events } = rig((event) => {
    if (event === "bad") throw new RangeError("bad");
  });
  machine.events.push("bad");
  throws(() => host.sink?.drain(), RangeError);
  machine.events.push("good");
  machine.queue(1);
  host.sink?.drain();
  deepStrictEqual([events, host.log], [["bad", "good"], ["send 100", "alarm undefined"]]);
});

Deno.test("Driver does its chore when it is due, beside the machine's timeouts, and not after it has ended", () => {
  const host = new FakeHost();
  const machine = new FakeMachine();
  const runs: number[] = [];
  const errors: string[] = [];
  const chore = {
    dueAt: 50,
    run(now: number): void {
      runs.push(now);
      this.dueAt = now === 50 ? 80 : Infinity;
    },
    handleSocketError({ code }: SocketError): void {
      errors.push(code);
    },
  };
  const driver = new Driver(machine, host, () => {}, chore);
  machine.deadline = 60;
  driver.drain();
  for (const at of [50, 60]) {
    host.clock = at;
    if (at === 60) machine.deadline = undefined;
    driver.handleAlarm();
  }
  driver.handleSocketError({ base: BASE, remote: REMOTE, code: "ENETUNREACH" });
  host.clock = 80;
  driver.handleAlarm();
  deepStrictEqual(host.log, ["alarm 50", "alarm 60", "alarm 80", "alarm undefined"]);
  deepStrictEqual(machine.log, ["timeout at 50", "timeout at 60", "ENETUNREACH at 60", "timeout at 80"]);
  deepStrictEqual([runs, errors], [[50, 80], ["ENETUNREACH"]]);
});
