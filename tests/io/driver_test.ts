import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Driver, MAX_BURST_DATAGRAMS } from "../../io/driver.ts";
import type { Host, HostSink } from "../../io/host.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { MAX_RUN_DATAGRAMS } from "../../protocols/core/machine.ts";
import type { Base, Datagram, Machine } from "../../protocols/core/machine.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.0.2.1", 1), maxPayloadBytes: 65507 };
const REMOTE = addressOf("192.0.2.2", 2);
const SEGMENT_BYTES = 1200;

/** Sends runs of the given lengths, and tells the given events. */
class Script implements Machine<string> {
  readonly runs: number[];
  readonly events: string[];
  deadline: number | undefined;

  constructor(runs: number[] = [], events: string[] = []) {
    this.runs = runs;
    this.events = events;
  }

  handleDatagram(): void {}

  handleTimeout(): void {
    this.deadline = undefined;
  }

  pollTransmit(): Datagram | undefined {
    const datagrams = this.runs.shift();
    if (datagrams === undefined) return undefined;
    const payload = new Uint8Array(datagrams * SEGMENT_BYTES);
    return { base: BASE, remote: REMOTE, payload, ...(datagrams > 1 ? { segmentBytes: SEGMENT_BYTES } : {}) };
  }

  pollEvent(): string | undefined {
    return this.events.shift();
  }

  pollTimeout(): number | undefined {
    return this.deadline;
  }
}

class FakeHost implements Host {
  readonly random = { fill: <T extends Uint8Array>(bytes: T): T => bytes };
  readonly epochMs = 0;
  readonly alarms: (number | undefined)[] = [];
  sent = 0;
  room = Infinity;
  sink: HostSink | undefined;

  now(): number {
    return 7;
  }

  interfaces(): [] {
    return [];
  }

  bind(): Base {
    return BASE;
  }

  close(): void {}

  send({ payload }: Datagram): boolean {
    this.sent += payload.length / SEGMENT_BYTES;
    return --this.room > 0;
  }

  setAlarm(at: number | undefined): void {
    this.alarms.push(at);
  }

  attach(sink: HostSink): void {
    this.sink = sink;
  }
}

Deno.test("Driver ends a burst before another run might exceed it, and comes back at once", () => {
  for (const runs of [[15, 16, 16, 16], [16, 16, 16, 1], new Array<number>(40).fill(1)]) {
    const host = new FakeHost();
    const machine = new Script([...runs]);
    const driver = new Driver(machine, host, () => {});
    let bursts = 0;
    for (let before = -1; machine.runs.length > 0 && before !== host.sent; bursts++) {
      before = host.sent;
      driver.drain();
      strictEqual(host.sent - before - (before < 0 ? 1 : 0) <= MAX_BURST_DATAGRAMS, true);
      if (machine.runs.length > 0) strictEqual(host.alarms.at(-1), 7);
    }
    strictEqual(host.sent, runs.reduce((sum, run) => sum + run, 0));
    strictEqual(bursts >= 2, true);
  }
  strictEqual(2 * MAX_RUN_DATAGRAMS, MAX_BURST_DATAGRAMS);
});

Deno.test("Driver stops polling without room, and goes on when there is some", () => {
  const host = new FakeHost();
  host.room = 2;
  const machine = new Script([1, 1, 1, 1]);
  const driver = new Driver(machine, host, () => {});
  driver.drain();
  strictEqual(host.sent, 2);
  host.room = Infinity;
  driver.handleRoom();
  strictEqual(host.sent, 4);
});

Deno.test("Driver hands over events in order, and takes up commands given meanwhile", () => {
  const host = new FakeHost();
  const machine = new Script([], ["one", "two"]);
  const seen: string[] = [];
  const driver = new Driver(machine, host, (event: string) => {
    seen.push(event);
    if (event !== "one") return;
    machine.events.push("three");
    machine.runs.push(1);
    driver.drain();
  });
  driver.drain();
  deepStrictEqual([seen, host.sent], [["one", "two", "three"], 1]);
});

Deno.test("Driver survives a handler that throws", () => {
  const host = new FakeHost();
  const machine = new Script([], ["bad"]);
  const driver = new Driver(machine, host, () => {
    throw new Error("a mistake of the application");
  });
  throws(() => driver.drain(), /a mistake of the application/);
  machine.runs.push(1);
  driver.drain();
  strictEqual(host.sent, 1);
});

Deno.test("Driver sets the alarm to the machine's deadline", () => {
  const host = new FakeHost();
  const machine = new Script();
  machine.deadline = 99;
  const driver = new Driver(machine, host, () => {});
  driver.drain();
  driver.handleAlarm();
  deepStrictEqual(host.alarms, [99, undefined]);
});
