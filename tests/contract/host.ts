/**
 * What every {@linkcode Host} must do, as a suite that each implementation runs: sockets of this process, virtual ones, and
 * those of third parties.
 *
 * @module
 */

import { deepStrictEqual, notStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import type { Host, HostSink, SocketError } from "../../io/host.ts";
import type { Address } from "../../protocols/core/address.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";

/** Two hosts that reach each other, and the means to let time pass between them. */
export interface HostFixture {
  readonly a: Host;
  readonly b: Host;
  /** Addresses, port 0, to bind on. */
  readonly addressOfA: Address;
  readonly addressOfB: Address;
  /** Lets the hosts work until `isDone` answers true, or gives up in bounded time. */
  settle(isDone: () => boolean): Promise<void>;
  /** Closes whatever is open. */
  close(): void;
}

/** How an implementation takes part. */
export interface HostContractOptions {
  readonly name: string;
  readonly open: () => HostFixture;
  /** Cases that do not apply, with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
}

/** Writes down what it is told. */
export class RecordingSink implements HostSink {
  readonly received: { readonly base: Base; readonly remote: Address; readonly bytes: number[] }[] = [];
  readonly errors: SocketError[] = [];
  readonly alarms: number[] = [];
  drains = 0;
  rooms = 0;
  readonly #now: () => number;
  /** Called after each call, to answer from inside. */
  onDrain: () => void = () => {};

  constructor(now: () => number) {
    this.#now = now;
  }

  handleDatagram(datagram: Datagram): void {
    const { base, remote, payload } = datagram;
    this.received.push({ base, remote, bytes: [...payload] });
  }

  drain(): void {
    this.drains++;
    this.onDrain();
  }

  handleAlarm(): void {
    this.alarms.push(this.#now());
  }

  handleRoom(): void {
    this.rooms++;
  }

  handleSocketError(error: SocketError): void {
    this.errors.push(error);
  }
}

interface Bound extends HostFixture {
  readonly sinkOfA: RecordingSink;
  readonly sinkOfB: RecordingSink;
  readonly baseOfA: Base;
  readonly baseOfB: Base;
}

/** Runs the suite. */
export function testHostContract(options: HostContractOptions): void {
  for (const [name, run] of Object.entries(CASES)) {
    const reason = options.skip?.[name];
    Deno.test({
      name: `Host ${options.name} ${name}${reason === undefined ? "" : ` (skipped: ${reason})`}`,
      ignore: reason !== undefined,
      fn: async () => {
        const fixture = options.open();
        try {
          const sinkOfA = new RecordingSink(() => fixture.a.now());
          const sinkOfB = new RecordingSink(() => fixture.b.now());
          fixture.a.attach(sinkOfA);
          fixture.b.attach(sinkOfB);
          const baseOfA = fixture.a.bind(fixture.addressOfA);
          const baseOfB = fixture.b.bind(fixture.addressOfB);
          await run({ ...fixture, settle: fixture.settle.bind(fixture), sinkOfA, sinkOfB, baseOfA, baseOfB });
        } finally {
          fixture.close();
        }
      },
    });
  }
}

const CASES: Readonly<Record<string, (bound: Bound) => Promise<void>>> = {
  "binds port 0 to a port of its choice": ({ a, addressOfA, baseOfA }) => {
    strictEqual(baseOfA.kind, "socket");
    strictEqual(baseOfA.local.host, addressOfA.host);
    notStrictEqual(baseOfA.local.port, 0);
    ok(baseOfA.maxPayloadBytes >= 1200);
    notStrictEqual(a.bind(addressOfA).local, baseOfA.local);
    return Promise.resolve();
  },

  "throws when an address cannot be bound": ({ a, baseOfA }) => {
    throws(() => a.bind(baseOfA.local), Error);
    throws(() => a.bind(addressOf("198.51.100.77", 0)), Error);
    return Promise.resolve();
  },

  "takes one sink": ({ a }) => {
    throws(() => a.attach(new RecordingSink(() => 0)), TypeError);
    return Promise.resolve();
  },

  "delivers datagrams with base and interned remote, then drains": async (bound) => {
    const { a, baseOfA, baseOfB, sinkOfB, settle } = bound;
    a.send({ base: baseOfA, remote: baseOfB.local, payload: Uint8Array.of(1, 2, 3) });
    await settle(() => sinkOfB.drains > 0);
    deepStrictEqual(sinkOfB.received.map(({ bytes }) => bytes), [[1, 2, 3]]);
    strictEqual(sinkOfB.received[0]!.base, baseOfB);
    strictEqual(sinkOfB.received[0]!.remote, baseOfA.local);
    ok(sinkOfB.drains >= 1);
  },

  "delivers an empty datagram": async ({ a, baseOfA, baseOfB, sinkOfB, settle }) => {
    a.send({ base: baseOfA, remote: baseOfB.local, payload: new Uint8Array(0) });
    await settle(() => sinkOfB.received.length === 1);
    deepStrictEqual(sinkOfB.received.map(({ bytes }) => bytes), [[]]);
  },

  "answers from inside drain": async ({ a, b, baseOfA, baseOfB, sinkOfA, sinkOfB, settle }) => {
    sinkOfB.onDrain = () => {
      const first = sinkOfB.received.pop();
      if (first !== undefined) b.send({ base: first.base, remote: first.remote, payload: Uint8Array.of(9) });
    };
    a.send({ base: baseOfA, remote: baseOfB.local, payload: Uint8Array.of(1) });
    await settle(() => sinkOfA.received.length === 1);
    deepStrictEqual(sinkOfA.received, [{ base: baseOfA, remote: baseOfB.local, bytes: [9] }]);
  },

  "copies what it sends: the buffer may be reused at once": async ({ a, baseOfA, baseOfB, sinkOfB, settle }) => {
    const payload = new Uint8Array(100);
    for (let i = 0; i < 32; i++) {
      payload.fill(i);
      a.send({ base: baseOfA, remote: baseOfB.local, payload });
    }
    payload.fill(255);
    await settle(() => sinkOfB.received.length === 32);
    deepStrictEqual(
      sinkOfB.received.map(({ bytes }) => bytes.every((byte) => byte === bytes[0]) ? bytes[0] : -1).sort((x, y) =>
        x! - y!
      ),
      Array.from({ length: 32 }, (_, i) => i),
    );
  },

  "sends a run as its segments": async ({ a, baseOfA, baseOfB, sinkOfB, settle }) => {
    const payload = Uint8Array.from({ length: 25 }, (_, i) => i);
    a.send({ base: baseOfA, remote: baseOfB.local, payload, segmentBytes: 10 });
    await settle(() => sinkOfB.received.length === 3);
    const sorted = sinkOfB.received.map(({ bytes }) => bytes).sort((x, y) => x[0]! - y[0]!);
    deepStrictEqual(sorted.map((bytes) => [bytes[0], bytes.length]), [[0, 10], [10, 10], [20, 5]]);
  },

  "tells of room after answering that there is none": async ({ a, baseOfA, baseOfB, sinkOfA, settle }) => {
    const payload = new Uint8Array(1200);
    let hasRoom = true;
    for (let i = 0; i < 100_000 && hasRoom; i++) hasRoom = a.send({ base: baseOfA, remote: baseOfB.local, payload });
    strictEqual(hasRoom, false);
    strictEqual(sinkOfA.rooms, 0);
    await settle(() => sinkOfA.rooms > 0);
    strictEqual(sinkOfA.rooms, 1);
  },

  "reports a datagram too large as an error, in a later turn": async ({ a, baseOfA, baseOfB, sinkOfA, settle }) => {
    const payload = new Uint8Array(baseOfA.maxPayloadBytes + 1);
    strictEqual(a.send({ base: baseOfA, remote: baseOfB.local, payload }), true);
    deepStrictEqual(sinkOfA.errors, []);
    await settle(() => sinkOfA.errors.length > 0 && sinkOfA.drains > 0);
    deepStrictEqual(sinkOfA.errors, [{ base: baseOfA, remote: baseOfB.local, code: "EMSGSIZE" }]);
  },

  "drops what is sent on a closed base, and closes twice": async (
    { a, baseOfA, baseOfB, sinkOfA, sinkOfB, settle },
  ) => {
    a.close(baseOfA);
    a.close(baseOfA);
    strictEqual(a.send({ base: baseOfA, remote: baseOfB.local, payload: Uint8Array.of(1) }), true);
    let turns = 0;
    await settle(() => ++turns > 3);
    deepStrictEqual([sinkOfA.errors, sinkOfB.received], [[], []]);
  },

  "sends what was handed over before the base was closed": async ({ a, baseOfA, baseOfB, sinkOfB, settle }) => {
    a.send({ base: baseOfA, remote: baseOfB.local, payload: Uint8Array.of(7) });
    a.close(baseOfA);
    await settle(() => sinkOfB.received.length === 1);
    deepStrictEqual(sinkOfB.received[0]?.bytes, [7]);
  },

  "frees the port of a closed base, at the latest in a later turn": async ({ a, baseOfA, settle }) => {
    a.close(baseOfA);
    let again: Base | undefined;
    await settle(() => {
      try {
        again = a.bind(baseOfA.local);
        return true;
      } catch {
        return false;
      }
    });
    strictEqual(again?.local, baseOfA.local);
  },

  "rings an alarm once, not before its time": async ({ a, sinkOfA, settle }) => {
    const at = a.now() + 5;
    a.setAlarm(at);
    deepStrictEqual(sinkOfA.alarms, []);
    await settle(() => sinkOfA.alarms.length > 0);
    strictEqual(sinkOfA.alarms.length, 1);
    ok(sinkOfA.alarms[0]! >= at);
  },

  "rings an alarm that is due in a later turn": async ({ a, sinkOfA, settle }) => {
    a.setAlarm(a.now());
    deepStrictEqual(sinkOfA.alarms, []);
    await settle(() => sinkOfA.alarms.length > 0);
    strictEqual(sinkOfA.alarms.length, 1);
  },

  "replaces an alarm by a later, then an earlier one": async ({ a, sinkOfA, settle }) => {
    const start = a.now();
    a.setAlarm(start + 3);
    a.setAlarm(start + 60_000);
    a.setAlarm(start + 8);
    await settle(() => sinkOfA.alarms.length > 0);
    strictEqual(sinkOfA.alarms.length, 1);
    ok(sinkOfA.alarms[0]! >= start + 8);
  },

  "clears an alarm": async ({ a, b, sinkOfA, sinkOfB, settle }) => {
    a.setAlarm(a.now() + 1);
    a.setAlarm(undefined);
    b.setAlarm(b.now() + 10);
    await settle(() => sinkOfB.alarms.length > 0);
    deepStrictEqual(sinkOfA.alarms, []);
  },

  "fills bytes with randomness": ({ a }) => {
    const bytes = new Uint8Array(32);
    strictEqual(a.random.fill(bytes), bytes);
    notStrictEqual([...bytes].join(), [...a.random.fill(new Uint8Array(32))].join());
    return Promise.resolve();
  },

  "knows its interfaces, port 0 each": ({ a, addressOfA }) => {
    const interfaces = a.interfaces();
    ok(interfaces.some(({ address }) => address.host === addressOfA.host));
    ok(interfaces.every(({ address }) => address.port === 0));
    return Promise.resolve();
  },
};
