/**
 * What requests and responses say before their content, and what makes them malformed: RFC 9114 §4.1.2, §4.2, §4.3, §4.4,
 * RFC 8441 §4.
 *
 * @module
 */

import { Http3StreamError } from "./errors.ts";

/**
 * A field line: name in lower case, value. Characters stand for bytes, 0 to 255 (RFC 9110 §5.5: beyond ASCII they have no
 * meaning of their own).
 */
export type Field = readonly [name: string, value: string];

/** The head of a request: the pseudo-header fields of RFC 9114 §4.3.1 by name, and the rest. */
export interface RequestHead {
  readonly method: string;
  /** Absent in a plain CONNECT only. */
  readonly scheme?: string;
  /** Host and port; from the Host field if that stands alone. Of a plain CONNECT: where the tunnel leads. */
  readonly authority?: string;
  /** With the query. Absent in a plain CONNECT only. */
  readonly path?: string;
  /** Makes a CONNECT an extended one: RFC 9220, RFC 8441 §4. */
  readonly protocol?: string;
  readonly fields: readonly Field[];
}

/** The head of a response: RFC 9114 §4.3.2. */
export interface ResponseHead {
  /** 100 to 999, never 101. */
  readonly status: number;
  readonly fields: readonly Field[];
}

/** The value of the only field of that name; `undefined` if there is none or more than one. */
export function singleField(fields: readonly Field[], name: string): string | undefined {
  let value: string | undefined;
  for (const field of fields) {
    if (field[0] !== name) continue;
    if (value !== undefined) return undefined;
    value = field[1];
  }
  return value;
}

/** A request as a field section. */
export function fieldsOfRequest(head: RequestHead): Field[] {
  const fields: Field[] = [[":method", head.method]];
  if (head.scheme !== undefined) fields.push([":scheme", head.scheme]);
  if (head.authority !== undefined) fields.push([":authority", head.authority]);
  if (head.path !== undefined) fields.push([":path", head.path]);
  if (head.protocol !== undefined) fields.push([":protocol", head.protocol]);
  fields.push(...head.fields);
  return fields;
}

/** A response as a field section. */
export function fieldsOfResponse(head: ResponseHead): Field[] {
  return [[":status", String(head.status)], ...head.fields];
}

/**
 * A field section as a request.
 *
 * @param allowsProtocol Whether extended CONNECT is enabled; otherwise `:protocol` is unknown (RFC 9220 §3).
 * @throws {Http3StreamError} H3_MESSAGE_ERROR, if it is malformed.
 */
export function requestOf(section: readonly Field[], allowsProtocol: boolean): RequestHead {
  const { pseudo, fields } = split(section, allowsProtocol ? EXTENDED_REQUEST_FIELDS : REQUEST_FIELDS);
  checkFields(fields, { allowsTe: true });
  const method = pseudo.get(":method");
  if (method === undefined || !TOKEN.test(method)) throw malformed(":method is missing or not a token");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  const protocol = pseudo.get(":protocol");
  const authority = authorityOf(pseudo.get(":authority"), fields);
  if (protocol !== undefined) {
    if (method !== "CONNECT") throw malformed(`:protocol is in a request with the method ${method}`);
    if (!TOKEN.test(protocol)) throw malformed(":protocol is not a token");
  } else if (method === "CONNECT") {
    checkConnect(scheme, path, pseudo.get(":authority"));
    return { method, ...optional("authority", authority), fields };
  }
  checkTarget(method, scheme, path, authority);
  return {
    method,
    ...optional("scheme", scheme),
    ...optional("authority", authority),
    ...optional("path", path),
    ...optional("protocol", protocol),
    fields,
  };
}

/**
 * A field section as a response.
 *
 * @throws {Http3StreamError} H3_MESSAGE_ERROR, if it is malformed.
 */
export function responseOf(section: readonly Field[]): ResponseHead {
  const { pseudo, fields } = split(section, RESPONSE_FIELDS);
  checkFields(fields, { allowsTe: false });
  const status = pseudo.get(":status");
  if (status === undefined || !/^[1-9]\d\d$/.test(status)) throw malformed(":status is missing or not of three digits");
  // RFC 9114 §4.5.
  if (status === "101") throw malformed("101 has no meaning in HTTP/3");
  return { status: Number(status), fields };
}

/** A field section after the content. @throws {Http3StreamError} H3_MESSAGE_ERROR, if it is malformed. */
export function checkTrailers(section: readonly Field[]): void {
  const { fields } = split(section, NO_FIELDS);
  checkFields(fields, { allowsTe: false });
}

/**
 * What Content-Length says: RFC 9110 §8.6.
 *
 * @throws {Http3StreamError} H3_MESSAGE_ERROR, if it is no number, or more than one.
 */
export function contentLengthOf(fields: readonly Field[]): number | undefined {
  let length: number | undefined;
  for (const [name, value] of fields) {
    if (name !== "content-length") continue;
    const next = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
    if (Number.isNaN(next) || (length !== undefined && length !== next)) {
      throw malformed("Content-Length is not one number");
    }
    length = next;
  }
  return length;
}

const NO_FIELDS: ReadonlySet<string> = new Set();
const REQUEST_FIELDS: ReadonlySet<string> = new Set([":method", ":scheme", ":authority", ":path"]);
const EXTENDED_REQUEST_FIELDS: ReadonlySet<string> = new Set([...REQUEST_FIELDS, ":protocol"]);
const RESPONSE_FIELDS: ReadonlySet<string> = new Set([":status"]);

/** RFC 9114 §4.2, RFC 9110 §7.6.1. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A token in lower case: RFC 9114 §4.2. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 §5.5: no control characters but tabs, and no white space at either end. */
const FIELD_VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;
/** RFC 3986 §3.1. */
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
/** Path, query and authority of RFC 3986 have no other characters, and fewer. */
const VISIBLE = /^[!-~]+$/;

/** Parts pseudo-header fields, which come first and once, from the others: RFC 9114 §4.3. */
function split(
  section: readonly Field[],
  allowed: ReadonlySet<string>,
): { pseudo: ReadonlyMap<string, string>; fields: readonly Field[] } {
  const pseudo = new Map<string, string>();
  let count = 0;
  for (const [name, value] of section) {
    if (!name.startsWith(":")) break;
    if (!allowed.has(name)) throw malformed(`${printable(name)} does not belong there`);
    if (pseudo.has(name)) throw malformed(`${name} came twice`);
    pseudo.set(name, value);
    count++;
  }
  return { pseudo, fields: section.slice(count) };
}

function checkFields(fields: readonly Field[], { allowsTe }: { allowsTe: boolean }): void {
  for (const [name, value] of fields) {
    // A pseudo-header field that comes late fails here as well: RFC 9114 §4.3.
    if (!FIELD_NAME.test(name)) throw malformed(`The field name ${printable(name)} is not a token in lower case`);
    if (!FIELD_VALUE.test(value)) throw malformed(`The value of ${name} has characters that no value has`);
    if (CONNECTION_SPECIFIC.has(name)) throw malformed(`${name} is about a connection of HTTP/1.1`);
    // RFC 9114 §4.2.
    if (name === "te" && !(allowsTe && value.toLowerCase() === "trailers")) throw malformed("te is not just trailers");
  }
}

/** RFC 9114 §4.3.1: `:authority` and Host must agree. */
function authorityOf(authority: string | undefined, fields: readonly Field[]): string | undefined {
  const hosts = fields.filter(([name]) => name === "host").map(([, value]) => value);
  if (hosts.length > 1) throw malformed("Host came twice");
  const [host] = hosts;
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    throw malformed(":authority and Host differ");
  }
  return authority ?? host;
}

/** RFC 9114 §4.4. */
function checkConnect(scheme: string | undefined, path: string | undefined, authority: string | undefined): void {
  if (scheme !== undefined || path !== undefined) throw malformed("CONNECT has :scheme or :path");
  // RFC 9110 §9.3.6: host and port, and the port is not left out.
  if (authority === undefined || !/^[!-~]+:\d{1,5}$/.test(authority)) {
    throw malformed("CONNECT has no :authority with host and port");
  }
}

/** RFC 9114 §4.3.1. */
function checkTarget(
  method: string,
  scheme: string | undefined,
  path: string | undefined,
  authority: string | undefined,
): void {
  if (scheme === undefined || !SCHEME.test(scheme)) throw malformed(":scheme is missing or not a scheme");
  if (path === undefined) throw malformed(":path is missing");
  if (authority !== undefined && !VISIBLE.test(authority)) throw malformed(":authority is empty or not an authority");
  const isHttp = /^https?$/i.test(scheme);
  if (!isHttp) {
    if (path !== "" && !VISIBLE.test(path)) throw malformed(":path has characters that no path has");
    return;
  }
  if (!VISIBLE.test(path) || !(path.startsWith("/") || (path === "*" && method === "OPTIONS"))) {
    throw malformed(":path is not a path");
  }
  if (authority === undefined) throw malformed(":authority and Host are missing");
  if (authority.includes("@")) throw malformed(":authority has userinfo");
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  const part: { [P in K]?: string } = {};
  if (value !== undefined) part[key] = value;
  return part;
}

/** What a peer sent, fit for a message. */
function printable(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

function malformed(message: string): Http3StreamError {
  return new Http3StreamError("H3_MESSAGE_ERROR", message);
}
