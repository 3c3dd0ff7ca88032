/**
 * What a client asks a proxy for in a request for `connect-udp`: a tunnel to one target, as the path names it (RFC 9298 §2,
 * §3), or with `connect-udp-bind` a public address (draft-ietf-masque-connect-udp-listen-13). Names are not resolved.
 *
 * @module
 */

import { type Address, addressOf, isIpAddress } from "../core/address.ts";
import { type Field, type RequestHead, type ResponseHead, singleField } from "../http3/message.ts";
import { isTrueItem } from "./structured_field.ts";

/** What a proxy makes of a request. */
export type UdpRequestVerdict =
  | { readonly type: "bind"; readonly token: string | undefined }
  /** Whether it may send there is the proxy's to decide. */
  | { readonly type: "target"; readonly target: Address; readonly token: string | undefined }
  /** What to answer instead. */
  | { readonly type: "refused"; readonly response: ResponseHead };

/** Why a proxy does not do what it was asked to, as RFC 9209 §2.3 has them, with the status that goes with it. */
const PROXY_ERRORS = {
  dns_error: 502,
  destination_ip_prohibited: 502,
  destination_ip_unroutable: 502,
  http_request_error: 400,
} as const;

/** One of them. */
export type ProxyErrorType = keyof typeof PROXY_ERRORS;

/** Reads a request at the proxy. */
export function readUdpRequest(request: RequestHead): UdpRequestVerdict {
  const parts = TEMPLATE.exec(request.path ?? "");
  if (parts === null) return refused(404);
  // RFC 9298 §3.2, RFC 9220 §3: other protocols are not ours, and other methods do not open tunnels.
  if (request.method !== "CONNECT") return refused(405);
  if (request.protocol !== "connect-udp") return refused(501);
  const [host, port] = [decode(parts[1]), decode(parts[2])];
  if (host === undefined || port === undefined) return malformed("The path is not percent-encoded");
  const token = bearerToken(request.fields);
  if (host !== "*" && port !== "*") return readTarget(host, port, token);
  if (host !== port) return malformed("One wildcard without the other names nothing");
  // Without the field it would be a tunnel to a target that cannot be.
  if (!isTrueItem(singleField(request.fields, "connect-udp-bind"))) {
    return malformed("Wildcards are for connect-udp-bind");
  }
  return { type: "bind", token };
}

/** RFC 9297 §3.4. */
const CAPSULES: Field = ["capsule-protocol", "?1"];

/** The head that grants a tunnel to a target: RFC 9298 §3.5. */
export const TARGET_RESPONSE: ResponseHead = Object.freeze({ status: 200, fields: [CAPSULES] });

/** The head that says why there is none: RFC 9298 §3.1, RFC 9209 §2. */
export function proxyErrorResponse(error: ProxyErrorType, details: string): ResponseHead {
  // Quotes and backslashes are what a String may not have as they are (RFC 8941 §3.3.3); ours have neither.
  return { status: PROXY_ERRORS[error], fields: [["proxy-status", `traverse; error=${error}; details="${details}"`]] };
}

/** RFC 9298 §2: an IPv4 address, an IPv6 address without brackets and zone, or a name; and a port of 1 to 65535. */
function readTarget(host: string, port: string, token: string | undefined): UdpRequestVerdict {
  const number = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) return malformed("The port is not 1 to 65535");
  if (isIpAddress(host)) return { type: "target", target: addressOf(host, number), token };
  if (!NAME.test(host)) return malformed("The host is neither an IP address nor a name");
  return { type: "refused", response: proxyErrorResponse("dns_error", "names are not resolved here") };
}

/** `Bearer` credentials: RFC 6750 §2.1; the scheme's name has no case (RFC 9110 §11.1). */
function bearerToken(fields: readonly Field[]): string | undefined {
  const value = singleField(fields, "authorization") ?? singleField(fields, "proxy-authorization");
  return value === undefined ? undefined : /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(value)?.[1];
}

/** RFC 9298 §2: the default template. */
const TEMPLATE = /^\/\.well-known\/masque\/udp\/([^/?#]+)\/([^/?#]+)\/$/;

/** Labels of letters, digits, hyphens and underscores, 253 characters at most: RFC 1123 §2.1. */
const NAME = /^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/;

function decode(text: string | undefined): string | undefined {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return undefined;
  }
}

function refused(status: number): UdpRequestVerdict {
  return { type: "refused", response: { status, fields: [] } };
}

function malformed(details: string): UdpRequestVerdict {
  return { type: "refused", response: proxyErrorResponse("http_request_error", details) };
}
