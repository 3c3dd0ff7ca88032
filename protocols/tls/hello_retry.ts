/**
 * HelloRetryRequest on both sides: what the server asks for, what a client makes of it, and what may differ in its second
 * ClientHello (RFC 8446 §4.1.2, §4.1.4, §4.2.2).
 *
 * QUIC validates addresses with Retry (RFC 9001 §4.7), so our server sends no cookie; a client returns what it is given.
 *
 * @module
 */

import { equalBytes } from "../core/bytes.ts";
import { TlsAlert } from "./alerts.ts";
import type { CipherSuite } from "./cipher_suites.ts";
import { extensionCode } from "./extensions.ts";
import type { Extension, ExtensionName, KeyShareEntry } from "./extensions.ts";
import { encodeMessage, HELLO_RETRY_REQUEST_RANDOM, TLS_1_3 } from "./messages.ts";
import type { ClientHello, ServerHello } from "./messages.ts";
import type { NamedGroup } from "./named_groups.ts";

/** Longest cookie that a client returns, in bytes: with it a ClientHello stays below what servers take. */
export const MAX_COOKIE_BYTES = 8192;

/** What a server asks with: RFC 8446 §4.1.4. */
export function helloRetryRequest(hello: ClientHello, suite: CipherSuite, group: NamedGroup): ServerHello {
  return {
    type: "server_hello",
    random: HELLO_RETRY_REQUEST_RANDOM,
    legacySessionIdEcho: hello.legacySessionId,
    cipherSuite: suite.code,
    extensions: [
      { type: "supported_versions", versions: [TLS_1_3] },
      { type: "key_share", entries: [{ group: group.code, key: new Uint8Array(0) }] },
    ],
  };
}

/** What a client has been asked for. */
export interface HelloRetry {
  /** The group it wants a share of; `undefined`: those it has will do. */
  readonly group: number | undefined;
  /** What it wants to see again. */
  readonly cookie: Uint8Array | undefined;
}

/**
 * Reads what a HelloRetryRequest asks for.
 *
 * @throws {TlsAlert} illegal_parameter, if it asks for what was not offered or is there already, or for nothing.
 */
export function readHelloRetryRequest(hello: ClientHello, request: ServerHello): HelloRetry {
  const group = request.extensions.find((extension) => extension.type === "key_share")?.entries[0]?.group;
  const cookie = request.extensions.find((extension) => extension.type === "cookie")?.cookie;
  // RFC 8446 §4.1.4: it has to change the ClientHello.
  if (group === undefined && cookie === undefined) {
    throw new TlsAlert("illegal_parameter", "HelloRetryRequest that asks for nothing");
  }
  if (group !== undefined) {
    const groups = hello.extensions.find((extension) => extension.type === "supported_groups")?.groups;
    const shares = hello.extensions.find((extension) => extension.type === "key_share")?.entries;
    // RFC 8446 §4.2.8: one that was offered, and without a share.
    if (!groups?.includes(group) || shares?.some((share) => share.group === group)) {
      throw new TlsAlert("illegal_parameter", `HelloRetryRequest for group ${group}, which is not for it to ask`);
    }
  }
  if (cookie !== undefined && cookie.length > MAX_COOKIE_BYTES) {
    throw new TlsAlert("handshake_failure", `HelloRetryRequest with a cookie of ${cookie.length} bytes`);
  }
  return { group, cookie };
}

/** The client's second ClientHello: the first one, with the share and the cookie asked for (RFC 8446 §4.1.2). */
export function secondClientHello(
  first: ClientHello,
  share: KeyShareEntry | undefined,
  cookie: Uint8Array | undefined,
): ClientHello {
  const extensions: Extension[] = first.extensions.map((extension) =>
    share !== undefined && extension.type === "key_share" ? { type: "key_share", entries: [share] } : extension
  );
  if (cookie !== undefined) extensions.push({ type: "cookie", cookie });
  return { ...first, extensions };
}

/**
 * The share in the second ClientHello that a server has asked for: the only one, of that group, and all else is what it
 * knows already (RFC 8446 §4.1.2, §4.2.8).
 *
 * @throws {TlsAlert} illegal_parameter.
 */
export function shareAskedFor(first: ClientHello, second: ClientHello, group: NamedGroup): Uint8Array {
  const shares = second.extensions.find((extension) => extension.type === "key_share")?.entries ?? [];
  const [share] = shares;
  if (share === undefined || shares.length !== 1 || share.group !== group.code) {
    throw new TlsAlert("illegal_parameter", "The second ClientHello has other key shares than the one asked for");
  }
  if (!equalBytes(unchangingPart(first), unchangingPart(second))) {
    throw new TlsAlert("illegal_parameter", "The second ClientHello differs from the first");
  }
  return share.key;
}

/** Extensions that a client may add, change or take away: RFC 8446 §4.1.2. Nobody has asked for a cookie here. */
const CHANGING_NAMES: readonly ExtensionName[] = ["key_share", "early_data"];
const PRE_SHARED_KEY = 41;
const PADDING = 21;

/** All that has to stay. In which order the extensions come says nothing. */
function unchangingPart(hello: ClientHello): Uint8Array {
  const extensions = hello.extensions
    .filter((extension) =>
      extension.type === "other"
        ? extension.code !== PADDING && extension.code !== PRE_SHARED_KEY
        : !CHANGING_NAMES.includes(extension.type)
    )
    .sort((a, b) => extensionCode(a) - extensionCode(b));
  return encodeMessage({ ...hello, extensions });
}
