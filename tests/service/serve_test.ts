import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { DenoHost } from "../../io/deno_host.ts";
import { Driver } from "../../io/driver.ts";
import type { NetworkInterface } from "../../io/host.ts";
import { dial, DialError, listen } from "../../mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { fromHex, toHex } from "../../protocols/core/bytes.ts";
import type { Datagram, Machine } from "../../protocols/core/machine.ts";
import { WILDCARD_STUN_NOTE } from "../../service/listen_addresses.ts";
import { serve } from "../../service/serve.ts";
import type { ServeOptions, Service } from "../../service/serve.ts";
import { HubCaller } from "../../signaling/caller.ts";
import { SignalingRefusedError } from "../../signaling/channel.ts";
import type { MessageChannel, MessageMachine } from "../../signaling/channel.ts";
import { HubListener } from "../../signaling/listener.ts";
import type { CallerEvent, ListenerEvent } from "../../signaling/machines.ts";
import { acceptWebSocket, websocket } from "../../signaling/websocket.ts";
import type { WebSocketSignaling } from "../../signaling/websocket.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { Inbox } from "../support/inbox.ts";
import { candidate, contextOf } from "../support/signaling_exchange.ts";

async function start(options: Partial<ServeOptions> = {}): Promise<Service & { readonly url: string }> {
  const host = new DenoHost();
  const service = await serve({
    host,
    epochMs: host.epochMs,
    acceptUpgrade: acceptWebSocket,
    listen: "127.0.0.1:0",
    stun: ["127.0.0.1:0"],
    ...options,
  });
  return Object.assign(service, { url: `${options.tls ? "https" : "http"}://${service.address}` });
}

/** Runs a machine over channels, without timers: enough for a hub that is there. */
class Shell<Event extends { readonly type: string }> {
  readonly events = new Inbox<Event>();
  readonly #machine: MessageMachine<Event>;
  readonly #signaling: WebSocketSignaling;
  readonly #now: () => number;
  readonly abort = new AbortController();
  #channel: MessageChannel | undefined;

  constructor(machine: MessageMachine<Event>, signaling: WebSocketSignaling, now: () => number) {
    this.#machine = machine;
    this.#signaling = signaling;
    this.#now = now;
    this.drain();
  }

  drain(): void {
    for (let event = this.#machine.pollEvent(); event !== undefined; event = this.#machine.pollEvent()) {
      this.events.put(event);
      if (event.type === "open") void this.#open();
    }
    for (let text = this.#machine.pollMessage(); text !== undefined; text = this.#machine.pollMessage()) {
      this.#channel?.send(text);
    }
  }

  async #open(): Promise<void> {
    try {
      this.#channel = await this.#signaling.open({ signal: this.abort.signal });
      this.#machine.handleOpen(this.#now());
      this.drain();
      for await (const message of this.#channel.messages) {
        this.#machine.handleMessage(message, this.#now());
        this.drain();
      }
    } catch {
      // The machine is told below.
    }
    this.#machine.handleClosed(this.#now());
    this.drain();
  }
}

Deno.test("serve carries a call over WebSockets, and counts it", async () => {
  await using service = await start();
  const host = new DenoHost();
  const signaling = websocket(`ws://${service.address}`);
  const now = (): number => host.now();
  const common = { epochMs: host.epochMs, hub: signaling.hub, allowLoopback: true };
  const bob = new HubListener({ ...contextOf(2), ...common, name: "bob", allow: { any: true, keys: [] } });
  bob.publish([candidate("127.0.0.1 4000")], now());
  const listening = new Shell<ListenerEvent>(bob, signaling, now);
  for (const type of ["open", "stunServers", "registered"]) strictEqual((await listening.events.next()).type, type);

  const callee = { kind: "name", name: "bob", key: undefined } as const;
  const alice = new HubCaller({ ...contextOf(1), ...common, callee });
  alice.offer([candidate("127.0.0.1 5000")], now());
  const calling = new Shell<CallerEvent>(alice, signaling, now);
  strictEqual((await calling.events.next()).type, "open");
  const stun = await calling.events.next();
  ok(stun.type === "stunServers");
  deepStrictEqual(stun.servers, [service.stunAddresses[0]!.toString()]);
  const answer = await calling.events.next();
  const offer = await listening.events.next();
  ok(answer.type === "answer" && offer.type === "offer");
  strictEqual(answer.call.id, offer.call.id);
  deepStrictEqual(answer.call.localCredentials, offer.call.remoteCredentials);

  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  for (const line of ["hub_clients 2", "hub_names 1", "hub_offers_total 1", "hub_early_answers_total 1"]) {
    ok(metrics.includes(`\ntraverse_${line}\n`), line);
  }
  calling.abort.abort();
  listening.abort.abort();
  while ((await listening.events.next()).type !== "unregistered");
});

Deno.test("serve has health, metrics, and an explanation for who is not a WebSocket", async () => {
  await using service = await start();
  const answers: [string, number, string][] = [];
  for (const path of ["/health", "/metrics", "/signal", "/", "/health?x"]) {
    const response = await fetch(service.url + path);
    answers.push([path, response.status, response.headers.get("content-type") ?? ""]);
    await response.text();
  }
  deepStrictEqual(answers, [
    ["/health", 200, "text/plain; charset=utf-8"],
    ["/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"],
    ["/signal", 426, ""],
    ["/", 404, ""],
    ["/health?x", 200, "text/plain; charset=utf-8"],
  ]);
});

Deno.test("serve refuses a request whose header is over 8 KiB", async () => {
  await using service = await start();
  const response = await fetch(`${service.url}/health`, { headers: { a: "x".repeat(9000) } });
  strictEqual(response.status, 431);
  await response.body?.cancel();
});

Deno.test("serve with a token lets in only who shows it", async () => {
  await using service = await start({ token: "open sesame" });
  const signal = new AbortController().signal;
  for (const token of [undefined, "", "open", "open sesam", "open sesame!"]) {
    const channel = await websocket(`ws://${service.address}`, token === undefined ? {} : { token }).open({ signal });
    channel.send('{"t":"ping"}');
    await rejects(channel.messages.getReader().read(), (error) => {
      ok(error instanceof SignalingRefusedError);
      match(error.message, token === undefined ? /401, a --token is asked for/ : /401, another --token is asked for/);
      return true;
    });
  }
  const channel = await websocket(`ws://${service.address}`, { token: "open sesame" }).open({ signal });
  channel.send('{"t":"ping"}');
  deepStrictEqual(await channel.messages.getReader().read(), { done: false, value: '{"t":"pong"}' });
  channel.close();
});

Deno.test("serve with a token ends calls and listening that show another at once", async () => {
  await using service = await start({ token: "open sesame" });
  const options = { signaling: `ws://${service.address}`, token: "sesame", loopback: true, stun: [] };
  const isRefusal = (error: unknown): boolean => {
    ok(error instanceof DialError);
    strictEqual(error.reason, "hub");
    match(error.message, /another --token is asked for/);
    return true;
  };
  await rejects(dial({ ...options, peer: "bob" }), isRefusal);
  const listener = listen({ ...options, name: "bob" });
  for (const promise of [listener.ticket, listener.ready, listener.closed]) await rejects(promise, isRefusal);
  match(service.metrics(), /traverse_http_refused_total 2\n/);
});

Deno.test("serve with a certificate is wss:", async () => {
  const certificate = selfSignedCertificate("P-256");
  await using service = await start({ tls: { cert: certificate.pem, key: certificate.keyPem } });
  const signal = new AbortController().signal;
  for (const hostname of ["localhost", "127.0.0.1"]) {
    const url = `wss://${hostname}:${service.address.port}`;
    const channel = await websocket(url, { caCerts: [certificate.pem] }).open({ signal });
    channel.send('{"t":"ping"}');
    deepStrictEqual(await channel.messages.getReader().read(), { done: false, value: '{"t":"pong"}' });
    channel.close();
    await rejects(websocket(url).open({ signal }), /Cannot reach/);
  }
});

Deno.test("serve disconnects a client that sends a message over the limit", async () => {
  await using service = await start();
  const socket = new WebSocket(`ws://${service.address}/signal`);
  await new Promise((resolve) => socket.onopen = resolve);
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  socket.send("x".repeat(8193));
  strictEqual((await closed).code, 1009);
});

Deno.test("serve answers nonsense with an error and a close", async () => {
  await using service = await start();
  const channel = await websocket(`ws://${service.address}`).open({ signal: new AbortController().signal });
  channel.send("nonsense");
  const reader = channel.messages.getReader();
  deepStrictEqual(await reader.read(), { done: false, value: '{"t":"error","reason":"malformed"}' });
  deepStrictEqual(await reader.read(), { done: true, value: undefined });
});

/** Asks from loopback, and returns where the answer came from and its attributes, next to what they ought to be. */
async function askStun(
  remote: Address,
): Promise<{ readonly from: string; readonly said: string; readonly due: string }> {
  using host = new DenoHost();
  const { promise, resolve } = Promise.withResolvers<Datagram>();
  const queue: Datagram[] = [];
  const machine: Machine<never> = {
    handleDatagram: (datagram) => resolve({ ...datagram, payload: datagram.payload.slice() }),
    handleTimeout: () => {},
    pollTransmit: () => queue.shift(),
    pollEvent: () => undefined,
    pollTimeout: () => undefined,
  };
  const driver = new Driver(machine, host, () => {});
  const base = host.bind(addressOf("127.0.0.1", 0));
  queue.push({ base, remote, payload: fromHex("00010000 2112a442 000102030405060708090a0b") });
  driver.drain();
  const answer = await promise;
  const port = (base.local.port ^ 0x2112).toString(16).padStart(4, "0");
  return {
    from: answer.remote.toString(),
    said: toHex(answer.payload.subarray(20)),
    due: `002000080001${port}5e12a443`,
  };
}

Deno.test("serve answers STUN on its own socket (RFC 8489 §14.2)", async () => {
  await using service = await start();
  const remote = service.stunAddresses[0]!;
  const { from, said, due } = await askStun(remote);
  strictEqual(from, remote.toString());
  // Then RESPONSE-ORIGIN and OTHER-ADDRESS: RFC 5780 §7.3, §7.4.
  ok(said.startsWith(due));
  match(said.slice(due.length), /^802b00080001[0-9a-f]{4}7f000001802c00080001[0-9a-f]{4}7f000001$/);
  match(service.metrics(), /traverse_stun_answers_total 1\n/);
});

Deno.test("serve says what to do when an address is taken", async () => {
  await using service = await start();
  await rejects(start({ listen: service.address.toString() }), /Cannot listen on 127\.0\.0\.1:\d+: /);
  await rejects(start({ stun: [service.stunAddresses[0]!.toString()] }), /Give --stun another address/);
  await rejects(start({ listen: "localhost" }), TypeError);
  await rejects(start({ stun: ["127.0.0.1:65536"] }), TypeError);
});

Deno.test("serve listens on names, and its URL says the name", async () => {
  await using service = await start({ listen: "localhost:0", stun: ["localhost:0"] });
  const { port } = service.address;
  deepStrictEqual(service.urls, [`ws://localhost:${port}/signal`]);
  strictEqual(service.stunAddresses[0]!.host, service.address.host);
  strictEqual(await (await fetch(`http://localhost:${port}/health`)).text(), "ok\n");
  deepStrictEqual(service.notes, []);
});

Deno.test("serve that listens everywhere tells URLs with addresses of this machine", async () => {
  await using service = await start({ listen: "0.0.0.0:0" });
  const { port } = service.address;
  ok(service.urls.length > 0);
  for (const url of service.urls) match(url, new RegExp(`^ws://(?!0\\.0)\\d+\\.\\d+\\.\\d+\\.\\d+:${port}/signal$`));
});

/** A host that may not list its interfaces. */
class BlindHost extends DenoHost {
  override interfaces(): readonly NetworkInterface[] {
    return [];
  }
}

Deno.test("serve that does not know this machine's addresses has one STUN socket for all, and says so", async () => {
  for (const wildcard of ["0.0.0.0", "[::]"]) {
    await using service = await start({ host: new BlindHost(), listen: `${wildcard}:0`, stun: [`${wildcard}:0`] });
    deepStrictEqual(service.urls, []);
    deepStrictEqual(service.notes, [WILDCARD_STUN_NOTE]);
    const [stun] = service.stunAddresses;
    strictEqual(service.stunAddresses.length, 1);
    strictEqual(stun!.toString(), `${wildcard}:${stun!.port}`);
    const { from, said, due } = await askStun(addressOf("127.0.0.1", stun!.port));
    strictEqual(from, `127.0.0.1:${stun!.port}`);
    strictEqual(said, due);
  }
});

Deno.test("serve that closes ends its channels", async () => {
  const service = await start();
  const channel = await websocket(`ws://${service.address}`).open({ signal: new AbortController().signal });
  channel.send('{"t":"ping"}');
  const reader = channel.messages.getReader();
  await reader.read();
  const end = reader.read().catch(() => ({ done: true }));
  await service.close();
  strictEqual((await end).done, true);
});
