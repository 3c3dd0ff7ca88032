/**
 * A row of the table of errors: which rule is broken, by whom, and what whoever breaks it is told.
 *
 * @module
 */

import { HTTP3_ERROR, type Http3ErrorName } from "../../protocols/http3/errors.ts";
import { TRANSPORT_ERROR, type TransportErrorName } from "../../protocols/quic/errors.ts";
import { ALERT_CODES, type AlertName } from "../../protocols/tls/alerts.ts";

/** Who breaks a rule, and reads what is answered. */
export type Side = "client" | "server";

/** What a raw peer reads, once its packets are opened. */
export interface Answer {
  /** CONNECTION_CLOSE of the transport or of the application, or RESET_STREAM where only a stream is at fault. */
  readonly frame: 0x1c | 0x1d | 0x04;
  readonly code: number;
  /** In CONNECTION_CLOSE of the transport: the type of the frame at fault, 0 where it is none. */
  readonly frameType?: number;
}

/** The name of an error that can be read on the wire. */
export type ErrorName = TransportErrorName | AlertName | Http3ErrorName;

/** One rule, and what follows when it is broken. */
export interface ErrorRow {
  /** As `RFC 9000`. */
  readonly rfc: string;
  /** As `§4.1`. */
  readonly section: string;
  /** What is wrong. */
  readonly rule: string;
  /** Who does it: each of them is played. */
  readonly by: readonly Side[];
  readonly name: ErrorName;
  /** The answer. Default CONNECTION_CLOSE of the transport. */
  readonly frame?: Answer["frame"];
  /** Type of the frame at fault, where the answer names one. */
  readonly frameType?: number;
  /** What h3spec calls the same case. */
  readonly h3spec?: string;
  /** Lets the raw peer do it to a live connection; what it then reads. */
  readonly play: (by: Side) => Answer;
}

/** Both do it. */
export const EITHER: readonly Side[] = ["client", "server"];

/** The other one. */
export function otherSide(side: Side): Side {
  return side === "client" ? "server" : "client";
}

/** The number on the wire: RFC 9000 §20.1, RFC 9001 §4.8, RFC 9114 §8.1, RFC 9204 §6, RFC 9297 §5.2. */
export function codeOf(name: ErrorName): number {
  for (const [other, code] of Object.entries(ALERT_CODES)) {
    if (other === name) return TRANSPORT_ERROR.CRYPTO_ERROR + code;
  }
  for (const [other, code] of Object.entries({ ...TRANSPORT_ERROR, ...HTTP3_ERROR })) if (other === name) return code;
  throw new Error(`There is no error of the name ${name}`);
}
