import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import { UNUSED_CONNECTION_MS } from "../../service/relay_clients.ts";
import { Hub, IDLE_TIMEOUT_MS, MESSAGE_BURST } from "../../service/hub.ts";
import { type HubConnection, HubGate } from "../../service/hub_connection.ts";
import { MAX_SIGNALS, MAX_SIGNALS_PER_CONNECTION, refuseSignal } from "../../service/relay_signal.ts";
import { MAX_MESSAGE_LENGTH } from "../../signaling/channel.ts";
import { SignalPeer, SignalService, type SignalServiceOptions } from "../support/signal_world.ts";

const PING = '{"t":"ping"}\n';
const PONG = '{"t":"pong"}';

/** A service, and a client whose handshake is done. */
class World {
  readonly net = new VirtualNetwork({ seed: 31 });
  readonly service: SignalService;
  readonly peer: SignalPeer;

  constructor(options: SignalServiceOptions = {}) {
    this.service = new SignalService(this.net.host("server", { rttToCoreMs: 10 }), options);
    this.peer = this.join("client");
  }

  join(name: string): SignalPeer {
    const peer = new SignalPeer(this.net.host(name, { rttToCoreMs: 10 }), this.service.access);
    ok(this.until(() => peer.http3.peerSettings !== undefined));
    return peer;
  }

  until(isSo: () => boolean, maxMs = 5000): boolean {
    this.net.run({ until: this.net.now + maxMs, stopWhen: isSo });
    return isSo();
  }

  /** How often the relay counted something. */
  counted(name: Parameters<SignalService["relay"]["counters"]["get"]>[0]): number {
    return this.service.relay.counters.get(name) ?? 0;
  }

  get clients(): number {
    return this.service.hub.sizes.clients;
  }
}

Deno.test("Signaling at the relay: the answer to the first message comes with the head of the response", () => {
  const { net, peer, service } = new World();
  const at = net.now;
  const id = peer.ask({}, PING);
  net.run({ until: at + 1000, stopWhen: () => peer.lines(id).length > 0 });
  deepStrictEqual([peer.status(id), peer.lines(id), net.now - at], [200, [PONG], 20]);
  deepStrictEqual(peer.of("response", id)[0]?.response.fields, [["content-type", "application/jsonl"]]);
  deepStrictEqual([service.relay.signalCount, service.hub.sizes.clients], [1, 1]);
});

Deno.test("Signaling at the relay: without a hub it is not found, with other methods not allowed (RFC 9110 §15.5)", () => {
  const without = new World({ hasNoHub: true });
  const lost = without.peer.ask({}, PING);
  ok(without.until(() => without.peer.status(lost) !== undefined));
  strictEqual(without.peer.status(lost), 404);
  const world = new World();
  const get = world.peer.ask({ method: "GET" }, "", true);
  ok(world.until(() => world.peer.status(get) !== undefined));
  deepStrictEqual([world.peer.status(get), world.peer.of("response", get)[0]?.response.fields], [405, [[
    "allow",
    "POST",
  ]]]);
  const elsewhere = world.peer.ask({ path: "/signals" }, PING);
  ok(world.until(() => world.peer.status(elsewhere) !== undefined));
  strictEqual(world.peer.status(elsewhere), 404);
  deepStrictEqual([world.clients, world.counted("refused_signals"), without.counted("refused_signals")], [0, 1, 1]);
});

Deno.test("Signaling at the relay: the hub's token is asked for (RFC 6750 §2.1, §3)", () => {
  const world = new World({ hubToken: "secret" });
  const { peer } = world;
  for (const fields of [[], [["authorization", "Bearer wrong"]], [["authorization", "secret"]]] as const) {
    const id = peer.ask({ fields }, PING);
    ok(world.until(() => peer.status(id) !== undefined));
    deepStrictEqual(
      [peer.status(id), peer.of("response", id)[0]?.response.fields],
      [401, [["www-authenticate", "Bearer"]]],
    );
  }
  strictEqual(world.clients, 0);
  const id = peer.ask({ fields: [["authorization", "Bearer secret"]] }, PING);
  ok(world.until(() => peer.lines(id).length > 0));
  deepStrictEqual([peer.status(id), world.clients], [200, 1]);
});

Deno.test("Signaling at the relay: so many requests on one connection, and one more when one has ended", () => {
  const world = new World();
  const { peer } = world;
  const ids = Array.from({ length: MAX_SIGNALS_PER_CONNECTION }, () => peer.ask({}, PING));
  const beyond = peer.ask({}, PING);
  ok(world.until(() => peer.status(beyond) !== undefined));
  deepStrictEqual([...ids, beyond].map((id) => peer.status(id)), [200, 200, 200, 200, 429]);
  strictEqual(world.clients, MAX_SIGNALS_PER_CONNECTION);
  peer.http3.finish(ids[0]!);
  peer.drain();
  ok(world.until(() => world.clients === MAX_SIGNALS_PER_CONNECTION - 1));
  const again = peer.ask({}, PING);
  ok(world.until(() => peer.lines(again).length > 0));
  strictEqual(peer.status(again), 200);
});

Deno.test("Signaling at the relay: connections are left for those who may have a port", () => {
  const gate = new HubGate(new Hub<HubConnection>({ stunServers: [], epochMs: 0 }), undefined);
  const request = { method: "POST", fields: [] };
  const statusOf = (atRelay: number): number | undefined => {
    return refuseSignal(request, gate, { onConnection: 0, atRelay })?.status;
  };
  deepStrictEqual([statusOf(MAX_SIGNALS - 1), statusOf(MAX_SIGNALS)], [undefined, 503]);
});

Deno.test("Signaling at the relay: a line that is no message is answered by the hub, which then has enough of it", () => {
  for (const garbage of ["no JSON\n", "\n", '{"t":"nothing"}\n', '{"t":"register","record":"AA"}\n']) {
    const world = new World();
    const { peer } = world;
    const id = peer.ask({}, garbage + PING);
    ok(world.until(() => peer.of("stopped", id).length > 0));
    deepStrictEqual(peer.lines(id), ['{"t":"error","reason":"malformed"}'], garbage);
    // RFC 9114 §4.1: the response is complete, the rest of the request is of no interest.
    strictEqual(peer.of("stopped", id)[0]?.code, 0x0100);
    ok(peer.http3.isAtEnd(id));
    strictEqual(world.clients, 0);
  }
});

Deno.test("Signaling at the relay: too long, no text, cut short: the request ends with the code of RFC 9114 §8.1", () => {
  const cases: readonly [string, string | Uint8Array, boolean, number][] = [
    ["too long", `${"x".repeat(MAX_MESSAGE_LENGTH + 1)}\n`, false, 0x0107],
    ["too long, and no end", "x".repeat(MAX_MESSAGE_LENGTH + 1), false, 0x0107],
    ["no UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d, 0x0a), false, 0x010e],
    ["cut short", '{"t":"pi', true, 0x010e],
  ];
  for (const [what, content, isEnd, code] of cases) {
    const world = new World();
    const { peer } = world;
    const id = peer.ask({}, content, isEnd);
    ok(world.until(() => peer.of("reset", id).length > 0), what);
    deepStrictEqual([what, peer.of("reset", id)[0]?.code], [what, code]);
    deepStrictEqual([what, world.clients, world.counted("malformed_signals")], [what, 0, 1]);
    // Nothing else is touched by it.
    const other = peer.ask({}, PING);
    ok(world.until(() => peer.lines(other).length > 0), what);
  }
});

Deno.test("Signaling at the relay: a line of the greatest length is taken", () => {
  const world = new World();
  const { peer } = world;
  const padding = " ".repeat(MAX_MESSAGE_LENGTH - PING.length + 1);
  const id = peer.ask({}, `{"t":"ping"}${padding}\n`);
  ok(world.until(() => peer.lines(id).length > 0));
  deepStrictEqual(peer.lines(id), [PONG]);
});

Deno.test("Signaling at the relay: whoever says too much is cut off by the hub", () => {
  const world = new World();
  const { peer } = world;
  const id = peer.ask({}, PING.repeat(MESSAGE_BURST + 1));
  ok(world.until(() => peer.of("stopped", id).length > 0));
  deepStrictEqual(peer.lines(id), [
    ...Array.from({ length: MESSAGE_BURST }, () => PONG),
    '{"t":"error","reason":"limited"}',
  ]);
  strictEqual(world.clients, 0);
  strictEqual(world.service.hub.counters.get("rejected_rate"), 1);
});

Deno.test("Signaling at the relay: a client that does not read is cut off, and costs no more than its limits", () => {
  const world = new World();
  const { peer } = world;
  peer.isReading = false;
  const id = peer.ask({}, PING);
  ok(world.until(() => world.clients === 1));
  // 20 pings a second are allowed, each with an answer of 15 bytes: half an hour until windows and queues are full.
  let seconds = 0;
  for (; seconds < 4000 && world.clients === 1; seconds++) {
    peer.write(id, PING.repeat(20));
    world.net.run({ until: world.net.now + 1000 });
  }
  ok(seconds > 1000 && seconds < 4000, `${seconds}`);
  strictEqual(world.counted("slow_signals"), 1);
  deepStrictEqual(peer.of("reset", id).map(({ code }) => code), [0x0107]);
});

Deno.test("Signaling at the relay: what a client leaves behind, by end, by reset, by close, by silence", () => {
  const world = new World();
  const ways: readonly [string, (peer: SignalPeer, id: number) => void][] = [
    ["end", (peer, id) => peer.http3.finish(id)],
    ["reset", (peer, id) => peer.http3.abort(id, "H3_REQUEST_CANCELLED")],
    ["close", (peer) => peer.http3.close(world.net.now)],
  ];
  for (const [way, leave] of ways) {
    const peer = world.join(way);
    const id = peer.ask({}, PING);
    ok(world.until(() => world.clients === 1), way);
    leave(peer, id);
    peer.drain();
    ok(world.until(() => world.clients === 0 && world.service.relay.signalCount === 0), way);
  }
  // A connection that signals is in use; one that says nothing more is ended by the hub, and then by the relay.
  const silent = world.join("silent");
  const id = silent.ask({}, PING);
  world.net.run({ until: world.net.now + 2 * UNUSED_CONNECTION_MS });
  deepStrictEqual([world.clients, silent.http3.quic.state], [1, "confirmed"]);
  ok(world.until(() => silent.of("stopped", id).length > 0, 2 * IDLE_TIMEOUT_MS));
  deepStrictEqual([silent.of("stopped", id)[0]?.code, world.clients], [0x0100, 0]);
  ok(world.until(() => silent.events.some(({ type }) => type === "closed"), 2 * UNUSED_CONNECTION_MS));
  strictEqual(world.service.relay.sizes.connections, 0);
});
