import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { decodeTicket, MAX_TICKET_LENGTH, TICKET_LIFETIME_MS } from "../../signaling/ticket_codec.ts";
import { dialTicket, listenWithTicket } from "../support/virtual_peers.ts";
import type { VirtualPeer } from "../support/virtual_peers.ts";
import { World } from "../support/virtual_world.ts";

const SECOND_MS = 1000;

/** Port-restricted, and forgetful: what people have at home. */
const NAT = { mapping: "EIM", filtering: "APDF", timeoutMs: 30 * SECOND_MS } as const;

/** How long people take to copy a string from one machine to the other. */
const PASTE_MS = 90 * SECOND_MS;

/** No hub: only STUN. */
function listenerOf(world: World): { readonly listener: VirtualPeer; readonly ticket: string } {
  const { net, b, stun, echo } = world;
  const listener = listenWithTicket(net, b, { hub: undefined, stun, onConnection: echo.answer });
  net.run({ until: SECOND_MS });
  return { listener, ticket: listener.first("ticket")!.event.text };
}

function callerOf(world: World, ticket: string): { readonly caller: VirtualPeer; readonly answer: string } {
  const { net, a, stun, echo } = world;
  const caller = dialTicket(net, a, ticket, { hub: undefined, stun, onSession: echo.ask, onConnection: echo.hear });
  net.run({ until: net.now + SECOND_MS });
  return { caller, answer: caller.first("ticket")!.event.text };
}

Deno.test("ticket mode connects through port-restricted NATs that forget after 30 s, with 90 s between the pastes", () => {
  const world = new World({ seed: 1, caller: NAT, listener: NAT });
  world.stopHub();
  const { listener, ticket } = listenerOf(world);
  world.net.run({ until: PASTE_MS });
  const { caller, answer } = callerOf(world, ticket);
  ok(ticket.length <= MAX_TICKET_LENGTH && answer.length <= MAX_TICKET_LENGTH, `${ticket.length}, ${answer.length}`);
  const pastedAt = 2 * PASTE_MS;
  world.net.run({ until: pastedAt });
  deepStrictEqual([caller.sessions.length, caller.first("failed")], [0, undefined]);
  listener.paste(answer);
  world.net.run({ until: pastedAt + 10 * SECOND_MS });
  strictEqual(world.echo.returned, "hello");
  // The listener's own check is what the caller waits for: half a round trip, then a handshake, then the echo.
  const checkedAt = pastedAt + 5 + 77.5;
  deepStrictEqual(caller.sessions[0]!.times["checked"], checkedAt - PASTE_MS);
  deepStrictEqual(caller.sessions[0]!.times["handshake"], checkedAt + 155 - PASTE_MS);
  strictEqual(world.echo.firstByteAt, checkedAt + 2 * 155);
});

Deno.test("ticket mode: the caller knocks until the ticket expires, then says so", () => {
  const world = new World({ seed: 2, caller: NAT, listener: NAT });
  const { ticket } = listenerOf(world);
  const { caller } = callerOf(world, ticket);
  world.net.run({ until: SECOND_MS + TICKET_LIFETIME_MS + 120 * SECOND_MS });
  const failed = caller.first("failed");
  ok(failed !== undefined && failed.at >= TICKET_LIFETIME_MS && failed.at <= TICKET_LIFETIME_MS + 61 * SECOND_MS);
  strictEqual(failed.event.reason, "unreachablePeer");
  match(failed.event.message, /^No direct path/);
  // One check every 2 s for each of two pairs, and the STUN questions: not a flood.
  const sent = world.net.trace.count("sent");
  ok(sent < 1500, `${sent} packets in ten minutes`);
  // Nothing is sent any more.
  const after = world.net.trace.count("sent");
  world.net.run({ until: world.net.now + 14 * SECOND_MS });
  ok(world.net.trace.count("sent") - after <= 2);
});

Deno.test("ticket mode: a ticket that is too old is refused by the caller, an answer that is too late by the listener", () => {
  const world = new World({ seed: 3, caller: NAT, listener: NAT });
  const { listener, ticket } = listenerOf(world);
  const { answer } = callerOf(world, ticket);
  world.net.run({ until: TICKET_LIFETIME_MS + 62 * SECOND_MS });
  const late = new World({ seed: 3, caller: NAT, listener: NAT });
  late.net.run({ until: world.net.now });
  const { net, a, stun } = late;
  const caller = dialTicket(net, a, ticket, { hub: undefined, stun });
  net.run({ until: net.now + SECOND_MS });
  const failed = caller.first("failed");
  strictEqual(failed?.event.reason, "expired");
  match(failed.event.message, /^The ticket has expired, or one of the two clocks is wrong/);
  listener.paste(answer);
  deepStrictEqual(listener.all("refused").map(({ reason }) => reason), ["expired"]);
  strictEqual(listener.sessions.length, 0);
});

Deno.test("ticket mode tells a typo from a foreign string, and goes on waiting after either", () => {
  const world = new World({ seed: 4, caller: NAT, listener: NAT });
  const { listener, ticket } = listenerOf(world);
  const { answer } = callerOf(world, ticket);
  const swapped = answer.slice(0, 20) + (answer[20] === "2" ? "3" : "2") + answer.slice(21);
  listener.paste(swapped);
  listener.paste(answer.slice(0, -1));
  listener.paste("hello, is this the right window?");
  listener.paste(ticket);
  deepStrictEqual(listener.all("mispaste").map(({ message }) => message.slice(0, 30)), [
    "This answer is damaged: a char",
    "This answer is damaged: a char",
    "This is not an answer: answers",
    "This is a ticket, not the answ",
  ]);
  strictEqual(decodeTicket(swapped, world.b.epochMs).kind, "problem");
  listener.paste(answer);
  world.net.run({ until: world.net.now + SECOND_MS });
  strictEqual(world.echo.returned, "hello");
});

Deno.test("ticket mode: one answer makes one session, however often it is pasted", () => {
  const world = new World({ seed: 5, caller: NAT, listener: NAT });
  const { listener, ticket } = listenerOf(world);
  const { caller, answer } = callerOf(world, ticket);
  listener.paste(answer);
  world.net.run({ until: world.net.now + SECOND_MS });
  listener.paste(answer);
  world.net.run({ until: world.net.now + SECOND_MS });
  deepStrictEqual([listener.sessions.length, caller.sessions.length], [1, 1]);
  deepStrictEqual(listener.all("refused").map(({ reason }) => reason), ["busy"]);
});
