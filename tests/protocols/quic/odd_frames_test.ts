import { ok, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
import { RogueEnd } from "../../support/rogue_end.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const hex = fromHex;

/** What is odd, and allowed; what is not is in `tests/errors/`. */
const ODDITIES: readonly (readonly [string, Uint8Array])[] = [
  ["PATH_RESPONSE that nobody asked for (§8.2.3)", hex("1b0102030405060708")],
  ["smaller limits than before (§4.1)", hex("1001" + "1201" + "1301")],
  ["DATA_BLOCKED, STREAMS_BLOCKED (§4.1)", hex("1405" + "1605" + "1705")],
  ["a stream opened out of order (§2.1)", hex("0a0801aa")],
  ["an empty STREAM frame without FIN (§19.8)", hex("0a0000")],
  ["data repeated (§2.2)", hex("0a0002aabb" + "0a0002aabb" + "0e000102bbcc")],
  ["RETIRE_CONNECTION_ID repeated (§19.16)", hex("1901" + "1901")],
  ["STOP_SENDING repeated (§3.5)", hex("0a0001aa" + "050007" + "050007")],
  ["a thousand PADDING frames (§19.1)", concatBytes(new Uint8Array(1000), hex("01"))],
  ["a frame type in more bytes than it takes (§12.4)", hex("4001")],
  ["many challenges in one packet (§8.2.2)", hex("1a0102030405060708".repeat(20))],
];

for (const [name, payload] of ODDITIES) {
  Deno.test(`Connection stays open on ${name}`, () => {
    const rogue = new RogueEnd();
    const { pair, victim } = rogue;
    rogue.say(payload);
    rogue.say(hex("01"));
    pair.runTo(pair.now + 200);
    strictEqual(victim.state, "confirmed", JSON.stringify(victim.closeReason));
  });
}

Deno.test("Frames of random bytes close the connection with a code and never throw, seeds 1 to 200 (RFC 9000 §11.1)", () => {
  const random = seededRandom(1);
  for (let seed = 1; seed <= 200; seed++) {
    const rogue = new RogueEnd();
    const { victim } = rogue;
    for (let packet = 0; packet < 10 && victim.state === "confirmed"; packet++) {
      const bytes = random.fill(new Uint8Array(1 + seed % 60));
      bytes[0] = bytes[0]! % 0x32;
      rogue.say(bytes);
    }
    ok(["confirmed", "closing", "draining", "drained"].includes(victim.state), `seed ${seed}`);
  }
});
