import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Reader, TruncatedError } from "../../../protocols/core/reader.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { TlsAlert } from "../../../protocols/tls/alerts.ts";
import { extensionCode, readExtensions, writeExtensions } from "../../../protocols/tls/extensions.ts";
import type { Extension, ExtensionPlace } from "../../../protocols/tls/extensions.ts";

const KEY = new Uint8Array(4).fill(7);

/** What is written where, in hexadecimal without the two bytes of length in front. */
const CASES: readonly (readonly [ExtensionPlace, Extension, string])[] = [
  ["CH", { type: "server_name", hostName: "a.b" }, "0000 0008 0006 00 0003 612e62"],
  ["EE", { type: "server_name", hostName: undefined }, "0000 0000"],
  ["CH", { type: "supported_groups", groups: [0x001d, 0x0017] }, "000a 0006 0004 001d 0017"],
  ["CR", { type: "signature_algorithms", schemes: [0x0807] }, "000d 0004 0002 0807"],
  [
    "CH",
    { type: "application_layer_protocol_negotiation", protocols: ["q2q", "\xfa\xfa"] },
    "0010 0009 0007 03 713271 02 fafa",
  ],
  ["CH", { type: "client_certificate_type", certificateTypes: [2, 0] }, "0013 0003 02 0200"],
  ["EE", { type: "client_certificate_type", certificateTypes: [2] }, "0013 0001 02"],
  ["CH", { type: "server_certificate_type", certificateTypes: [2] }, "0014 0002 01 02"],
  ["EE", { type: "server_certificate_type", certificateTypes: [0] }, "0014 0001 00"],
  ["CH", { type: "early_data", maxEarlyDataBytes: undefined }, "002a 0000"],
  ["NST", { type: "early_data", maxEarlyDataBytes: 0xffffffff }, "002a 0004 ffffffff"],
  ["CH", { type: "cookie", cookie: KEY }, "002c 0006 0004 07070707"],
  ["HRR", { type: "cookie", cookie: KEY }, "002c 0006 0004 07070707"],
  ["CH", { type: "supported_versions", versions: [0x0304, 0x0303] }, "002b 0005 04 0304 0303"],
  ["SH", { type: "supported_versions", versions: [0x0304] }, "002b 0002 0304"],
  ["CH", { type: "key_share", entries: [{ group: 0x1d, key: KEY }] }, "0033 000a 0008 001d 0004 07070707"],
  ["CH", { type: "key_share", entries: [] }, "0033 0002 0000"],
  ["SH", { type: "key_share", entries: [{ group: 0x1d, key: KEY }] }, "0033 0008 001d 0004 07070707"],
  ["HRR", { type: "key_share", entries: [{ group: 0x17, key: new Uint8Array(0) }] }, "0033 0002 0017"],
  ["EE", { type: "quic_transport_parameters", bytes: KEY }, "0039 0004 07070707"],
  ["CH", { type: "other", code: 0xfafa, data: KEY }, "fafa 0004 07070707"],
];

function encode(extensions: readonly Extension[], place: ExtensionPlace): Uint8Array {
  const writer = new Writer(new Uint8Array(512));
  writeExtensions(writer, extensions, place);
  return writer.written();
}

Deno.test("Extensions are written as the RFCs say, and read back (RFC 8446 §4.2, RFC 7250 §3, RFC 7301 §3.1)", () => {
  for (const [place, extension, hex] of CASES) {
    const bytes = encode([extension], place);
    strictEqual(toHex(bytes.subarray(2)), hex.replaceAll(" ", ""), extension.type);
    deepStrictEqual(readExtensions(new Reader(bytes), place), [extension]);
    strictEqual(extensionCode(extension), Number.parseInt(hex.slice(0, 4), 16));
  }
});

Deno.test("Extensions are refused when cut off at any byte (RFC 8446 §4.2)", () => {
  for (const [place, extension] of CASES) {
    const bytes = encode([extension], place);
    for (let length = 0; length < bytes.length; length++) {
      throws(() => readExtensions(new Reader(bytes.subarray(0, length)), place), TruncatedError);
      if (length < 6) continue;
      // The same with lengths that fit, so that the cut is inside the body.
      const cut = bytes.slice(0, length);
      cut.set([(length - 2) >> 8, length - 2], 0);
      cut.set([(length - 6) >> 8, length - 6], 4);
      if (extension.type === "other" || extension.type === "quic_transport_parameters") continue;
      if (extension.type === "server_name" && place === "EE") continue;
      throws(() => readExtensions(new Reader(cut), place), (error) => {
        return error instanceof TruncatedError || (error instanceof TlsAlert && error.alert === "decode_error");
      }, `${extension.type} in ${place} at ${length}`);
    }
  }
});

Deno.test("Extensions are refused where they do not belong, twice, or with bytes too many (RFC 8446 §4.2)", () => {
  const read = (hex: string, place: ExtensionPlace): string => {
    const body = fromHex(hex);
    const bytes = new Uint8Array([body.length >> 8, body.length, ...body]);
    try {
      readExtensions(new Reader(bytes), place);
      return "read";
    } catch (error) {
      return error instanceof TlsAlert ? error.alert : String(error);
    }
  };
  strictEqual(read("00390000", "SH"), "illegal_parameter");
  strictEqual(read("00330002001d", "EE"), "illegal_parameter");
  strictEqual(read("fafa0000 fafa0000", "CH"), "illegal_parameter");
  strictEqual(read("002b0003030400", "SH"), "decode_error");
  strictEqual(read("fafa0000", "EE"), "read");
  // pre_shared_key comes last.
  strictEqual(read("fafa0000 00290000", "CH"), "read");
  strictEqual(read("00290000 fafa0000", "CH"), "illegal_parameter");
  // Two host names.
  strictEqual(read("0000 000a 0008 00 0001 61 00 0001 62", "CH"), "illegal_parameter");
});
