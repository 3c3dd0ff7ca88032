/**
 * Rules about transport parameters: RFC 9000 §7.3, §7.4, §18.2.
 *
 * @module
 */

import { fromHex } from "../../protocols/core/bytes.ts";
import { DEFAULT_ADDRESS_VALIDATION } from "../../protocols/quic/config.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../protocols/quic/config.ts";
import { CLIENT_KEY, type PairOptions, rawKeyTls, SERVER_KEY } from "../support/quic_pair.ts";
import { declare, varint, type WireParameters } from "./play.ts";
import { EITHER, type ErrorRow, type Side } from "./row.ts";

const ORIGINAL_DESTINATION_CONNECTION_ID = 0x00;
const INITIAL_SOURCE_CONNECTION_ID = 0x0f;
const RETRY_SOURCE_CONNECTION_ID = 0x10;
const CLIENT: readonly Side[] = ["client"];
const SERVER: readonly Side[] = ["server"];
const ID = fromHex("d0d1d2d3d4");
/** 127.0.0.1:443, no IPv6, and what is given behind. */
const preferred = (rest: string): Uint8Array => fromHex(`7f000001 01bb ${"00".repeat(18)} ${rest}`);
const TOKEN = "00".repeat(16);

/** A server that asks everybody to come again. */
const RETRY: PairOptions = {
  server: {
    server: {
      tls: { ...rawKeyTls(SERVER_KEY, CLIENT_KEY), keyLog: true },
      transport: DEFAULT_TRANSPORT_SETTINGS,
      addressValidation: { ...DEFAULT_ADDRESS_VALIDATION, retry: "always" },
    },
  },
};

type Change = (parameters: WireParameters) => WireParameters | Uint8Array;

function row(
  section: string,
  rule: string,
  by: readonly Side[],
  change: Change,
  options: { readonly h3spec?: string; readonly pair?: PairOptions; readonly hasEmptyId?: boolean } = {},
): ErrorRow {
  const { h3spec, pair, hasEmptyId = false } = options;
  const play = declare(change, pair, (raw) => raw.hasEmptyId = hasEmptyId);
  const name = "TRANSPORT_PARAMETER_ERROR";
  const rest = h3spec === undefined ? {} : { h3spec: `MUST send TRANSPORT_PARAMETER_ERROR if ${h3spec}` };
  return { rfc: "RFC 9000", section, rule, by, name, frameType: 0x06, play, ...rest };
}

/** Names of RFC 9000 §18.2 of parameters that are numbers, with their IDs. */
const NUMBERS = [
  ["max_idle_timeout", 0x01],
  ["max_udp_payload_size", 0x03],
  ["initial_max_data", 0x04],
  ["initial_max_stream_data_bidi_local", 0x05],
  ["initial_max_stream_data_bidi_remote", 0x06],
  ["initial_max_stream_data_uni", 0x07],
  ["initial_max_streams_bidi", 0x08],
  ["initial_max_streams_uni", 0x09],
  ["ack_delay_exponent", 0x0a],
  ["max_ack_delay", 0x0b],
  ["active_connection_id_limit", 0x0e],
  ["max_datagram_frame_size", 0x20],
] as const;

export const TRANSPORT_PARAMETER_ROWS: readonly ErrorRow[] = [
  row(
    "§7.3",
    "initial_source_connection_id is missing, in the client's",
    CLIENT,
    (all) => all.without(INITIAL_SOURCE_CONNECTION_ID),
    { h3spec: "initial_source_connection_id is missing [Transport 7.3]" },
  ),
  row(
    "§7.3",
    "initial_source_connection_id is missing, in the server's",
    SERVER,
    (all) => all.without(INITIAL_SOURCE_CONNECTION_ID),
  ),
  row(
    "§7.3",
    "initial_source_connection_id is another than in the packets",
    EITHER,
    (all) => all.set(INITIAL_SOURCE_CONNECTION_ID, ID),
  ),
  row(
    "§7.3",
    "original_destination_connection_id is missing",
    SERVER,
    (all) => all.without(ORIGINAL_DESTINATION_CONNECTION_ID),
  ),
  row(
    "§7.3",
    "original_destination_connection_id is another than the client's first",
    SERVER,
    (all) => all.set(ORIGINAL_DESTINATION_CONNECTION_ID, ID),
  ),
  row("§7.3", "retry_source_connection_id without a Retry", SERVER, (all) => all.set(RETRY_SOURCE_CONNECTION_ID, ID)),
  row(
    "§7.3",
    "retry_source_connection_id is missing after a Retry",
    SERVER,
    (all) => all.without(RETRY_SOURCE_CONNECTION_ID),
    { pair: RETRY },
  ),
  row(
    "§7.3",
    "retry_source_connection_id is another than in the Retry",
    SERVER,
    (all) => all.set(RETRY_SOURCE_CONNECTION_ID, ID),
    { pair: RETRY },
  ),
  row(
    "§7.4",
    "a parameter twice, with the same value",
    EITHER,
    (all) => all.add(INITIAL_SOURCE_CONNECTION_ID, all.get(INITIAL_SOURCE_CONNECTION_ID)),
  ),
  row(
    "§7.4",
    "a parameter twice, with different values",
    EITHER,
    (all) => all.set(0x04, varint(1)).add(0x04, varint(2)),
  ),
  row("§7.4", "a parameter twice that nobody knows", EITHER, (all) => all.add(0x1b, varint(1)).add(0x1b, varint(1))),
  row("§18", "a parameter that is cut", EITHER, (all) => all.bytes.subarray(0, -1)),
  row("§18", "a parameter without a length", EITHER, (all) => fromHex(`${hexOf(all.bytes)} 40`)),
  ...NUMBERS.map(([name, id]) =>
    row("§18.2", `${name} that is empty`, EITHER, (all) => all.set(id, new Uint8Array(0)))
  ),
  ...NUMBERS.map(([name, id]) =>
    row("§18.2", `${name} with a byte too many`, EITHER, (all) => all.set(id, fromHex("44b0 00")))
  ),
  row("§18.2", "max_udp_payload_size below 1200", EITHER, (all) => all.set(0x03, varint(1199)), {
    h3spec: "max_udp_payload_size < 1200 [Transport 7.4 and 18.2]",
  }),
  row("§4.6", "initial_max_streams_bidi above 2^60", EITHER, (all) => all.set(0x08, varint(2n ** 60n + 1n))),
  row("§4.6", "initial_max_streams_uni above 2^60", EITHER, (all) => all.set(0x09, varint(2n ** 60n + 1n))),
  row("§18.2", "ack_delay_exponent above 20", EITHER, (all) => all.set(0x0a, varint(21)), {
    h3spec: "ack_delay_exponen > 20 [Transport 7.4 and 18.2]",
  }),
  row("§18.2", "max_ack_delay of 2^14", EITHER, (all) => all.set(0x0b, varint(2 ** 14)), {
    h3spec: "max_ack_delay >= 2^14 [Transport 7.4 and 18.2]",
  }),
  row("§18.2", "disable_active_migration with a value", EITHER, (all) => all.set(0x0c, varint(1))),
  row("§18.2", "active_connection_id_limit below 2", EITHER, (all) => all.set(0x0e, varint(1))),
  row(
    "§18.2",
    "a connection ID of 21 bytes",
    EITHER,
    (all) => all.set(INITIAL_SOURCE_CONNECTION_ID, new Uint8Array(21)),
  ),
  row(
    "§18.2",
    "original_destination_connection_id from a client",
    CLIENT,
    (all) => all.set(ORIGINAL_DESTINATION_CONNECTION_ID, ID),
    {
      h3spec: "original_destination_connection_id is received [Transport 18.2]",
    },
  ),
  row(
    "§18.2",
    "preferred_address from a client",
    CLIENT,
    (all) => all.set(0x0d, preferred(`08 0001020304050607 ${TOKEN}`)),
    {
      h3spec: "preferred_address, is received [Transport 18.2]",
    },
  ),
  row("§18.2", "retry_source_connection_id from a client", CLIENT, (all) => all.set(RETRY_SOURCE_CONNECTION_ID, ID), {
    h3spec: "retry_source_connection_id is received [Transport 18.2]",
  }),
  row("§18.2", "stateless_reset_token from a client", CLIENT, (all) => all.set(0x02, new Uint8Array(16)), {
    h3spec: "stateless_reset_token is received [Transport 18.2]",
  }),
  row("§18.2", "stateless_reset_token of 15 bytes", SERVER, (all) => all.set(0x02, new Uint8Array(15))),
  row("§18.2", "stateless_reset_token of 17 bytes", SERVER, (all) => all.set(0x02, new Uint8Array(17))),
  row(
    "§18.2",
    "preferred_address with an empty connection ID",
    SERVER,
    (all) => all.set(0x0d, preferred(`00 ${TOKEN}`)),
  ),
  row(
    "§18.2",
    "preferred_address with a connection ID of 21 bytes",
    SERVER,
    (all) => all.set(0x0d, preferred(`15 ${"0a".repeat(21)} ${TOKEN}`)),
  ),
  row(
    "§18.2",
    "preferred_address of a server whose connection ID is empty",
    SERVER,
    (all) =>
      all.set(INITIAL_SOURCE_CONNECTION_ID, new Uint8Array(0)).set(0x0d, preferred(`08 0001020304050607 ${TOKEN}`)),
    {
      hasEmptyId: true,
    },
  ),
  row("§18.2", "preferred_address that is cut", SERVER, (all) => all.set(0x0d, preferred("08 0001020304050607 00"))),
];

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
