/**
 * The table of errors: every rule of RFC 9000, RFC 9001, RFC 9221 and RFC 8446 whose breach ends a connection, as far as a raw
 * peer can break it, and those of HTTP/3 beside them. `errors_test.ts` plays each row, `document.ts` writes it down.
 *
 * @module
 */

import { CONNECTION_ID_ROWS } from "./connection_ids.ts";
import { HTTP3_ROWS } from "./http3.ts";
import { KEY_ROWS } from "./keys.ts";
import { PACKET_ROWS } from "./packets.ts";
import type { ErrorRow } from "./row.ts";
import { STREAM_ROWS } from "./streams.ts";
import { TLS_ROWS } from "./tls.ts";
import { TRANSPORT_PARAMETER_ROWS } from "./transport_parameters.ts";

/** All rows. */
export const ERROR_ROWS: readonly ErrorRow[] = [
  ...STREAM_ROWS,
  ...CONNECTION_ID_ROWS,
  ...TRANSPORT_PARAMETER_ROWS,
  ...PACKET_ROWS,
  ...TLS_ROWS,
  ...KEY_ROWS,
  ...HTTP3_ROWS,
];
