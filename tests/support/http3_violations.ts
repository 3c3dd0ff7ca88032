/**
 * What a raw peer of HTTP/3 does wrong, played over a connection in virtual time, with the code that answers it as the peer
 * reads it: RFC 9114 §8, RFC 9204 §6, RFC 9297 §5.2.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex } from "../../protocols/core/bytes.ts";
import { HTTP3_ERROR, type Http3ErrorName, nameHttp3Error } from "../../protocols/http3/errors.ts";
import {
  EXTENDED_HEAD,
  GET_FIELDS,
  GET_HEAD,
  headersFrame,
  type Http3End,
  type Http3PairOptions,
  type RawEnd,
  rawPair,
} from "./http3_pair.ts";
import type { Pair } from "./quic_pair.ts";

/** What ends the connection, or the stream: CONNECTION_CLOSE of the application, RESET_STREAM. */
export interface Http3Answer {
  readonly frame: 0x1d | 0x04;
  readonly code: number;
}

/** The head of a GET. */
export const GET_FRAME: Uint8Array = headersFrame(GET_FIELDS);

/** One thing that is wrong. */
export interface Case {
  readonly what: string;
  readonly code: Http3ErrorName;
  /** Does the wrong thing. Returns the stream at fault, if only that is to end. */
  readonly play: (raw: RawEnd, pair: Pair) => number | void;
  readonly options?: Http3PairOptions;
}

/** Opens a control stream, and says this on it behind SETTINGS. */
export const onControl = (rest: string): (raw: RawEnd) => void => (raw): void => void raw.openControl(rest);

/** Sends these bytes on a request stream, which does not end. */
export const onRequest = (...parts: readonly Uint8Array[]): (raw: RawEnd) => void => (raw): void => {
  raw.openControl();
  raw.open("bidirectional", concatBytes(...parts));
};

/** Sends these bytes on a request stream, which ends; only the stream is at fault. */
export const requestAtFault = (...parts: readonly Uint8Array[]): (raw: RawEnd) => number => (raw): number => {
  raw.openControl();
  return raw.open("bidirectional", concatBytes(...parts), true);
};

/** As the response to it on stream 0, which does not end. */
export const respond = (...parts: readonly Uint8Array[]): (raw: RawEnd) => void => (raw): void => {
  raw.quic.write(0, concatBytes(...parts));
};
/** As the response, which ends; only the stream is at fault. */
export const respondAtFault = (...parts: readonly Uint8Array[]): (raw: RawEnd) => number => (raw): number => {
  raw.quic.write(0, concatBytes(...parts));
  raw.quic.finish(0);
  return 0;
};

/** The raw server has a control stream already, the first of its unidirectional ones. */
export function onControlAgain(rest: string): (raw: RawEnd) => void {
  return (raw) => void raw.quic.write(3, fromHex(rest));
}

/** Our end reads all there is, as soon as it is told of it. */
function readEverything(end: Http3End, now: () => number): void {
  end.onEvent = (event) => {
    if (event.type === "readable") end.readAll(event.streamId, now());
    if (event.type !== "datagramReadable") return;
    for (let i = 0; i < 300; i++) if (end.http3.readDatagram(now()) === undefined) return;
  };
}

/**
 * Plays a case.
 *
 * @param startsBare Whether the raw peer says nothing first. Otherwise a raw server has SETTINGS on stream 3, and our client
 * has sent a GET on stream 0 and an extended CONNECT on stream 4.
 * @returns What the raw peer has read; `undefined` if only our application was told, as the stream had ended both ways.
 */
export function play(ours: "client" | "server", test: Case, startsBare: boolean): Http3Answer | undefined {
  const { pair, end, raw } = rawPair(ours, test.options);
  readEverything(end, () => pair.now);
  if (ours === "client" && !startsBare) {
    raw.openControl();
    pair.runUntil(() => end.http3.peerSettings !== undefined);
    strictEqual(end.http3.request(GET_HEAD, { isEnd: true }), 0);
    strictEqual(end.http3.request(EXTENDED_HEAD), 4);
    pair.runUntil(() => raw.events.filter(({ type }) => type === "streamReadable").length >= 3);
  }
  const streamId = test.play(raw, pair);
  pair.runTo(pair.now + 300);
  const code = HTTP3_ERROR[test.code];
  if (typeof streamId !== "number") {
    // The raw peer is told by CONNECTION_CLOSE.
    const closed = raw.events.find((event) => event.type === "closed");
    ok(closed?.type === "closed", `${test.what}: the connection is still open`);
    strictEqual(nameHttp3Error(closed.code), test.code, test.what);
    strictEqual(closed.by, "application");
    ok(closed.reason.length > 0);
    deepStrictEqual(end.of("closed").map((event) => [event.by, event.code]), [["local", code]]);
    strictEqual(end.http3.streamCount, 0);
    return { frame: 0x1d, code: closed.code };
  }
  strictEqual(end.quic.state, "confirmed", `${test.what}: the connection is closed`);
  // Of a stream that the peer had ended no STOP_SENDING can come: RFC 9000 §3.5.
  const [resetCode] = raw.codesOf(streamId);
  if (ours === "server" || resetCode !== undefined) {
    strictEqual(resetCode === undefined ? undefined : nameHttp3Error(resetCode), test.code, test.what);
  }
  const failed = end.of("failed");
  if (ours === "client") deepStrictEqual(failed.map((event) => [event.streamId, event.code]), [[0, test.code]]);
  else ok(failed.every((event) => event.code === test.code && event.streamId === streamId));
  // The next request is none the worse.
  if (ours === "server") {
    const next = raw.open("bidirectional", GET_FRAME);
    pair.runUntil(() => end.of("request").some((event) => event.streamId === next));
  }
  return resetCode === undefined ? undefined : { frame: 0x04, code: resetCode };
}
