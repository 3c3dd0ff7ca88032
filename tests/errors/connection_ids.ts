/**
 * Rules about connection IDs and tokens: RFC 9000 §5.1, §8.1.2, §19.15, §19.16.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { RETRY_TOKEN_LIFETIME_MS } from "../../protocols/quic/address_tokens.ts";
import { DEFAULT_ADDRESS_VALIDATION, DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import { ACTIVE_CONNECTION_ID_LIMIT } from "../../protocols/quic/remote_connection_ids.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, rawKeyTls, SERVER_KEY } from "../support/quic_pair.ts";
import { closingOf, rawEnd } from "../support/raw_answers.ts";
import { declare, say } from "./play.ts";
import { type Answer, EITHER, type ErrorRow } from "./row.ts";

const TOKEN = "00".repeat(16);
const byte = (value: number): string => value.toString(16).padStart(2, "0");
/** NEW_CONNECTION_ID with this sequence number, below 64. */
const fresh = (sequenceNumber: number, retirePriorTo = 0): string =>
  `18 ${byte(sequenceNumber)} ${byte(retirePriorTo)} 08 ${byte(sequenceNumber).repeat(8)} ${TOKEN}`;
const from = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

const of = (section: string, row: Omit<ErrorRow, "rfc" | "section" | "by">): ErrorRow => ({
  rfc: "RFC 9000",
  section,
  by: EITHER,
  ...row,
});

/** A client that comes with the token of a Retry when that is too old. */
function withOldToken(): Answer {
  const { pair, raw } = rawEnd("client", {
    server: {
      server: {
        tls: rawKeyTls(SERVER_KEY, CLIENT_KEY),
        transport: DEFAULT_TRANSPORT_SETTINGS,
        addressValidation: { ...DEFAULT_ADDRESS_VALIDATION, retry: "always" },
      },
    },
  });
  let heldBack: Uint8Array | undefined;
  pair.filter = (sender, bytes) => {
    if (sender !== pair.client || pair.server.endpoint.drops.get("Retry sent") === undefined) return true;
    heldBack ??= bytes;
    return false;
  };
  pair.connect();
  pair.runUntil(() => heldBack !== undefined);
  pair.runTo(pair.now + RETRY_TOKEN_LIFETIME_MS + 100);
  pair.filter = (sender) => sender === pair.server;
  pair.inject(heldBack!, CLIENT_ADDRESS, pair.server.base.local);
  pair.runTo(pair.now + 200);
  strictEqual(pair.server.connections.length, 0);
  return closingOf(pair, raw, "client");
}

export const CONNECTION_ID_ROWS: readonly ErrorRow[] = [
  of("§5.1.1", {
    rule: "NEW_CONNECTION_ID beyond active_connection_id_limit",
    name: "CONNECTION_ID_LIMIT_ERROR",
    frameType: 0x18,
    play: say(from(16, ACTIVE_CONNECTION_ID_LIMIT).map((number) => fresh(number)).join(" ")),
  }),
  of("§5.1.2", {
    rule: "NEW_CONNECTION_ID frames that have more IDs retired than anybody keeps",
    name: "CONNECTION_ID_LIMIT_ERROR",
    frameType: 0x18,
    play: say(from(16, 36).map((number) => fresh(number, number)).join(" "), { isAddressed: false }),
  }),
  {
    rfc: "RFC 9000",
    section: "§8.1.2",
    rule: "Initial with a token of a Retry that is too old",
    by: ["client"],
    name: "INVALID_TOKEN",
    frameType: 0,
    play: withOldToken,
  },
  of("§19.15", {
    rule: "NEW_CONNECTION_ID whose Retire Prior To exceeds its sequence number",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x18,
    h3spec: "MUST send FRAME_ENCODING_ERROR if NEW_CONNECTION_ID with invalid Retire_Prior_To is received " +
      "[Transport 19.15]",
    play: say(fresh(16, 17)),
  }),
  of("§19.15", {
    rule: "NEW_CONNECTION_ID with an empty connection ID",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x18,
    h3spec: "MUST send FRAME_ENCODING_ERROR if NEW_CONNECTION_ID with 0-byte CID is received [Transport 19.15]",
    play: say(`18 10 00 00 ${TOKEN}`),
  }),
  of("§19.15", {
    rule: "NEW_CONNECTION_ID with a connection ID of 21 bytes",
    name: "FRAME_ENCODING_ERROR",
    frameType: 0x18,
    play: say(`18 10 00 15 ${"aa".repeat(21)} ${TOKEN}`),
  }),
  of("§19.15", {
    rule: "two NEW_CONNECTION_ID frames with one sequence number and different IDs",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x18,
    play: say(`${fresh(16)} 18 10 00 08 ${"aa".repeat(8)} ${TOKEN}`),
  }),
  of("§19.15", {
    rule: "two NEW_CONNECTION_ID frames with one ID and different sequence numbers",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x18,
    play: say(`${fresh(16)} 18 11 00 08 ${"10".repeat(8)} ${TOKEN}`),
  }),
  of("§19.15", {
    rule: "two NEW_CONNECTION_ID frames with one ID and different tokens",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x18,
    play: say(`${fresh(16)} 18 10 00 08 ${"10".repeat(8)} ${"01".repeat(16)}`),
  }),
  {
    rfc: "RFC 9000",
    section: "§19.15",
    rule: "NEW_CONNECTION_ID of a server whose connection ID is empty",
    by: ["server"],
    name: "PROTOCOL_VIOLATION",
    frameType: 0x18,
    play: declare((all) => all.set(0x0f, new Uint8Array(0)), {}, (raw) => {
      raw.hasEmptyId = true;
      raw.prepare(fresh(1), { packet: "1-RTT" });
    }),
  },
  of("§19.16", {
    rule: "RETIRE_CONNECTION_ID of an ID that was never issued",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x19,
    play: say("19 3f"),
  }),
  of("§19.16", {
    rule: "RETIRE_CONNECTION_ID of the ID that its packet is addressed to",
    name: "PROTOCOL_VIOLATION",
    frameType: 0x19,
    play: say("19 00"),
  }),
];
