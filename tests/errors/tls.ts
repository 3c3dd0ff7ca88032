/**
 * The cases of `tests/protocols/tls/alerts_table.ts` between two QUIC connections: RFC 8446, RFC 9001 §4, §8.
 *
 * @module
 */

import { concatBytes } from "../../protocols/core/bytes.ts";
import { ALERT_CODES, type AlertName } from "../../protocols/tls/alerts.ts";
import { closingOf, rawEnd } from "../support/raw_answers.ts";
import { CLIENT_CONFIG, SERVER_CONFIG } from "../support/tls_pair.ts";
import type { AlertCase } from "../support/tls_refusals.ts";
import { withChange } from "../support/tls_rewrite.ts";
import { ALERT_CASES } from "../protocols/tls/alerts_table.ts";
import { varint } from "./play.ts";
import { type Answer, type ErrorRow, otherSide, type Side } from "./row.ts";

/** What h3spec calls some of the cases, by what is wrong in them. */
const H3SPEC_NAMES: Readonly<Record<string, string>> = {
  "a KeyUpdate during the handshake, by a client":
    "MUST send unexpected_message TLS alert if KeyUpdate in Handshake is received [TLS 6]",
  "a KeyUpdate after the handshake, to the server":
    "MUST send unexpected_message TLS alert if KeyUpdate in 1-RTT is received [TLS 6]",
  "a ClientHello without an application protocol in common":
    "MUST send no_application_protocol TLS alert if no application protocols are supported [TLS 8.1]",
  "a ClientHello without quic_transport_parameters":
    "MUST send missing_extension TLS alert if the quic_transport_parameters extension does not included [TLS 8.2]",
  "a ClientHello with quic_transport_parameters at the number of a draft":
    "MUST send missing_extension TLS alert if the quic_transport_parameters extension does not included [TLS 8.2]",
  "an EndOfEarlyData": "MUST send unexpected_message TLS alert if EndOfEarlyData is received [TLS 8.3]",
};

/** Plays a case between two QUIC connections. */
function playOnTheWire(one: AlertCase, by: Side): Answer {
  const { client = CLIENT_CONFIG, server = SERVER_CONFIG, change, verdict, after } = one;
  const { pair, raw } = rawEnd(by, { clientTls: client, serverTls: server });
  const { onEvent } = pair[otherSide(by)];
  pair[otherSide(by)].onEvent = (connection, event) => {
    onEvent(connection, event);
    if (event.type === "verifyPeer" && verdict !== undefined) connection.provideVerdict(verdict, pair.now);
  };
  withChange(change?.(), () => {
    pair.connect();
    pair.runTo(1000);
  });
  if (after !== undefined) raw.say(concatBytes(Uint8Array.of(0x06, 0), varint(after.length), after));
  return closingOf(pair, raw, by);
}

function rowOf(one: AlertCase): ErrorRow {
  const [rfc, section] = /^(RFC \d+) (§.+)$/.exec(one.rule)?.slice(1) ?? [];
  if (rfc === undefined || section === undefined) throw new Error(`Cannot read the rule ${one.rule}`);
  const finder: Side = one.expect.startsWith("client ") ? "client" : "server";
  const h3spec = H3SPEC_NAMES[one.input];
  return {
    rfc,
    section,
    rule: one.input,
    by: [otherSide(finder)],
    name: nameOf(one.expect),
    frameType: 0x06,
    play: (by) => playOnTheWire(one, by),
    ...(h3spec === undefined ? {} : { h3spec }),
  };
}

function nameOf(expect: AlertCase["expect"]): AlertName | "PROTOCOL_VIOLATION" {
  const name = expect.slice(expect.indexOf(" ") + 1);
  return isAlert(name) ? name : "PROTOCOL_VIOLATION";
}

function isAlert(name: string): name is AlertName {
  return Object.hasOwn(ALERT_CODES, name);
}

/** Alerts and rules of QUIC about the messages of TLS. */
export const TLS_ROWS: readonly ErrorRow[] = ALERT_CASES.map(rowOf);
