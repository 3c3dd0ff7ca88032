/**
 * Every alert that a raw peer can draw from us (RFC 8446 §6.2), and the rules of QUIC about messages: which rule, what is said
 * against it, and the code that CONNECTION_CLOSE then carries (RFC 9001 §4.8). `alerts_table_test.ts` plays each of them.
 *
 * Not here: alerts about chains of certificates, which are for whoever answers `verifyPeer` to name.
 *
 * @module
 */

import { ALERT_CODES } from "../../../protocols/tls/alerts.ts";
import type { AlertCase } from "../../support/tls_refusals.ts";
import { WRONG_CERTIFICATES } from "./alerts/certificates.ts";
import { POOR_HELLOS, UNUSABLE_SHARES, WRONG_ANSWERS } from "./alerts/hellos.ts";
import { UNPROVED_KEYS, WRONG_FINISHED } from "./alerts/keys.ts";
import { MALFORMED_MESSAGES, MISPLACED_MESSAGES, REFUSED_PEERS } from "./alerts/messages.ts";
import { WRONG_REQUESTS, WRONG_SECOND_HELLOS } from "./alerts/retries.ts";

/** All cases. */
export const ALERT_CASES: readonly AlertCase[] = [
  ...POOR_HELLOS,
  ...UNUSABLE_SHARES,
  ...WRONG_REQUESTS,
  ...WRONG_SECOND_HELLOS,
  ...WRONG_ANSWERS,
  ...UNPROVED_KEYS,
  ...WRONG_CERTIFICATES,
  ...WRONG_FINISHED,
  ...MALFORMED_MESSAGES,
  ...MISPLACED_MESSAGES,
  ...REFUSED_PEERS,
];

/** A row of the documentation. */
export interface AlertRow {
  readonly rule: string;
  readonly input: string;
  /** Who finds it. */
  readonly end: "client" | "server";
  /** The name of the alert, or of the transport error. */
  readonly name: string;
  /** What is on the wire. */
  readonly code: number;
}

/** The table without what it takes to play it. */
export function alertRows(): readonly AlertRow[] {
  return ALERT_CASES.map(({ rule, input, expect }) => {
    const end = expect.startsWith("client") ? "client" : "server";
    return { rule, input, end, name: expect.slice(end.length + 1), code: closeCodeOf(expect) };
  });
}

const PROTOCOL_VIOLATION = 0x0a;
const CRYPTO_ERROR = 0x0100;

/** The code that CONNECTION_CLOSE carries: RFC 9001 §4.8. */
export function closeCodeOf(expect: AlertCase["expect"]): number {
  for (const [name, code] of Object.entries(ALERT_CODES)) {
    if (expect.endsWith(` ${name}`)) return CRYPTO_ERROR + code;
  }
  return PROTOCOL_VIOLATION;
}
