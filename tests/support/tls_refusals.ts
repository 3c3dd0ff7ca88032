/**
 * Handshakes that go wrong on purpose: messages rewritten on their way, and who says what to that.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { AlertName } from "../../protocols/tls/alerts.ts";
import type { TlsConfig } from "../../protocols/tls/config.ts";
import type { CryptoData, Verdict } from "../../protocols/tls/events.ts";
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

/** What a raw peer does wrong, and what it is told: a row of the table of alerts. */
export interface AlertCase {
  /** The rule that is broken. */
  readonly rule: string;
  /** What is said against it. */
  readonly input: string;
  readonly client?: TlsConfig;
  readonly server?: TlsConfig;
  /** What becomes of messages on their way; made anew for each time it is played. */
  readonly change?: () => Change;
  /** What whoever is asked about the peer says, where the configuration has it ask. */
  readonly verdict?: Verdict;
  /** CRYPTO data after the handshake, said by the end that is not named in `expect`. */
  readonly after?: Uint8Array;
  /** Who finds the mistake, and what it says. */
  readonly expect: `${"client" | "server"} ${AlertName | "PROTOCOL_VIOLATION"}`;
}

/** Plays a case between two TLS machines, and says who failed with what. */
export function play(one: AlertCase): string {
  const { client = CLIENT_CONFIG, server = SERVER_CONFIG, change, verdict, after } = one;
  if (verdict === undefined && after === undefined) return outcome(client, server, change?.());
  const pair = new TlsPair(client, server).run(change?.());
  const victim = one.expect.startsWith("client") ? "client" : "server";
  pair[victim].run((handshake) => {
    if (verdict !== undefined) handshake.provideVerdict(verdict);
    if (after !== undefined) handshake.handleCrypto("application", after);
  });
  return `${victim} ${pair[victim].failure}`;
}
