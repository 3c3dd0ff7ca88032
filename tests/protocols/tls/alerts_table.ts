/**
 * Every alert that a raw peer can draw from us (RFC 8446 §6.2), and the rules of QUIC about messages: which rule, what is said
 * against it, and who finds it. `alerts_table_test.ts` plays each of them between two TLS machines, `tests/errors/` between two
 * QUIC connections.
 *
 * Not here: alerts about chains of certificates, which are for whoever answers `verifyPeer` to name.
 *
 * @module
 */

import type { AlertCase } from "../../support/tls_refusals.ts";
import { WRONG_CERTIFICATES } from "./alerts/certificates.ts";
import { WRONG_EXTENSIONS } from "./alerts/extensions.ts";
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
  ...WRONG_EXTENSIONS,
  ...UNPROVED_KEYS,
  ...WRONG_CERTIFICATES,
  ...WRONG_FINISHED,
  ...MALFORMED_MESSAGES,
  ...MISPLACED_MESSAGES,
  ...REFUSED_PEERS,
];
