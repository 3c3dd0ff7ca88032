/**
 * Streams and message channels of the virtual network, at exact instants.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import {
  type CloseReason,
  type DrivenMachine,
  MessageDriver,
  openChannel,
  serveChannels,
  serveMessages,
  type StreamHandler,
  type VirtualHost,
  type VirtualNat,
  VirtualNetwork,
  type VirtualStream,
} from "../../lab/mod.ts";
import { type Address, addressOf } from "../../protocols/core/address.ts";
import type { MessageMachine } from "../../signaling/channel.ts";
import { sameBytes } from "../support/same_bytes.ts";

/** Keeps what happens to a stream, as `AT WHAT`. */
class Log implements StreamHandler {
  readonly lines: string[] = [];
  readonly #net: VirtualNetwork;

  constructor(net: VirtualNetwork) {
    this.#net = net;
  }

  handleOpen(): void {
    this.lines.push(`${this.#net.now} open`);
  }

  handleData(bytes: Uint8Array): void {
    this.lines.push(`${this.#net.now} ${bytes.length > 20 ? bytes.length : new TextDecoder().decode(bytes)}`);
  }

  handleClosed(reason: CloseReason): void {
    this.lines.push(`${this.#net.now} ${reason}`);
  }
}

interface Scene {
  readonly net: VirtualNetwork;
  readonly nat: VirtualNat;
  readonly client: VirtualHost;
  readonly server: VirtualHost;
  readonly hub: Address;
}

/** A client behind a NAT, 100 ms from a server on the core. */
function scene(): Scene {
  const net = new VirtualNetwork({ seed: 1 });
  const nat = net.nat();
  const client = net.host("client", { behind: nat, rttToCoreMs: 100 });
  const server = net.host("server");
  return { net, nat, client, server, hub: server.address(80) };
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("VirtualStream opens after exactly one round trip, and data takes half of one", () => {
  const { net, client, server, hub } = scene();
  const here = new Log(net);
  const there = new Log(net);
  let accepted: VirtualStream | undefined;
  server.streams.listen(80, (stream) => {
    accepted = stream;
    return there;
  });
  const stream = client.streams.connect(hub, here);
  stream.send(bytes("early"));
  net.run();
  deepStrictEqual(here.lines, ["100 open"]);
  deepStrictEqual(there.lines, ["150 open", "150 early"]);
  strictEqual(accepted?.remote, addressOf("203.0.113.1", 49152), "as the NAT shows the client");
  net.run({ until: 1000 });
  accepted?.send(bytes("hello"));
  accepted?.close();
  net.run();
  deepStrictEqual(here.lines.slice(1), ["1050 hello", "1050 finished"]);
  deepStrictEqual(there.lines.slice(2), ["1100 finished"]);
  deepStrictEqual([client.streams.size, server.streams.size, net.trace.drops.size], [0, 0, 0]);
});

Deno.test("VirtualStream is refused, unreachable, or unanswered", () => {
  const { net, client, server, hub } = scene();
  const logs = [hub, addressOf(net.unusedAddress(), 80), addressOf("2001:db8::1", 80)].map((remote) => {
    const log = new Log(net);
    client.streams.connect(remote, log);
    return log;
  });
  net.run();
  // 1 + 2 + 4 + … + 64 s.
  deepStrictEqual(logs.map(({ lines }) => lines), [["100 reset"], ["127000 timeout"], ["0 unreachable"]]);
  strictEqual(server.streams.size + client.streams.size, 0);
});

Deno.test("VirtualStream sends a lost SYN again after 1 s, and lost data after its RTO (RFC 6298)", () => {
  const { net, client, server, hub } = scene();
  const up = client.interface().up!;
  // The SYN, then of what follows (SYN, ACK, DATA) the data.
  up.options = { ...up.options, drop: (_packet, index) => index === 0 || index === 3 };
  const here = new Log(net);
  const there = new Log(net);
  server.streams.listen(80, () => there);
  client.streams.connect(hub, here).send(bytes("x"));
  net.run();
  deepStrictEqual(here.lines, ["1100 open"]);
  // No RTT was sampled, as the SYN was sent twice: the RTO is still 1 s.
  deepStrictEqual(there.lines, ["1150 open", "2150 x"]);
});

Deno.test("VirtualStream delivers everything in order over a bad link, for 20 seeds", () => {
  const sent = Uint8Array.from({ length: 200_000 }, (_, index) => index * 7);
  for (let seed = 1; seed <= 20; seed++) {
    const net = new VirtualNetwork({ seed });
    const bad = {
      latencyMs: 20,
      jitterMs: 5,
      lossRate: 0.05,
      duplicateRate: 0.05,
      reorderRate: 0.05,
      reorderMs: 30,
      rateBitsPerSecond: 20_000_000,
    };
    const client = net.host("client", { up: bad, down: bad });
    const server = net.host("server");
    const received: number[] = [];
    let closed: CloseReason | undefined;
    server.streams.listen(80, () => ({
      handleData: (chunk) => received.push(...chunk),
      handleClosed: (reason) => closed = reason,
    }));
    const stream = client.streams.connect(server.address(80), {});
    stream.send(sent);
    stream.close();
    net.run();
    strictEqual(closed, "finished", `seed ${seed}`);
    sameBytes(Uint8Array.from(received), sent, `seed ${seed}`);
  }
});

Deno.test("VirtualStream starts with ten segments a round trip, and doubles (RFC 6928, RFC 5681)", () => {
  const { net, client, server, hub } = scene();
  const arrivals = new Map<number, number>();
  server.streams.listen(80, () => ({
    handleData: () => arrivals.set(net.now, (arrivals.get(net.now) ?? 0) + 1),
  }));
  client.streams.connect(hub, {}).send(new Uint8Array(1448 * 50));
  net.run();
  deepStrictEqual([...arrivals], [[150, 10], [250, 20], [350, 20]]);
});

Deno.test("VirtualStream breaks when its NAT forgets it, its server dies, or its server loses power", () => {
  const outcome = (breakIt: (scene: Scene, listener: { reset(): void; close(): void }) => void): string[] => {
    const all = scene();
    const here = new Log(all.net);
    const listener = all.server.streams.listen(80, () => ({}));
    const stream = all.client.streams.connect(all.hub, here);
    all.net.run({ until: 1000 });
    breakIt(all, listener);
    all.net.run({ until: 2000 });
    stream.send(bytes("x"));
    all.net.run();
    return here.lines.slice(1);
  };
  deepStrictEqual(outcome((_scene, listener) => listener.reset()), ["1050 reset"]);
  deepStrictEqual(outcome((_scene, listener) => listener.close()), ["1050 finished"]);
  deepStrictEqual(outcome(({ nat }) => nat.rebind()), ["2100 reset"]);
  // Back after the crash: the segment belongs to nothing.
  deepStrictEqual(
    outcome(({ server }) => {
      server.hasPower = false;
      server.hasPower = true;
    }),
    ["2100 reset"],
  );
  // After 10 retransmissions.
  const gone = outcome(({ server }) => server.hasPower = false);
  strictEqual(gone.length, 1);
  strictEqual(gone[0]?.split(" ")[1], "timeout");
});

Deno.test("Channels carry the first message in the upgrade: request and answer take two round trips in all", () => {
  const { net, client, server, hub } = scene();
  const lines: string[] = [];
  serveChannels(server, 80, (channel) => ({
    handleOpen: (now) => lines.push(`${now} server open`),
    handleMessage: (message, now) => {
      lines.push(`${now} server ${message}`);
      channel.send(`re: ${message}`);
    },
    handleClosed: (now, reason) => lines.push(`${now} server ${reason}`),
  }));
  const channel = openChannel(client, hub, {
    handleOpen: (now) => {
      lines.push(`${now} client open`);
      net.at(now + 20, () => {
        channel.send("first");
        channel.send("second");
      });
    },
    handleMessage: (message, now) => lines.push(`${now} client ${message}`),
    handleClosed: (now, reason) => lines.push(`${now} client ${reason}`),
  });
  net.at(1000, () => channel.close());
  net.run();
  deepStrictEqual(lines, [
    "100 client open",
    "170 server open",
    "170 server first",
    "220 client re: first",
    // It waited for the response.
    "270 server second",
    "320 client re: second",
    "1050 server finished",
    "1100 client finished",
  ]);
});

/** Says its name, keeps what it hears, and rings once. */
class Parrot implements MessageMachine<string> {
  readonly outgoing: string[] = [];
  readonly #events: string[] = [];
  #alarmAt: number | undefined;

  handleOpen(now: number): void {
    this.#events.push(`${now} open`);
    this.#alarmAt = now + 500;
  }

  handleMessage(message: string, now: number): void {
    this.#events.push(`${now} ${message}`);
  }

  handleClosed(now: number): void {
    this.#events.push(`${now} closed`);
  }

  handleTimeout(now: number): void {
    if (this.#alarmAt === undefined || now < this.#alarmAt) return;
    this.#alarmAt = undefined;
    this.outgoing.push("ring");
  }

  pollMessage(): string | undefined {
    return this.outgoing.shift();
  }

  pollEvent(): string | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    return this.#alarmAt;
  }
}

Deno.test("MessageDriver drives a machine of signaling, over a hub restart too", () => {
  const { net, client, server, hub } = scene();
  const events: string[] = [];
  const machines: Parrot[] = [];
  const start = (): { close(): void } =>
    serveMessages(server, 80, () => {
      const machine = new Parrot();
      machines.push(machine);
      return machine;
    }, (event) => {
      events.push(`hub: ${event}`);
      // What one client says is told to all.
      if (event.endsWith("ring")) { for (const machine of machines) machine.outgoing.push("heard"); }
    });
  let hubProcess = start();
  const machine = new Parrot();
  machine.outgoing.push("hello");
  const driven: DrivenMachine<string> = machine;
  const driver = new MessageDriver(driven, client, { onEvent: (event) => events.push(event) });
  driver.connect(hub);
  net.at(2000, () => hubProcess.close());
  net.at(3000, () => hubProcess = start());
  net.at(4000, () => {
    machine.outgoing.push("again");
    driver.connect(hub);
  });
  net.run({ until: 4300 });
  deepStrictEqual(events, [
    "100 open",
    "hub: 150 open",
    "hub: 150 hello",
    "hub: 650 ring",
    "700 ring",
    "700 heard",
    "2050 closed",
    "hub: 2100 closed",
    "4100 open",
    "hub: 4150 open",
    "hub: 4150 again",
  ]);
});
