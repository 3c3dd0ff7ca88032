/**
 * Handshakes that go wrong on purpose: messages rewritten on their way, and who says what to that.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { AlertName } from "../../protocols/tls/alerts.ts";
import type { TlsConfig } from "../../protocols/tls/config.ts";
import type { CryptoData } from "../../protocols/tls/events.ts";
import type { Extension } from "../../protocols/tls/extensions.ts";
import { decodeMessage, encodeMessage } from "../../protocols/tls/messages.ts";
import type { HandshakeMessage } from "../../protocols/tls/messages.ts";
import { CLIENT_CONFIG, SERVER_CONFIG, TlsPair } from "./tls_pair.ts";

/** What becomes of a message on its way. */
export type Change = (from: "client" | "server", data: CryptoData) => CryptoData[];

/** Rewrites every message of that type. */
export function rewrite<T extends HandshakeMessage["type"]>(
  type: T,
  change: (message: HandshakeMessage & { type: T }) => HandshakeMessage,
  from?: "client" | "server",
): Change {
  const isIt = (message: HandshakeMessage): message is HandshakeMessage & { type: T } => message.type === type;
  return (sender, one) => {
    const message = decodeMessage(one.data);
    if (!isIt(message) || (from !== undefined && sender !== from)) return [one];
    return [{ level: one.level, data: encodeMessage(change(message)) }];
  };
}

/** The extensions of a message but for one. */
export function without(type: Extension["type"]): (message: { extensions: readonly Extension[] }) => Extension[] {
  return ({ extensions }) => extensions.filter((extension) => extension.type !== type);
}

/** Runs, and says who failed with what. */
export function outcome(client: TlsConfig, server: TlsConfig, change?: Change): string {
  const pair = new TlsPair(client, server).run(change);
  const { failure } = pair.client;
  ok(failure === undefined || pair.server.failure === undefined, "Only one side finds the mistake");
  // Whoever fails never reports completion, and the server not either whenever the client fails before its Finished.
  if (failure !== undefined) deepStrictEqual([pair.client.complete, pair.server.complete], [undefined, undefined]);
  if (pair.server.failure !== undefined) {
    strictEqual(pair.server.complete, undefined);
    strictEqual(pair.server.secret("application", "read"), undefined);
  }
  return failure !== undefined ? `client ${failure}` : `server ${pair.server.failure}`;
}

/** One mistake, and what it leads to. */
export interface Refusal {
  readonly what: string;
  readonly client?: TlsConfig;
  readonly server?: TlsConfig;
  readonly change?: Change;
  readonly expect: `${"client" | "server"} ${AlertName | "PROTOCOL_VIOLATION"}`;
}

/** A test that makes each mistake once. */
export function refusals(title: string, list: readonly Refusal[]): void {
  Deno.test(title, () => {
    for (const { what, client = CLIENT_CONFIG, server = SERVER_CONFIG, change, expect } of list) {
      strictEqual(outcome(client, server, change), expect, what);
    }
  });
}
