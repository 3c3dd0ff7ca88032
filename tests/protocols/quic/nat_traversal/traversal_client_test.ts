import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf, parseAddress } from "../../../../protocols/core/address.ts";
import { Writer } from "../../../../protocols/core/writer.ts";
import type { Probe } from "../../../../protocols/quic/nat_traversal/traversal.ts";
import {
  FIRST_PAUSE_MS,
  MAX_REQUESTS,
  MIN_ROUND_MS,
  PAUSE_MS,
  ROUND_MS,
  TraversalClient,
} from "../../../../protocols/quic/nat_traversal/traversal_client.ts";
import {
  FREE_LEAVE,
  hostOf,
  runAlone,
  setupOf,
  socketAt,
  srflxOf,
  takeEvents,
  takeFrames,
  takeProbes,
  takeRequests,
} from "../../../support/traversal_ends.ts";

const LAN = socketAt("192.168.1.2:4000");
const DATA = new Uint8Array(8).fill(7);
const SERVER = parseAddress("203.0.113.7:50000");

function clientWith(...extra: string[]): TraversalClient {
  const client = new TraversalClient(setupOf());
  client.addCandidate(hostOf(LAN), 0);
  for (const address of extra) client.addCandidate(srflxOf(LAN, address), 0);
  return client;
}

function add(client: TraversalClient, sequenceNumber: number, address: string, now: number): void {
  client.onFrame({ type: "ADD_ADDRESS", sequenceNumber, address: parseAddress(address) }, now);
}

const show = ({ base, remote }: Probe): string => `${base.local} ${remote}`;

/** Has the path of a probe answer after a round trip. */
function answer(client: TraversalClient, probe: Probe, now: number): boolean {
  return client.onResponse(probe, probe.challenge!, 40, now);
}

Deno.test("TraversalClient asks as soon as both sides have an address, and probes at once (draft-seemann -02 §4.2)", () => {
  const client = clientWith("198.51.100.1:4000");
  strictEqual(client.hasFrame(0), false);
  strictEqual(client.timeoutAt, undefined);
  add(client, 0, "203.0.113.7:50000", 155);
  strictEqual(client.hasFrame(155), true);
  // Nothing is probed that was not asked for.
  deepStrictEqual(takeProbes(client, 155), []);
  deepStrictEqual(takeRequests(client, 155), [
    "1: 198.51.100.1:4000 with 0",
    "1: 192.168.1.2:4000 with 0",
  ]);
  // Two requests, one path: both addresses are of one base.
  deepStrictEqual(takeProbes(client, 155).map(show), ["192.168.1.2:4000 203.0.113.7:50000"]);
  strictEqual(client.hasFrame(155), false);
  deepStrictEqual(runAlone(client, 155 + ROUND_MS - 1).map(({ at }) => at - 155), [
    33,
    66,
    132,
    264,
    528,
    1056,
    2112,
    4112,
  ]);
});

Deno.test("TraversalClient forms a round of all that one datagram brings", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 10);
  add(client, 1, "10.0.0.1:50000", 10);
  deepStrictEqual(takeRequests(client, 10), ["1: 192.168.1.2:4000 with 1", "1: 192.168.1.2:4000 with 0"]);
});

Deno.test("TraversalClient asks for no more than the server allows, the best first; the rest has its turn in the next round (draft-seemann -02 §4.2)", () => {
  const client = new TraversalClient(setupOf({ concurrencyLimit: 2 }));
  client.addCandidate(hostOf(LAN), 0);
  for (let n = 0; n < 5; n++) add(client, n, `203.0.113.${n + 1}:50000`, 0);
  deepStrictEqual(takeRequests(client, 0), ["1: 192.168.1.2:4000 with 0", "1: 192.168.1.2:4000 with 1"]);
  strictEqual(client.hasFrame(MIN_ROUND_MS - 1), false);
  runAlone(client, MIN_ROUND_MS);
  deepStrictEqual(takeRequests(client, MIN_ROUND_MS), ["2: 192.168.1.2:4000 with 2", "2: 192.168.1.2:4000 with 3"]);
  runAlone(client, 2 * MIN_ROUND_MS);
  deepStrictEqual(takeRequests(client, 2 * MIN_ROUND_MS), [
    "3: 192.168.1.2:4000 with 4",
    "3: 192.168.1.2:4000 with 0",
  ]);
  // All have had a turn: this round runs its time.
  runAlone(client, 3 * MIN_ROUND_MS);
  strictEqual(client.round, 3);
});

Deno.test("TraversalClient never has more than 16 requests in a round, whatever the server allows", () => {
  const client = new TraversalClient(setupOf({ concurrencyLimit: Number.MAX_SAFE_INTEGER }));
  for (let n = 0; n < 32; n++) client.addCandidate(srflxOf(LAN, `198.51.100.1:${n + 1}`), 0);
  for (let n = 0; n < 1000; n++) add(client, n, `203.0.${n >> 8}.${n & 255}:50000`, 0);
  strictEqual(takeRequests(client, 0).length, MAX_REQUESTS);
  strictEqual(client.counts.addressesRefused, 1000 - 32);
  const atOnce = takeProbes(client, 0).length;
  strictEqual(atOnce <= MAX_REQUESTS, true);
});

Deno.test("TraversalClient takes new addresses into the round under way while there is room", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  add(client, 1, "203.0.113.8:50000", 500);
  deepStrictEqual(takeRequests(client, 500), ["1: 192.168.1.2:4000 with 1"]);
  client.addCandidate(srflxOf(LAN, "198.51.100.1:4000"), 600);
  deepStrictEqual(takeRequests(client, 600), ["1: 198.51.100.1:4000 with 0", "1: 198.51.100.1:4000 with 1"]);
  strictEqual(client.round, 1);
});

Deno.test("TraversalClient repeats a lost request while its round lasts, and its address is named", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  add(client, 1, "203.0.113.8:50000", 0);
  const [first, second] = takeFrames(client, "client", 0);
  client.onFrameLost(first!);
  deepStrictEqual(takeRequests(client, 300), ["1: 192.168.1.2:4000 with 0"]);
  client.onFrame({ type: "REMOVE_ADDRESS", sequenceNumber: 1 }, 400);
  client.onFrameLost(second!);
  strictEqual(client.hasFrame(400), false);
  client.restart(500);
  deepStrictEqual(takeRequests(client, 500), ["2: 192.168.1.2:4000 with 0"]);
  client.onFrameLost(first!);
  strictEqual(client.hasFrame(500), false);
});

Deno.test("TraversalClient does not ask for what was withdrawn before it could (draft-seemann -02 §4.1)", () => {
  const client = clientWith();
  client.onFrame({ type: "REMOVE_ADDRESS", sequenceNumber: 0 }, 0);
  add(client, 0, "203.0.113.7:50000", 0);
  strictEqual(client.hasFrame(0), false);
  add(client, 1, "203.0.113.8:50000", 0);
  strictEqual(client.hasFrame(0), true);
  client.onFrame({ type: "REMOVE_ADDRESS", sequenceNumber: 1 }, 0);
  strictEqual(client.hasFrame(0), false);
  // And stops probing what was.
  add(client, 2, "203.0.113.9:50000", 1);
  takeRequests(client, 1);
  const [probe] = takeProbes(client, 1);
  client.onFrame({ type: "REMOVE_ADDRESS", sequenceNumber: 2 }, 2);
  deepStrictEqual(runAlone(client, 5000), []);
  strictEqual(client.pollReleased(), probe!.id);
  strictEqual(client.pollReleased(), undefined);
});

Deno.test("TraversalClient leaves a request that does not fit for the next packet", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  strictEqual(client.hasFrame(0), true);
  strictEqual(client.writeFrame(new Writer(new Uint8Array(11)), 0), undefined);
  strictEqual(client.writeFrame(new Writer(new Uint8Array(12)), 0)?.type, "PUNCH_ME_NOW");
});

Deno.test("TraversalClient finds a path when its probe is answered, and proves 1200 bytes after it (RFC 9000 §8.2.1)", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 155);
  takeRequests(client, 155);
  takeProbes(client, 155);
  const [second] = takeProbes(client, 188);
  strictEqual(answer(client, second!, 343), true);
  deepStrictEqual(takeEvents(client), [{ type: "pathFound", base: LAN, remote: SERVER, rttMs: 155 }]);
  deepStrictEqual(client.best, { base: LAN, remote: SERVER, rttMs: 155 });
  strictEqual(client.isProven({ base: LAN, remote: SERVER }), true);
  const [full] = takeProbes(client, 343);
  deepStrictEqual([full!.isFullSize, full!.id], [true, second!.id]);
  strictEqual(answer(client, full!, 498), true);
  deepStrictEqual(takeEvents(client), [{ type: "pathSized", base: LAN, remote: SERVER }]);
  strictEqual(client.onResponse(second!, DATA, 40, 500), false);
  // Nothing more is asked or sent; the round ends in silence.
  deepStrictEqual(runAlone(client, 1e6), []);
  deepStrictEqual([takeEvents(client), takeRequests(client, 1e6)], [[], []]);
});

Deno.test("TraversalClient prefers the better pair, and the clearly faster one", () => {
  const other = socketAt("192.168.1.2:4001");
  const client = clientWith();
  client.addCandidate(hostOf(other), 0);
  add(client, 0, "10.0.0.1:50000", 0);
  add(client, 1, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  const probes = takeProbes(client, 0);
  deepStrictEqual(probes.map(show), [
    "192.168.1.2:4000 10.0.0.1:50000",
    "192.168.1.2:4001 10.0.0.1:50000",
    "192.168.1.2:4000 203.0.113.7:50000",
    "192.168.1.2:4001 203.0.113.7:50000",
  ]);
  const found = (): string[] =>
    takeEvents(client).map((event) => event.type === "pathFound" ? `${event.base.local} ${event.rttMs}` : event.type);
  answer(client, probes[1]!, 50);
  deepStrictEqual(found(), ["192.168.1.2:4001 50"]);
  // Worse pairs are given up, the better one is not.
  deepStrictEqual(takeProbes(client, 66).filter(({ isFullSize }) => !isFullSize).map(show), [show(probes[0]!)]);
  answer(client, probes[0]!, 70);
  // 70 ms is slower than 50: the better pair is not worth that.
  deepStrictEqual(found(), []);
  strictEqual(client.best?.rttMs, 50);
  const again = clientWith();
  again.addCandidate(hostOf(other), 0);
  add(again, 0, "10.0.0.1:50000", 0);
  takeRequests(again, 0);
  const [best, second] = takeProbes(again, 0);
  answer(again, second!, 50);
  answer(again, best!, 55);
  deepStrictEqual(
    takeEvents(again).map((event) => event.type === "pathFound" ? event.base.local.port : event.type),
    [4001, 4000],
  );
});

Deno.test("TraversalClient answers a probe from an address nobody named with a challenge, and finds the path", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  const stray = parseAddress("203.0.113.7:61234");
  strictEqual(client.acceptsFrom(LAN, 0), false);
  takeRequests(client, 0);
  takeProbes(client, 0);
  strictEqual(client.acceptsFrom(LAN, 0), true);
  client.onChallenge({ base: LAN, remote: stray }, DATA, 40, 200);
  const [probe] = takeProbes(client, 200).filter(({ remote }) => remote === stray);
  deepStrictEqual(probe!.response, DATA);
  answer(client, probe!, 355);
  deepStrictEqual(takeEvents(client), [{ type: "pathFound", base: LAN, remote: stray, rttMs: 155 }]);
});

Deno.test("TraversalClient believes only an answer that takes the way of its challenge back, and tries the other way", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  const [probe] = takeProbes(client, 0);
  const stray = parseAddress("203.0.113.7:61234");
  strictEqual(client.onResponse({ base: LAN, remote: stray }, probe!.challenge!, 40, 155), true);
  deepStrictEqual(takeEvents(client), []);
  const [next] = takeProbes(client, 155).filter(({ remote }) => remote === stray);
  answer(client, next!, 310);
  deepStrictEqual(takeEvents(client), [{ type: "pathFound", base: LAN, remote: stray, rttMs: 155 }]);
});

Deno.test("TraversalClient accepts strangers on its own sockets during a round only (RFC 9000 §9)", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  strictEqual(client.acceptsFrom(LAN, ROUND_MS - 1), true);
  strictEqual(client.acceptsFrom({ ...LAN, kind: "tunnel" }, 0), false);
  strictEqual(client.acceptsFrom(socketAt("192.168.1.2:4001"), 0), false);
  runAlone(client, ROUND_MS);
  strictEqual(client.acceptsFrom(LAN, ROUND_MS), false);
});

Deno.test("TraversalClient says that a round failed, and tries again after 5 s, then every minute", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  let now = 0;
  const pauses: number[] = [];
  for (let round = 1; round <= 4; round++) {
    deepStrictEqual(takeRequests(client, now), [`${round}: 192.168.1.2:4000 with 0`]);
    now += ROUND_MS;
    runAlone(client, now);
    const [event] = takeEvents(client);
    if (event?.type !== "roundFailed") throw new Error("The round has not failed");
    strictEqual(event.round, round);
    pauses.push(event.nextAt - now);
    now = event.nextAt;
    runAlone(client, now);
  }
  deepStrictEqual(pauses, [FIRST_PAUSE_MS, PAUSE_MS, PAUSE_MS, PAUSE_MS]);
  // A new address ends the pause.
  runAlone(client, now + ROUND_MS);
  add(client, 1, "203.0.113.8:50000", now + ROUND_MS + 5);
  strictEqual(takeRequests(client, now + ROUND_MS + 5).length, 2);
});

Deno.test("TraversalClient starts again when told that the path is lost, and when its base is gone", () => {
  const client = clientWith("198.51.100.1:4000");
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  const [probe] = takeProbes(client, 0);
  answer(client, probe!, 100);
  client.restart(5000);
  strictEqual(client.best, undefined);
  strictEqual(client.pollReleased(), probe!.id);
  strictEqual(takeRequests(client, 5000).length, 2);
  const [again] = takeProbes(client, 5000);
  strictEqual(again!.id === probe!.id, false);
  answer(client, again!, 5100);
  answer(client, takeProbes(client, 5100)[0]!, 5200);
  takeEvents(client);
  const other = socketAt("172.16.0.2:4000");
  client.addCandidate(hostOf(other), 6000);
  client.removeBase(LAN, 6000);
  deepStrictEqual(takeEvents(client), [{ type: "pathFailed", base: LAN, remote: SERVER }]);
  deepStrictEqual(takeRequests(client, 6000), ["3: 172.16.0.2:4000 with 0"]);
});

Deno.test("TraversalClient gives up a path that carries no 1200 bytes for the next best", () => {
  const client = clientWith();
  add(client, 0, "10.0.0.1:50000", 0);
  add(client, 1, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  const [near, far] = takeProbes(client, 0);
  answer(client, far!, 60);
  answer(client, near!, 60);
  strictEqual(takeEvents(client).length, 2);
  const [one, two] = takeProbes(client, 60);
  answer(client, [one!, two!].find(({ remote }) => remote === far!.remote)!, 130);
  deepStrictEqual(takeEvents(client), [{ type: "pathSized", base: LAN, remote: far!.remote }]);
  runAlone(client, 6000);
  deepStrictEqual(takeEvents(client), [
    { type: "pathFailed", base: LAN, remote: near!.remote },
    { type: "pathFound", base: LAN, remote: far!.remote, rttMs: 60 },
  ]);
});

Deno.test("TraversalClient tells of a path that went silent again only when it has shown its size", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  for (const at of [0, 2000, 4000]) {
    if (at > 0) client.restart(at);
    takeRequests(client, at);
    const [probe] = takeProbes(client, at);
    answer(client, probe!, at + 100);
    deepStrictEqual(takeEvents(client).length, at === 0 ? 1 : 0);
    const [full] = takeProbes(client, at + 100);
    strictEqual(full!.isFullSize, true);
    if (at === 4000) answer(client, full!, at + 200);
  }
  deepStrictEqual(takeEvents(client), [
    { type: "pathFound", base: LAN, remote: SERVER, rttMs: 100 },
    { type: "pathSized", base: LAN, remote: SERVER },
  ]);
  // What has shown its size, and is lost later, is lost for another reason.
  client.restart(9000);
  takeRequests(client, 9000);
  answer(client, takeProbes(client, 9000)[0]!, 9100);
  strictEqual(takeEvents(client).length, 1);
});

Deno.test("TraversalClient looks for a better path when a better address turns up later", () => {
  const client = clientWith("198.51.100.1:4000");
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  const [probe] = takeProbes(client, 0);
  answer(client, probe!, 100);
  answer(client, takeProbes(client, 100)[0]!, 200);
  runAlone(client, 20_000);
  add(client, 1, "203.0.113.8:50000", 20_000);
  deepStrictEqual(takeRequests(client, 20_000), []);
  add(client, 2, "192.168.1.9:50000", 20_001);
  deepStrictEqual(takeRequests(client, 20_001), ["2: 192.168.1.2:4000 with 2"]);
});

Deno.test("TraversalClient without connection IDs waits for one, and does not spin", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  add(client, 1, "203.0.113.8:50000", 0);
  takeRequests(client, 0);
  const none = { ...FREE_LEAVE, hasFreshId: false };
  const [first] = [client.pollProbe(0, FREE_LEAVE)!];
  strictEqual(client.pollProbe(0, none), undefined);
  // The path that has one goes on; the other waits.
  const sent = runAlone(client, 5000, none);
  strictEqual(sent.length, 8);
  strictEqual(sent.every(({ probe }) => probe.id === first.id), true);
  strictEqual(takeProbes(client, 5000).length, 1);
});

Deno.test("TraversalClient leaves a path alone that the host cannot reach", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  const [probe] = takeProbes(client, 0);
  client.onUnreachable(probe!, 0);
  deepStrictEqual(runAlone(client, ROUND_MS - 1), []);
  client.onUnreachable({ base: LAN, remote: addressOf("203.0.113.99", 1) }, 0);
});

Deno.test("TraversalClient that is stopped says, sends and wants nothing more", () => {
  const client = clientWith();
  add(client, 0, "203.0.113.7:50000", 0);
  takeRequests(client, 0);
  takeProbes(client, 0);
  client.stop();
  add(client, 1, "203.0.113.8:50000", 1);
  client.onChallenge({ base: LAN, remote: SERVER }, DATA, 40, 1);
  deepStrictEqual([takeRequests(client, 1), takeProbes(client, 1)], [[], []]);
  strictEqual(client.timeoutAt, undefined);
  strictEqual(client.acceptsFrom(LAN, 1), false);
});
