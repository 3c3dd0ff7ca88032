/**
 * Extensions that are malformed or have no place (RFC 8446 §4.2, RFC 7301 §3.1, RFC 6066 §3, RFC 7250 §3), for
 * `alerts_table.ts`.
 *
 * @module
 */

import { fromHex } from "../../../../protocols/core/bytes.ts";
import type { AlertName } from "../../../../protocols/tls/alerts.ts";
import { type Extension, extensionCode } from "../../../../protocols/tls/extensions.ts";
import { decodeMessage, encodeMessage } from "../../../../protocols/tls/messages.ts";
import type { AlertCase, Change } from "../../../support/tls_refusals.ts";

type Type = "client_hello" | "server_hello" | "encrypted_extensions";

/** Says an extension with these bytes in it, in place of one of that number or behind all others. */
function say(type: Type, code: number, body: string): () => Change {
  return () => (_from, one) => {
    const message = decodeMessage(one.data);
    if (message.type !== type) return [one];
    const said: Extension = { type: "other", code, data: fromHex(body) };
    const others = message.extensions.filter((extension) => extensionCode(extension) !== code);
    return [{ level: one.level, data: encodeMessage({ ...message, extensions: [...others, said] }) }];
  };
}

/** Says all extensions twice. */
function sayTwice(type: Type): () => Change {
  return () => (_from, one) => {
    const message = decodeMessage(one.data);
    if (message.type !== type) return [one];
    const extensions = [...message.extensions, ...message.extensions];
    return [{ level: one.level, data: encodeMessage({ ...message, extensions }) }];
  };
}

/** Which message, what is in it, in which extension, and what follows. */
type Row = readonly [rule: string, type: Type, what: string, code: number, body: string, alert: AlertName];

const NAMES = {
  client_hello: "a ClientHello",
  server_hello: "a ServerHello",
  encrypted_extensions: "EncryptedExtensions",
};

const ROWS: readonly Row[] = [
  ["RFC 6066 §3", "client_hello", "an empty list of server names", 0, "0000", "decode_error"],
  ["RFC 6066 §3", "client_hello", "two host names", 0, "0008 00 0001 61 00 0001 62", "illegal_parameter"],
  ["RFC 6066 §3", "client_hello", "an empty host name", 0, "0003 00 0000", "decode_error"],
  ["RFC 8446 §4.2.7", "client_hello", "no group in supported_groups", 10, "0000", "decode_error"],
  ["RFC 8446 §4.2.7", "client_hello", "half a group in supported_groups", 10, "0001 00", "decode_error"],
  ["RFC 8446 §4.2.3", "client_hello", "no scheme in signature_algorithms", 13, "0000", "decode_error"],
  ["RFC 8446 §4.2.3", "client_hello", "half a scheme in signature_algorithms", 13, "0003 0807 08", "decode_error"],
  ["RFC 7301 §3.1", "client_hello", "an empty list of application protocols", 16, "0000", "decode_error"],
  ["RFC 7301 §3.1", "client_hello", "an application protocol without a name", 16, "0001 00", "decode_error"],
  ["RFC 7301 §3.1", "client_hello", "an application protocol that is cut", 16, "0002 0261", "decode_error"],
  ["RFC 7250 §3", "client_hello", "an empty list of certificate types", 20, "00", "decode_error"],
  ["RFC 8446 §4.2.1", "client_hello", "no version in supported_versions", 43, "00", "decode_error"],
  ["RFC 8446 §4.2.1", "client_hello", "half a version in supported_versions", 43, "03 0304 03", "decode_error"],
  ["RFC 8446 §4.2.2", "client_hello", "an empty cookie", 44, "0000", "decode_error"],
  ["RFC 8446 §4.2.8", "client_hello", "a key share without a key", 51, "0004 001d 0000", "decode_error"],
  ["RFC 8446 §4.2.8", "client_hello", "a byte behind the key shares", 51, "0000 00", "decode_error"],
  ["RFC 8446 §4.2", "client_hello", "an extension of CertificateRequest", 48, "0000", "illegal_parameter"],
  ["RFC 8446 §4.2.1", "server_hello", "two versions", 43, "0304 0304", "decode_error"],
  ["RFC 8446 §4.2.8", "server_hello", "a key share that is cut", 51, "001d 0020 00", "decode_error"],
  ["RFC 8446 §4.2", "server_hello", "an extension of EncryptedExtensions", 16, "0004 03713271", "illegal_parameter"],
  ["RFC 8446 §4.2", "server_hello", "an extension that was not offered", 0xfafa, "", "unsupported_extension"],
  ["RFC 8446 §4.2.11", "server_hello", "a pre-shared key where none was offered", 41, "0000", "unsupported_extension"],
  ["RFC 8446 §4.2", "encrypted_extensions", "an extension of ServerHello", 43, "0304", "illegal_parameter"],
  ["RFC 8446 §4.2.10", "encrypted_extensions", "early_data where none was sent", 42, "", "unsupported_extension"],
  [
    "RFC 7301 §3.1",
    "encrypted_extensions",
    "two application protocols",
    16,
    "0008 03713271 03713271",
    "no_application_protocol",
  ],
  ["RFC 7301 §3.1", "encrypted_extensions", "no application protocol in the list", 16, "0000", "decode_error"],
  ["RFC 7250 §3", "encrypted_extensions", "two certificate types", 20, "02 02", "decode_error"],
];

/** Extensions that may not be. */
export const WRONG_EXTENSIONS: readonly AlertCase[] = [
  ...ROWS.map(([rule, type, what, code, body, alert]): AlertCase => ({
    rule,
    input: `${NAMES[type]} with ${what}`,
    change: say(type, code, body),
    expect: `${type === "client_hello" ? "server" : "client"} ${alert}`,
  })),
  {
    rule: "RFC 8446 §4.2.11",
    input: "a ClientHello with pre_shared_key in front of other extensions",
    change: () => (_from, one) => {
      const message = decodeMessage(one.data);
      if (message.type !== "client_hello") return [one];
      const keys: Extension = { type: "other", code: 41, data: new Uint8Array(0) };
      return [{ level: one.level, data: encodeMessage({ ...message, extensions: [keys, ...message.extensions] }) }];
    },
    expect: "server illegal_parameter",
  },
  ...(["server_hello", "encrypted_extensions"] as const).map((type): AlertCase => ({
    rule: "RFC 8446 §4.2",
    input: `${NAMES[type]} with each extension twice`,
    change: sayTwice(type),
    expect: "client illegal_parameter",
  })),
];
