/**
 * What a raw peer is answered, read from the packets that come back to it.
 *
 * @module
 */

import { deepStrictEqual, ok } from "node:assert/strict";
import type { Frame } from "../../protocols/quic/frame.ts";
import { CLIENT_KEY, Pair, type PairOptions, rawKeyTls, SERVER_KEY } from "./quic_pair.ts";
import { RawPeer } from "./raw_peer.ts";

/** CONNECTION_CLOSE as it is on the wire. */
export interface Closing {
  readonly frame: 0x1c | 0x1d;
  readonly code: number;
  readonly frameType?: number;
}

/** A pair one end of which is raw; nothing has been said yet. */
export function rawEnd(by: "client" | "server", options: PairOptions = {}): { pair: Pair; raw: RawPeer } {
  const clientTls = options.clientTls ?? rawKeyTls(CLIENT_KEY, SERVER_KEY);
  const serverTls = options.serverTls ?? rawKeyTls(SERVER_KEY, CLIENT_KEY);
  // A server's first flight leaves before its client could log a secret.
  const tls = { clientTls: { ...clientTls, keyLog: true }, serverTls: { ...serverTls, keyLog: true } };
  const pair = new Pair({ ...options, ...tls });
  return { pair, raw: new RawPeer(pair, by) };
}

/** As `rawEnd`, once the handshake is confirmed and all is quiet. */
export function rawEndEstablished(
  by: "client" | "server",
  options: PairOptions = {},
): { pair: Pair; raw: RawPeer } {
  const { pair, raw } = rawEnd(by, options);
  pair.established();
  pair.runTo(pair.now + 200);
  return { pair, raw };
}

/**
 * How the other end has closed: every CONNECTION_CLOSE that it has sent says the same, and the raw peer got one.
 *
 * @param isAddressed Whether they go to a connection ID that the raw peer's connection knows to be its own.
 */
export function closingOf(pair: Pair, raw: RawPeer, by: "client" | "server", isAddressed = true): Closing {
  const victim = by === "client" ? "server" : "client";
  const closings = raw.sent[victim].flatMap(({ frames }) => frames).filter(isClose).map(closingOfFrame);
  const [first] = closings;
  ok(first !== undefined, `The ${victim} has not closed: ${JSON.stringify(pair[victim].connections[0]?.closeReason)}`);
  for (const other of closings) deepStrictEqual(other, first);
  const reason = raw.connection.closeReason;
  const heard = { by: first.frame === 0x1c ? "peer" : "application", code: first.code };
  if (isAddressed) deepStrictEqual({ by: reason?.by, code: reason?.code }, heard);
  return first;
}

function isClose(frame: Frame): frame is Frame & { readonly type: "CONNECTION_CLOSE" } {
  return frame.type === "CONNECTION_CLOSE";
}

/** A frame as it was, without its reason. */
export function closingOfFrame(close: Frame & { readonly type: "CONNECTION_CLOSE" }): Closing {
  const { code, frameType, isApplication, reason } = close;
  ok(reason.length > 0, "There is no reason phrase");
  return isApplication ? { frame: 0x1d, code } : { frame: 0x1c, code, frameType };
}
