import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ALERT_CODES } from "../../protocols/tls/alerts.ts";
import { renderErrors } from "./document.ts";
import { HTTP3_ROWS } from "./http3.ts";
import { codeOf } from "./row.ts";
import { ERROR_ROWS } from "./table.ts";

for (const row of ERROR_ROWS) {
  const { rfc, section, rule, by, name, frame = 0x1c, frameType, play } = row;
  for (const side of by) {
    Deno.test(`${rule}, by a ${side}: ${name} (${rfc} ${section})`, () => {
      const code = codeOf(name);
      deepStrictEqual({ ...play(side) }, frame === 0x1c ? { frame, code, frameType } : { frame, code });
    });
  }
}

Deno.test("docs/errors.md is what the table of errors makes of it: deno task errors", () => {
  const written = Deno.readTextFileSync(new URL("../../docs/errors.md", import.meta.url));
  ok(written === renderErrors(), "It is out of date: run deno task errors");
});

Deno.test("Rows of the table of errors are each there once, with a section", () => {
  const keys = ERROR_ROWS.flatMap(({ rfc, section, rule, by }) =>
    by.map((side) => `${rfc} ${section}: ${rule}, ${side}`)
  );
  strictEqual(new Set(keys).size, keys.length);
  for (const { rfc, section } of ERROR_ROWS) {
    ok(/^RFC \d+ §\d+(\.\d+)*$/.test(`${rfc} ${section}`), `${rfc} ${section}`);
  }
});

Deno.test("Table of errors has all of h3spec's 34 cases for QUIC but for CRYPTO in 0-RTT", () => {
  const rows = ERROR_ROWS.filter((row) => row.h3spec !== undefined && !HTTP3_ROWS.includes(row));
  strictEqual(rows.length, 33);
  // One name stands for two cases.
  strictEqual(new Set(rows.map(({ h3spec }) => h3spec)).size, 32);
});

Deno.test("Table of errors has every error that a raw peer can draw from us (RFC 9000 §20.1, RFC 8446 §6.2)", () => {
  const names = new Set(ERROR_ROWS.filter((row) => !HTTP3_ROWS.includes(row)).map(({ name }) => name));
  deepStrictEqual([...names].filter((name) => Object.hasOwn(ALERT_CODES, name)).sort(), [
    "access_denied",
    "certificate_expired",
    "certificate_required",
    "certificate_revoked",
    "certificate_unknown",
    "decode_error",
    "decrypt_error",
    "handshake_failure",
    "illegal_parameter",
    "missing_extension",
    "no_application_protocol",
    "protocol_version",
    "unexpected_message",
    "unknown_ca",
    "unsupported_certificate",
    "unsupported_extension",
  ]);
  deepStrictEqual([...names].filter((name) => !Object.hasOwn(ALERT_CODES, name)).sort(), [
    "AEAD_LIMIT_REACHED",
    "CONNECTION_ID_LIMIT_ERROR",
    "CRYPTO_BUFFER_EXCEEDED",
    "FINAL_SIZE_ERROR",
    "FLOW_CONTROL_ERROR",
    "FRAME_ENCODING_ERROR",
    "INVALID_TOKEN",
    "KEY_UPDATE_ERROR",
    "PROTOCOL_VIOLATION",
    "STREAM_LIMIT_ERROR",
    "STREAM_STATE_ERROR",
    "TRANSPORT_PARAMETER_ERROR",
  ]);
});
