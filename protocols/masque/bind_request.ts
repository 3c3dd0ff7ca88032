/**
 * The heads of a bind request and its response: extended CONNECT for `connect-udp` (RFC 9298 §3) with `connect-udp-bind`
 * (draft-ietf-masque-connect-udp-listen-13). How a proxy reads requests is in `udp_request.ts`.
 *
 * @module
 */

import { type Address, parseAddress } from "../core/address.ts";
import { type AddressScope, scopeOf } from "../core/address_scope.ts";
import { type Field, type RequestHead, type ResponseHead, singleField } from "../http3/message.ts";
import { formatStringList, isTrueItem, parseStringList } from "./structured_field.ts";

/** Addresses that a proxy may tell; more make its response one that we do not take. */
const MAX_PUBLIC_ADDRESSES = 8;

/** RFC 9298 §2: the default template, with both parts of the target being `*`. */
export const BIND_PATH = "/.well-known/masque/udp/%2A/%2A/";

/** What a client asks with. */
export interface BindRequestOptions {
  /** Host and port of the proxy, as its certificate or URL has it. */
  readonly authority: string;
  /** Goes into `authorization: Bearer`. */
  readonly token?: string;
  /** Where the proxy's template is not the default one. */
  readonly path?: string;
  /** Fields of the application's own. */
  readonly fields?: readonly Field[];
}

/** The head of a request for a public address. */
export function bindRequest({ authority, token, path = BIND_PATH, fields = [] }: BindRequestOptions): RequestHead {
  return {
    method: "CONNECT",
    scheme: "https",
    authority,
    path,
    protocol: "connect-udp",
    fields: [
      ["capsule-protocol", "?1"],
      ["connect-udp-bind", "?1"],
      ...(token === undefined ? [] : [["authorization", `Bearer ${token}`] as const]),
      ...fields,
    ],
  };
}

/** The head that grants a request. */
export function bindResponse(publicAddresses: readonly Address[]): ResponseHead {
  return {
    status: 200,
    fields: [
      ["capsule-protocol", "?1"],
      ["connect-udp-bind", "?1"],
      ["proxy-public-address", formatStringList(publicAddresses.map(String))],
    ],
  };
}

/**
 * The addresses that a response grants; a text that says why there are none.
 *
 * @param allowsLoopback Whether the proxy is on our own machine: only then is loopback where others find us.
 */
export function readBindResponse(
  { status, fields }: ResponseHead,
  allowsLoopback: boolean = false,
): readonly Address[] | string {
  if (status < 200 || status > 299) return `the proxy answered ${status}`;
  if (!isTrueItem(singleField(fields, "connect-udp-bind"))) return "the proxy does not bind";
  const values = fields.filter(([name]) => name === "proxy-public-address").map(([, value]) => value);
  const texts = parseStringList(values.join(", "));
  if (texts === undefined || texts.length === 0) return "the proxy tells no public address";
  if (texts.length > MAX_PUBLIC_ADDRESSES) return `the proxy tells more than ${MAX_PUBLIC_ADDRESSES} public addresses`;
  try {
    const addresses = texts.map(parseAddress);
    if (addresses.some(({ port }) => port === 0)) return "the proxy tells an address with port 0";
    const odd = addresses.find((address) => !isPossible(scopeOf(address), allowsLoopback));
    return odd === undefined ? addresses : `the proxy tells ${odd.host}, which is ${scopeOf(odd)}`;
  } catch {
    return "the proxy tells a public address that is none";
  }
}

/** Whether somebody could send there: whoever is told the address will. */
function isPossible(scope: AddressScope, allowsLoopback: boolean): boolean {
  switch (scope) {
    case "unspecified":
    case "multicast":
    case "reserved":
      return false;
    case "loopback":
      return allowsLoopback;
    case "link-local":
    case "private":
    case "shared":
    case "global":
      return true;
  }
}
