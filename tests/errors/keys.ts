/**
 * Rules about key updates and the limits of the AEADs: RFC 9001 §6.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { fromHex } from "../../protocols/core/bytes.ts";
import { backendWith, RogueEnd } from "../support/rogue_end.ts";
import { type Answer, EITHER, type ErrorRow } from "./row.ts";

const PING = fromHex("01");
/** Asks for no acknowledgement: who gets it has nothing to say. */
const PADDING = fromHex("00");

function closingOf({ closing, victim }: RogueEnd): Answer {
  if (closing === undefined) throw new Error("The victim has not closed");
  strictEqual(victim.closeReason?.by, "transport");
  return closing;
}

const of = (section: string, row: Omit<ErrorRow, "rfc" | "section" | "by"> & Partial<ErrorRow>): ErrorRow => ({
  rfc: "RFC 9001",
  section,
  by: EITHER,
  ...row,
});

export const KEY_ROWS: readonly ErrorRow[] = [
  of("§6.2", {
    rule: "two key updates, the second before the first can be known to be followed",
    name: "KEY_UPDATE_ERROR",
    frameType: 0,
    play: (by) => {
      const rogue = new RogueEnd({}, by);
      rogue.sealer.update();
      rogue.say(PADDING);
      strictEqual(rogue.closing, undefined);
      rogue.sealer.update();
      rogue.say(PADDING);
      return closingOf(rogue);
    },
  }),
  of("§6.2", {
    rule: "ACK with old keys of a packet with new ones",
    name: "KEY_UPDATE_ERROR",
    frameType: 0x02,
    play: (by) => {
      const rogue = new RogueEnd({}, by);
      const { pair, victim } = rogue;
      const ack = (largest: number): Uint8Array => fromHex(`02${(0x4000 | largest).toString(16)}000000`);
      strictEqual(victim.updateKeys(), true);
      // Of the old phase: as it should be.
      rogue.say(ack(rogue.largestHeard));
      strictEqual(rogue.closing, undefined);
      victim.ping();
      pair.runTo(pair.now + 50);
      rogue.say(ack(rogue.largestHeard));
      return closingOf(rogue);
    },
  }),
  of("§6.4", {
    rule: "a packet with older keys than one with a smaller number",
    name: "KEY_UPDATE_ERROR",
    frameType: 0,
    play: (by) => {
      const rogue = new RogueEnd({}, by);
      const old = rogue.oldSealer();
      rogue.say(PING);
      rogue.sealer.update();
      rogue.say(PING);
      rogue.say(PING, old);
      return closingOf(rogue);
    },
  }),
  of("§6.6", {
    by: ["client"],
    rule: "silence, so that no fresh keys are to be had at the confidentiality limit",
    name: "AEAD_LIMIT_REACHED",
    frameType: 0,
    play: () => {
      const limit = 40;
      const aead = backendWith({ confidentialityLimitPackets: limit });
      const rogue = new RogueEnd({ server: { aead }, transport: { idleTimeoutMs: 0 } });
      const { pair, victim } = rogue;
      const before = victim.stats.sentPackets;
      // Heard, but never acknowledged: the first update goes, the second may not.
      for (let round = 0; round < 200 && rogue.closing === undefined; round++) {
        rogue.say(PING);
        pair.runTo(pair.now + 30);
      }
      strictEqual(victim.stats.keyUpdates, 1);
      ok(victim.stats.sentPackets - before <= 2 * limit, `${victim.stats.sentPackets - before}`);
      return closingOf(rogue);
    },
  }),
  of("§6.6", {
    by: ["client"],
    rule: "as many packets that do not open as the integrity limit, of all phases together",
    name: "AEAD_LIMIT_REACHED",
    frameType: 0,
    play: () => {
      const limit = 20;
      const rogue = new RogueEnd({ server: { aead: backendWith({ integrityLimitPackets: limit }) } });
      const forged = (i: number): Uint8Array => new Uint8Array(40 + i).fill(0x41 + i);
      for (let i = 0; i < limit / 2; i++) rogue.forge(forged(i));
      rogue.sealer.update();
      rogue.say(PING);
      strictEqual(rogue.victim.stats.keyUpdates, 1);
      for (let i = 0; i < limit / 2 - 1; i++) rogue.forge(forged(i));
      strictEqual(rogue.closing, undefined);
      rogue.forge(forged(0));
      return closingOf(rogue);
    },
  }),
];
