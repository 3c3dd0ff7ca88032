import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { type Address, addressOf } from "../../../protocols/core/address.ts";
import type { Datagram } from "../../../protocols/core/machine.ts";
import { IceAgent, MAX_QUEUED_ANSWERS } from "../../../protocols/ice/agent.ts";
import { MAX_CHECKS } from "../../../protocols/ice/checks_in_flight.ts";
import { encodeCheck, integrityKeyOf } from "../../../protocols/ice/connectivity_check.ts";
import type { IceConfig } from "../../../protocols/ice/types.ts";
import { transactionKey } from "../../../protocols/stun/classify.ts";
import { decodeStun, encodeStun } from "../../../protocols/stun/npm_stun.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { socketBase } from "../../support/ice_pair.ts";

const local = { ufrag: "locl", password: "our password of 22 char" };
const remote = { ufrag: "rmte", password: "their password, 22 char" };
const localKey = integrityKeyOf(local);
const remoteKey = integrityKeyOf(remote);
const base = socketBase("192.0.2.1:1000");
const peer = addressOf("192.0.2.2", 2000);

Deno.test("Agent is silent to strangers, and counts them", () => {
  const agent = agentWith({});
  const stranger = check(1, { key: remoteKey });
  agent.handleDatagram(from(peer, stranger), 0);
  agent.handleDatagram(from(peer, encodeStun({ class: "request", transactionId: new Uint8Array(12) })), 0);
  agent.handleDatagram(from(peer, new Uint8Array(50)), 0);
  agent.handleDatagram(from(peer, encodeStun({ class: "success", transactionId: new Uint8Array(12) })), 0);
  agent.handleDatagram(from(peer, encodeStun({ class: "indication", transactionId: new Uint8Array(12) })), 0);
  strictEqual(agent.pollTransmit(0), undefined);
  strictEqual(agent.pollEvent(), undefined);
  deepStrictEqual([...agent.drops], [
    ["request not authentic", 1],
    ["request without credentials", 1],
    ["not STUN", 1],
    ["response to nothing", 1],
  ]);
});

Deno.test("Agent goes on when a response is forged or changed (RFC 8489 §9.1.5)", () => {
  const agent = checking();
  const request = agent.pollTransmit(0)!;
  const success = answer(request, { key: remoteKey });
  for (let end = 0; end < success.length; end++) agent.handleDatagram(from(peer, success.subarray(0, end)), 1);
  // All but FINGERPRINT, which authenticates nothing: made into an unknown attribute it may be ignored.
  for (let bit = 0; bit < 8 * (success.length - 8); bit++) {
    const flipped = success.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    agent.handleDatagram(from(peer, flipped), 1);
  }
  agent.handleDatagram(from(peer, answer(request, { key: localKey })), 1);
  strictEqual(agent.pollEvent(), undefined);
  strictEqual(agent.ownsTransaction(transactionKey(request.payload)), true);
  agent.handleDatagram(from(peer, success), 2);
  strictEqual(agent.pollEvent()?.type, "authenticatedCheck");
  strictEqual(agent.pollEvent()?.type, "valid");
  strictEqual(agent.ownsTransaction(transactionKey(request.payload)), false);
});

Deno.test("Agent wants the response from where it asked (RFC 8445 §7.2.5.2.1)", () => {
  const agent = checking();
  const request = agent.pollTransmit(0)!;
  const elsewhere = addressOf("192.0.2.3", 2000);
  agent.handleDatagram(from(elsewhere, answer(request, { key: remoteKey })), 1);
  deepStrictEqual(agent.report().map(({ state, reason }) => [state, reason]), [
    ["failed", "response from 192.0.2.3:2000"],
  ]);
  strictEqual(agent.pollEvent(), undefined);
});

Deno.test("Agent gives a pair up that the peer answers with an error (RFC 8445 §7.2.5.2.4)", () => {
  const agent = checking();
  const { transactionId } = decoded(agent.pollTransmit(0)!.payload);
  const error = { code: 500, reason: "Server Error" };
  agent.handleDatagram(from(peer, encodeStun({ class: "error", transactionId, error, integrityKey: remoteKey })), 1);
  deepStrictEqual(agent.report().map(({ state, reason }) => [state, reason]), [["failed", "error 500"]]);
});

Deno.test("Agent refuses an authentic check with what it does not know, or without a priority (RFC 8489 §6.3.1)", () => {
  const agent = agentWith({});
  const username = "locl:rmte";
  const iceControlled = new Uint8Array(8);
  const transactionId = new Uint8Array(12);
  const request = encodeStun({ class: "request", transactionId, username, iceControlled, integrityKey: localKey });
  agent.handleDatagram(from(peer, request), 0);
  deepStrictEqual(decoded(agent.pollTransmit(0)!.payload).error, { code: 400, reason: "Bad Request" });
  strictEqual(agent.pollEvent(), undefined);
});

Deno.test("Agent tells of each path once, however many checks come", () => {
  const agent = agentWith({});
  for (let n = 1; n <= 5; n++) {
    agent.handleDatagram(from(peer, check(n)), n);
    ok(agent.pollTransmit(n));
  }
  strictEqual(agent.pollEvent()?.type, "authenticatedCheck");
  strictEqual(agent.pollEvent(), undefined);
  strictEqual(agent.report()[0]?.requestsReceived, 5);
});

Deno.test("Agent bounds what an authenticated peer can make it remember and send", () => {
  const agent = agentWith({ maxPeerReflexive: 3 });
  for (let n = 1; n <= 40; n++) agent.handleDatagram(from(addressOf("192.0.2.2", 2000 + n), check(n)), 0);
  let answers = 0;
  while (agent.pollTransmit(0) !== undefined) answers++;
  strictEqual(answers, MAX_QUEUED_ANSWERS);
  strictEqual(agent.report().length, 3);
  deepStrictEqual([...agent.drops], [
    ["more than 3 peer-reflexive candidates", MAX_QUEUED_ANSWERS - 3],
    ["too many requests at once", 40 - MAX_QUEUED_ANSWERS],
  ]);
});

Deno.test("Agent bounds checks under way, however often the peer triggers one", () => {
  const agent = checking();
  let now = 0;
  const keys = new Set<string>();
  for (let n = 1; n <= 2 * MAX_CHECKS; n++) {
    agent.handleDatagram(from(peer, check(n)), now);
    for (let step = 0; step < 10; step++) {
      const sent = agent.pollTransmit(now);
      if (sent === undefined) break;
      if (decoded(sent.payload).class === "request") keys.add(transactionKey(sent.payload));
    }
    now += 5;
  }
  ok(keys.size > MAX_CHECKS);
  strictEqual([...keys].filter((key) => agent.ownsTransaction(key)).length, MAX_CHECKS);
});

Deno.test("Agent never answers with more than three times what it got", () => {
  const agent = agentWith({});
  const small = check(1);
  agent.handleDatagram(from(peer, small), 0);
  ok(agent.pollTransmit(0)!.payload.length <= 3 * small.length);
});

Deno.test("Agent answers after it has failed and after it has concluded, for as long as it lives", () => {
  const agent = checking({ nomination: "automatic", keepaliveMs: Infinity });
  const first = agent.pollTransmit(0)!;
  agent.handleDatagram(from(peer, answer(first, { key: remoteKey })), 10);
  const nomination = agent.pollTransmit(10)!;
  strictEqual(decoded(nomination.payload).useCandidate, true);
  agent.handleDatagram(from(peer, answer(nomination, { key: remoteKey })), 20);
  strictEqual(agent.nominated?.remote, peer);
  const hourLater = 3_600_000;
  agent.handleDatagram(from(addressOf("192.0.2.9", 9), check(7)), hourLater);
  strictEqual(decoded(agent.pollTransmit(hourLater)!.payload).class, "success");
  // But it starts no check of its own any more.
  strictEqual(agent.pollTransmit(hourLater), undefined);
  strictEqual(agent.pollTimeout(), undefined);
});

Deno.test("Agent survives random bytes and random operations", () => {
  const seed = 20261122;
  const random = seededRandom(seed);
  for (let round = 0; round < 20; round++) {
    const agent = checking({ nomination: round % 2 === 0 ? "automatic" : "command" });
    let now = 0;
    let lastSent: Datagram | undefined;
    for (let step = 0; step < 200; step++) {
      const [kind, a, b, c] = random.fill(new Uint8Array(4));
      const source = addressOf(`192.0.2.${a! % 4 + 1}`, 2000 + b! % 3);
      switch (kind! % 8) {
        case 0:
          agent.handleDatagram(from(source, random.fill(new Uint8Array(c!))), now);
          break;
        case 1:
          agent.handleDatagram(from(source, check(1000 * round + step, { useCandidate: c! > 127 })), now);
          break;
        case 2:
          if (lastSent !== undefined) agent.handleDatagram(from(source, answer(lastSent, { key: remoteKey })), now);
          break;
        case 3:
          agent.addRemoteCandidate({ type: c! > 127 ? "host" : "srflx", address: source }, now);
          break;
        case 4:
          agent.nominate(base, source, now);
          break;
        case 5:
          agent.handleSocketError({ base, remote: source, code: "ENETUNREACH" }, now);
          break;
        case 6:
          agent.addLocalCandidate({ type: "srflx", address: addressOf("203.0.113.1", c! + 1), base }, now);
          break;
        case 7:
          agent.removeLocalCandidate({ type: "srflx", address: addressOf("203.0.113.1", c! + 1), base }, now);
          break;
      }
      // The polls run dry, and the alarm never asks for the past for ever.
      for (let poll = 0;; poll++) {
        ok(poll < 100, `seed ${seed}, round ${round}, step ${step}`);
        while (agent.pollEvent() !== undefined);
        const sent = agent.pollTransmit(now);
        if (sent !== undefined && decoded(sent.payload).class === "request") lastSent = sent;
        if (sent !== undefined) continue;
        agent.handleTimeout(now);
        const at = agent.pollTimeout();
        if (at === undefined || at > now) break;
      }
      now += c! * 10;
    }
  }
});

function agentWith(config: Partial<IceConfig>): IceAgent {
  const agent = new IceAgent({
    role: "controlling",
    local,
    now: 0,
    random: seededRandom(1),
    config: { taMs: 5, ...config },
  });
  agent.addLocalCandidate({ type: "host", address: base.local, base }, 0);
  return agent;
}

function checking(config: Partial<IceConfig> = {}): IceAgent {
  const agent = agentWith(config);
  agent.setRemoteCredentials(remote, 0);
  agent.addRemoteCandidate({ type: "host", address: peer }, 0);
  return agent;
}

function from(address: Address, payload: Uint8Array): Datagram {
  return { base, remote: address, payload };
}

/** A check of the peer's. */
function check(
  number: number,
  options: { readonly key?: Uint8Array; readonly useCandidate?: boolean } = {},
): Uint8Array {
  const transactionId = new Uint8Array(12);
  new DataView(transactionId.buffer).setUint32(0, number);
  return encodeCheck({
    transactionId,
    local: remote,
    remote: local,
    remoteKey: options.key ?? localKey,
    priority: 1,
    role: "controlled",
    tiebreaker: new Uint8Array(8),
    useCandidate: options.useCandidate ?? false,
  });
}

function answer(request: Datagram, options: { readonly key: Uint8Array }): Uint8Array {
  const { transactionId } = decoded(request.payload);
  return encodeStun({ class: "success", transactionId, xorMappedAddress: base.local, integrityKey: options.key });
}

function decoded(payload: Uint8Array): Extract<ReturnType<typeof decodeStun>, { ok: true }> {
  const message = decodeStun(payload);
  if (!message.ok) throw new Error(message.reason);
  return message;
}
