import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parseCallee } from "../../signaling/callee.ts";
import { isKeyOf } from "../../signaling/identity.ts";
import type { CallerEvent, ListenerEvent } from "../../signaling/machines.ts";
import { TicketCaller } from "../../signaling/ticket_caller.ts";
import { TICKET_LIFETIME_MS } from "../../signaling/ticket_codec.ts";
import type { DirectTicket } from "../../signaling/ticket_codec.ts";
import { TicketListener } from "../../signaling/ticket_listener.ts";
import { candidate, contextOf, EPOCH_MS, eventsOf } from "../support/signaling_exchange.ts";

function drain<E>(machine: { pollEvent(): E | undefined }): E[] {
  const events: E[] = [];
  for (let event = machine.pollEvent(); event !== undefined && events.length < 100; event = machine.pollEvent()) {
    events.push(event);
  }
  return events;
}

function listen(seed = 2): { readonly listener: TicketListener; readonly text: string } {
  const listener = new TicketListener({ ...contextOf(seed), stunServers: ["stun.example:3478"] });
  listener.handleOpen(0);
  listener.publish([candidate("198.51.100.2"), candidate("198.51.100.9", "srflx")], 0);
  const [told] = eventsOf(drain<ListenerEvent>(listener), "ticket");
  strictEqual(listener.pollMessage(), told!.text);
  return { listener, text: told!.text };
}

function ticketOf(text: string): DirectTicket {
  const callee = parseCallee(text, EPOCH_MS);
  ok(callee.kind === "direct");
  return callee;
}

function call(ticket: DirectTicket, seed = 1, now = 1000): { readonly events: CallerEvent[]; readonly paste: string } {
  const caller = new TicketCaller({ ...contextOf(seed), ticket });
  caller.handleOpen(now);
  caller.offer([candidate("203.0.113.1")], now);
  return { events: drain<CallerEvent>(caller), paste: caller.pollMessage() ?? "" };
}

Deno.test("Two strings bring both sides to the same call, without any server", () => {
  const { listener, text } = listen();
  const { events, paste } = call(ticketOf(text));
  ok(text.length <= 160 && paste.length <= 160);
  deepStrictEqual(events.map(({ type }) => type), ["open", "stunServers", "paste", "answer"]);
  strictEqual(eventsOf(events, "paste")[0]!.text, paste);
  const answered = eventsOf(events, "answer")[0]!.call;
  listener.handleMessage(`${paste}\n`, 90_000);
  const offered = eventsOf(drain<ListenerEvent>(listener), "offer")[0]!.call;
  strictEqual(answered.id, offered.id);
  deepStrictEqual(answered.localCredentials, offered.remoteCredentials);
  deepStrictEqual(answered.remoteCredentials, offered.localCredentials);
  deepStrictEqual(answered.candidates, [candidate("198.51.100.2"), candidate("198.51.100.9", "srflx")]);
  deepStrictEqual(offered.candidates, [candidate("203.0.113.1")]);
  ok(isKeyOf(answered.remote, contextOf(2).key.publicKey.bytes));
  ok(isKeyOf(offered.remote, contextOf(1).key.publicKey.bytes));
  ok(!isKeyOf(offered.remote, contextOf(3).key.publicKey.bytes));
  strictEqual(answered.expiresAt, TICKET_LIFETIME_MS);
  strictEqual(offered.expiresAt, TICKET_LIFETIME_MS);
  strictEqual(answered.taMs, 5);
});

Deno.test("The ticket is made once, when the carrier is up and candidates are known", () => {
  const listener = new TicketListener({ ...contextOf(2), stunServers: [] });
  listener.publish([candidate("198.51.100.2")], 0);
  strictEqual(eventsOf(drain<ListenerEvent>(listener), "ticket").length, 0);
  listener.handleOpen(0);
  strictEqual(eventsOf(drain<ListenerEvent>(listener), "ticket").length, 1);
  listener.publish([candidate("198.51.100.3")], 0);
  strictEqual(eventsOf(drain<ListenerEvent>(listener), "ticket").length, 0);
});

Deno.test("An answer to another ticket, or with a character changed by somebody who mends the checksum, is refused", () => {
  const { listener } = listen();
  const other = listen(4);
  const { paste } = call(ticketOf(other.text));
  listener.handleMessage(paste, 0);
  deepStrictEqual(drain<ListenerEvent>(listener).map(({ type }) => type), ["refused"]);
  deepStrictEqual([...listener.refusals], [["forged", 1]]);
});

Deno.test("An answer pasted twice is refused the second time", () => {
  const { listener, text } = listen();
  const { paste } = call(ticketOf(text));
  listener.handleMessage(paste, 0);
  listener.handleMessage(paste, 0);
  deepStrictEqual(drain<ListenerEvent>(listener).map(({ type }) => type), ["offer", "refused"]);
  deepStrictEqual([...listener.refusals], [["replayed", 1]]);
});

Deno.test("A ticket is good for ten minutes, for caller and listener", () => {
  const { listener, text } = listen();
  const ticket = ticketOf(text);
  const { paste } = call(ticket, 1, TICKET_LIFETIME_MS - 1);
  listener.handleMessage(paste, TICKET_LIFETIME_MS);
  deepStrictEqual([...listener.refusals], [["expired", 1]]);
  const { events } = call(ticket, 1, TICKET_LIFETIME_MS);
  strictEqual(eventsOf(events, "failed")[0]!.reason, "expired");
});

Deno.test("Caller and listener agree on when a ticket expires, which is at a whole minute", () => {
  const listener = new TicketListener({ ...contextOf(2), stunServers: [] });
  listener.handleOpen(1);
  listener.publish([], 1);
  const { events, paste } = call(ticketOf(listener.pollMessage()!), 1, 2);
  listener.handleMessage(paste, 3);
  const [offered] = eventsOf(drain<ListenerEvent>(listener), "offer");
  strictEqual(offered!.call.expiresAt, TICKET_LIFETIME_MS + 60_000);
  strictEqual(eventsOf(events, "answer")[0]!.call.expiresAt, offered!.call.expiresAt);
});

Deno.test("Pasting a ticket, a damaged answer or anything else says what is wrong, and waits on", () => {
  const { listener, text } = listen();
  const { paste } = call(ticketOf(text));
  for (const wrong of [text, paste.slice(1, -1), paste.slice(0, -1), "hello", ""]) {
    listener.handleMessage(wrong, 0);
    deepStrictEqual(drain<ListenerEvent>(listener).map(({ type }) => type), ["mispaste"], wrong);
  }
  listener.handleMessage(paste, 0);
  deepStrictEqual(drain<ListenerEvent>(listener).map(({ type }) => type), ["offer"]);
});

Deno.test("Our own ticket is refused as callee, and our own answer as caller", () => {
  const { listener, text } = listen();
  const { events } = call(ticketOf(text), 2);
  deepStrictEqual(events.map(({ type }) => type), ["failed"]);
  strictEqual(eventsOf(events, "failed")[0]!.reason, "ourself");
  strictEqual(listener.pollTimeout(), undefined);
});

Deno.test("A busy listener refuses an answer", () => {
  const { listener, text } = listen();
  listener.setBusy(true, 0);
  listener.handleMessage(call(ticketOf(text)).paste, 0);
  deepStrictEqual([...listener.refusals], [["busy", 1]]);
});
