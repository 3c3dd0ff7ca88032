/**
 * Extensions (RFC 8446 §4.2): the table of who may appear where, and the bodies of those we look into. The others are
 * carried as they are.
 *
 * @module
 */

import type { Reader } from "../core/reader.ts";
import type { Writer } from "../core/writer.ts";
import { TlsAlert } from "./alerts.ts";
import { readOpaque, readUint16s, readVector, writeOpaque, writeUint16s, writeVector } from "./vector.ts";
import { unreachable } from "../core/unreachable.ts";

/** The messages that carry extensions, by the letters of the table in RFC 8446 §4.2. */
export type ExtensionPlace = "CH" | "SH" | "EE" | "CT" | "CR" | "NST" | "HRR";

/** One key share (RFC 8446 §4.2.8); `key` is empty in HelloRetryRequest, which only names the group. */
export interface KeyShareEntry {
  readonly group: number;
  readonly key: Uint8Array;
}

/**
 * One extension. Where a hello offers a list and the answer picks one of it, the answer is a list of one here.
 * Byte arrays are views of the message.
 */
export type Extension =
  /** `undefined` is the empty acknowledgement of RFC 6066 §3. */
  | { readonly type: "server_name"; readonly hostName: string | undefined }
  | { readonly type: "supported_groups"; readonly groups: readonly number[] }
  | { readonly type: "signature_algorithms"; readonly schemes: readonly number[] }
  | { readonly type: "signature_algorithms_cert"; readonly schemes: readonly number[] }
  /** One character a byte (RFC 7301 §3.1 makes protocol names opaque bytes). */
  | { readonly type: "application_layer_protocol_negotiation"; readonly protocols: readonly string[] }
  | { readonly type: "client_certificate_type"; readonly certificateTypes: readonly number[] }
  | { readonly type: "server_certificate_type"; readonly certificateTypes: readonly number[] }
  | { readonly type: "key_share"; readonly entries: readonly KeyShareEntry[] }
  /** `undefined` in ClientHello and EncryptedExtensions, where the extension is empty. */
  | { readonly type: "early_data"; readonly maxEarlyDataBytes: number | undefined }
  /** What a server wants to see again: RFC 8446 §4.2.2. */
  | { readonly type: "cookie"; readonly cookie: Uint8Array }
  | { readonly type: "supported_versions"; readonly versions: readonly number[] }
  | { readonly type: "quic_transport_parameters"; readonly bytes: Uint8Array }
  | { readonly type: "other"; readonly code: number; readonly data: Uint8Array };

/** Names of the extensions we look into. */
export type ExtensionName = Exclude<Extension["type"], "other">;

interface ExtensionRule {
  /** Absent: the body is carried as it is. */
  readonly name?: ExtensionName;
  readonly places: readonly ExtensionPlace[];
}

/** The table of RFC 8446 §4.2 in its order, then RFC 9001 §8.2. An extension that is not in it may be anywhere. */
const RULES: ReadonlyMap<number, ExtensionRule> = new Map<number, ExtensionRule>([
  [0, { name: "server_name", places: ["CH", "EE"] }],
  [1, { places: ["CH", "EE"] }], // max_fragment_length
  [5, { places: ["CH", "CR", "CT"] }], // status_request
  [10, { name: "supported_groups", places: ["CH", "EE"] }],
  [13, { name: "signature_algorithms", places: ["CH", "CR"] }],
  [14, { places: ["CH", "EE"] }], // use_srtp
  [15, { places: ["CH", "EE"] }], // heartbeat
  [16, { name: "application_layer_protocol_negotiation", places: ["CH", "EE"] }],
  [18, { places: ["CH", "CR", "CT"] }], // signed_certificate_timestamp
  [19, { name: "client_certificate_type", places: ["CH", "EE"] }],
  [20, { name: "server_certificate_type", places: ["CH", "EE"] }],
  [21, { places: ["CH"] }], // padding
  [51, { name: "key_share", places: ["CH", "SH", "HRR"] }],
  [41, { places: ["CH", "SH"] }], // pre_shared_key
  [45, { places: ["CH"] }], // psk_key_exchange_modes
  [42, { name: "early_data", places: ["CH", "EE", "NST"] }],
  [44, { name: "cookie", places: ["CH", "HRR"] }],
  [43, { name: "supported_versions", places: ["CH", "SH", "HRR"] }],
  [47, { places: ["CH", "CR"] }], // certificate_authorities
  [48, { places: ["CR"] }], // oid_filters
  [49, { places: ["CH"] }], // post_handshake_auth
  [50, { name: "signature_algorithms_cert", places: ["CH", "CR"] }],
  [57, { name: "quic_transport_parameters", places: ["CH", "EE"] }],
]);

/** Must come last in a ClientHello: RFC 8446 §4.2.11. */
const PRE_SHARED_KEY = 41;

const CODES: Readonly<Record<ExtensionName, number>> = {
  server_name: 0,
  supported_groups: 10,
  signature_algorithms: 13,
  signature_algorithms_cert: 50,
  application_layer_protocol_negotiation: 16,
  client_certificate_type: 19,
  server_certificate_type: 20,
  key_share: 51,
  early_data: 42,
  cookie: 44,
  supported_versions: 43,
  quic_transport_parameters: 57,
};

const HOST_NAME = 0;

/** The number of an extension on the wire. */
export function extensionCode(extension: Extension): number {
  return extension.type === "other" ? extension.code : CODES[extension.type];
}

/**
 * Reads the extensions of a message, in their order.
 *
 * @throws {TruncatedError} If the bytes end first.
 * @throws {TlsAlert} decode_error or illegal_parameter.
 */
export function readExtensions(reader: Reader, place: ExtensionPlace): Extension[] {
  const list = readVector(reader, 2, { min: 0, max: 0xffff });
  const extensions: Extension[] = [];
  const seen = new Set<number>();
  while (list.remaining > 0) {
    const code = list.uint16();
    const body = readVector(list, 2, { min: 0, max: 0xffff });
    // RFC 8446 §4.2: not more than one of a type in a block.
    if (seen.has(code)) throw new TlsAlert("illegal_parameter", `Extension ${code} appears twice`);
    seen.add(code);
    const rule = RULES.get(code);
    // RFC 8446 §4.2: one that is recognised and not specified for this message is refused.
    if (rule !== undefined && !rule.places.includes(place)) {
      throw new TlsAlert("illegal_parameter", `Extension ${code} does not belong into ${place}`);
    }
    if (code === PRE_SHARED_KEY && place === "CH" && list.remaining > 0) {
      throw new TlsAlert("illegal_parameter", "The pre_shared_key extension is not the last");
    }
    if (rule?.name === undefined) {
      extensions.push({ type: "other", code, data: body.rest() });
      continue;
    }
    extensions.push(readBody(body, rule.name, place));
    if (body.remaining > 0) throw new TlsAlert("decode_error", `Extension ${code} has bytes after its end`);
  }
  return extensions;
}

/** Writes extensions in the order given. */
export function writeExtensions(writer: Writer, extensions: readonly Extension[], place: ExtensionPlace): void {
  writeVector(writer, 2, () => {
    for (const extension of extensions) {
      writer.uint16(extensionCode(extension));
      writeVector(writer, 2, () => writeBody(writer, extension, place));
    }
  });
}

function readBody(reader: Reader, name: ExtensionName, place: ExtensionPlace): Extension {
  switch (name) {
    case "server_name":
      return { type: name, hostName: place === "CH" ? readHostName(reader) : undefined };
    case "supported_groups":
      return { type: name, groups: readUint16s(reader, 2, { min: 2, max: 0xffff }) };
    case "signature_algorithms":
    case "signature_algorithms_cert":
      return { type: name, schemes: readUint16s(reader, 2, { min: 2, max: 0xfffe }) };
    case "application_layer_protocol_negotiation":
      return { type: name, protocols: readProtocols(reader) };
    case "client_certificate_type":
    case "server_certificate_type":
      // RFC 7250 §3: a list in the hello, one value in the answer.
      if (place !== "CH") return { type: name, certificateTypes: [reader.uint8()] };
      return { type: name, certificateTypes: [...readOpaque(reader, 1, { min: 1, max: 0xff })] };
    case "key_share":
      return { type: name, entries: readKeyShares(reader, place) };
    case "early_data":
      return { type: name, maxEarlyDataBytes: place === "NST" ? reader.uint32() : undefined };
    case "cookie":
      return { type: name, cookie: readOpaque(reader, 2, { min: 1, max: 0xffff }) };
    case "supported_versions":
      if (place !== "CH") return { type: name, versions: [reader.uint16()] };
      return { type: name, versions: readUint16s(reader, 1, { min: 2, max: 254 }) };
    case "quic_transport_parameters":
      return { type: name, bytes: reader.rest() };
    default:
      return unreachable(name);
  }
}

function writeBody(writer: Writer, extension: Extension, place: ExtensionPlace): void {
  switch (extension.type) {
    case "server_name":
      if (extension.hostName !== undefined) writeHostName(writer, extension.hostName);
      return;
    case "supported_groups":
      return writeUint16s(writer, 2, extension.groups);
    case "signature_algorithms":
    case "signature_algorithms_cert":
      return writeUint16s(writer, 2, extension.schemes);
    case "application_layer_protocol_negotiation":
      return writeProtocols(writer, extension.protocols);
    case "client_certificate_type":
    case "server_certificate_type": {
      const types = Uint8Array.from(extension.certificateTypes);
      return place === "CH" ? writeOpaque(writer, 1, types) : writer.bytes(types);
    }
    case "key_share":
      return writeKeyShares(writer, extension.entries, place);
    case "early_data":
      if (extension.maxEarlyDataBytes !== undefined) writer.uint32(extension.maxEarlyDataBytes);
      return;
    case "cookie":
      return writeOpaque(writer, 2, extension.cookie);
    case "supported_versions":
      if (place === "CH") return writeUint16s(writer, 1, extension.versions);
      for (const version of extension.versions) writer.uint16(version);
      return;
    case "quic_transport_parameters":
      return writer.bytes(extension.bytes);
    case "other":
      return writer.bytes(extension.data);
    default:
      return unreachable(extension);
  }
}

/** RFC 6066 §3. Names of other types than host_name do not exist, and would not be understood. */
function readHostName(reader: Reader): string | undefined {
  const list = readVector(reader, 2, { min: 1, max: 0xffff });
  let hostName: string | undefined;
  while (list.remaining > 0) {
    const type = list.uint8();
    const name = readOpaque(list, 2, { min: 1, max: 0xffff });
    if (type !== HOST_NAME) continue;
    if (hostName !== undefined) throw new TlsAlert("illegal_parameter", "Two host names in server_name");
    hostName = bytesToText(name);
  }
  return hostName;
}

function writeHostName(writer: Writer, hostName: string): void {
  writeVector(writer, 2, () => {
    writer.uint8(HOST_NAME);
    writeOpaque(writer, 2, textToBytes(hostName));
  });
}

/** RFC 7301 §3.1. */
function readProtocols(reader: Reader): string[] {
  const list = readVector(reader, 2, { min: 2, max: 0xffff });
  const protocols: string[] = [];
  while (list.remaining > 0) protocols.push(bytesToText(readOpaque(list, 1, { min: 1, max: 0xff })));
  return protocols;
}

function writeProtocols(writer: Writer, protocols: readonly string[]): void {
  writeVector(writer, 2, () => {
    for (const protocol of protocols) writeOpaque(writer, 1, textToBytes(protocol));
  });
}

function readKeyShares(reader: Reader, place: ExtensionPlace): KeyShareEntry[] {
  if (place === "HRR") return [{ group: reader.uint16(), key: new Uint8Array(0) }];
  if (place === "SH") return [readKeyShare(reader)];
  const list = readVector(reader, 2, { min: 0, max: 0xffff });
  const entries: KeyShareEntry[] = [];
  while (list.remaining > 0) entries.push(readKeyShare(list));
  return entries;
}

function readKeyShare(reader: Reader): KeyShareEntry {
  return { group: reader.uint16(), key: readOpaque(reader, 2, { min: 1, max: 0xffff }) };
}

function writeKeyShares(writer: Writer, entries: readonly KeyShareEntry[], place: ExtensionPlace): void {
  const writeAll = (): void => {
    for (const { group, key } of entries) {
      writer.uint16(group);
      if (place !== "HRR") writeOpaque(writer, 2, key);
    }
  };
  if (place === "CH") writeVector(writer, 2, writeAll);
  else writeAll();
}

function bytesToText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function textToBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
