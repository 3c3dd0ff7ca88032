import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { concatBytes } from "../../../protocols/core/bytes.ts";
import type { CryptoData } from "../../../protocols/tls/events.ts";
import { HandshakeContext } from "../../../protocols/tls/context.ts";
import { Pair } from "../../support/quic_pair.ts";
import { RawPeer } from "../../support/raw_peer.ts";
import { CLIENT_CONFIG, SERVER_CONFIG } from "../../support/tls_pair.ts";
import { type AlertCase, type Change, play } from "../../support/tls_refusals.ts";
import { ALERT_CASES, alertRows, closeCodeOf } from "./alerts_table.ts";

/**
 * Has every TLS machine say what `change` makes of what it would say, while `run` runs. TLS inside a connection cannot be
 * reached otherwise.
 */
function withChange(change: Change | undefined, run: () => void): void {
  const original = HandshakeContext.prototype.pollCrypto;
  const waiting = new WeakMap<HandshakeContext, CryptoData[]>();
  HandshakeContext.prototype.pollCrypto = function (this: HandshakeContext): CryptoData | undefined {
    const queue = waiting.get(this) ?? [];
    waiting.set(this, queue);
    for (let next = original.call(this); next !== undefined; next = original.call(this)) {
      queue.push(...change === undefined ? [next] : change(this.config.role, next));
    }
    return queue.shift();
  };
  try {
    run();
  } finally {
    HandshakeContext.prototype.pollCrypto = original;
  }
}

/** Plays a case between two QUIC connections; the codes with which either end closed. */
function playOnTheWire(one: AlertCase): { readonly said: number | undefined; readonly heard: number | undefined } {
  const { client = CLIENT_CONFIG, server = SERVER_CONFIG, change, verdict, after, expect } = one;
  const [victim, raw] = expect.startsWith("client") ? ["client", "server"] as const : ["server", "client"] as const;
  const pair = new Pair({ clientTls: { ...client, keyLog: true }, serverTls: { ...server, keyLog: true } });
  if (verdict !== undefined) {
    pair[victim].onEvent = (connection, event) => {
      if (event.type === "verifyPeer") connection.provideVerdict(verdict, pair.now);
    };
  }
  const rawPeer = new RawPeer(pair, raw);
  withChange(change?.(), () => {
    pair.connect();
    pair.runTo(1000);
  });
  if (after !== undefined) rawPeer.say(concatBytes(Uint8Array.of(0x06, 0, after.length), after));
  const reasonOf = (side: "client" | "server"): { by: string; code: number } | undefined =>
    pair[side].connections[0]?.closeReason;
  const [ours, theirs] = [reasonOf(victim), reasonOf(raw)];
  strictEqual(ours?.by, "transport", one.input);
  strictEqual(theirs?.by, "peer", one.input);
  return { said: ours.code, heard: theirs.code };
}

Deno.test("Every case of the table draws its alert from TLS (RFC 8446 §6.2)", () => {
  for (const one of ALERT_CASES) strictEqual(play(one), one.expect, one.input);
});

Deno.test("Every case of the table closes a connection with its code, as the peer reads it (RFC 9001 §4.8)", () => {
  for (const one of ALERT_CASES) {
    const code = closeCodeOf(one.expect);
    deepStrictEqual(playOnTheWire(one), { said: code, heard: code }, one.input);
  }
});

Deno.test("Rows of the table are one for each case, with rule, end and code (RFC 9001 §4.8)", () => {
  const rows = alertRows();
  strictEqual(new Set(rows.map(({ input }) => input)).size, rows.length);
  for (const { rule, code, name } of rows) {
    ok(/^RFC \d+ §[\d.]+$/.test(rule), rule);
    ok(code === 0x0a || (code > 0x0100 && code < 0x0200), `${name} ${code}`);
  }
  // The alerts of RFC 8446 §6.2 that a peer can draw from an end without pre-shared keys, records and chains of its own.
  deepStrictEqual([...new Set(rows.map(({ name }) => name))].sort(), [
    "PROTOCOL_VIOLATION",
    "access_denied",
    "certificate_expired",
    "certificate_required",
    "certificate_revoked",
    "certificate_unknown",
    "decode_error",
    "decrypt_error",
    "handshake_failure",
    "illegal_parameter",
    "missing_extension",
    "no_application_protocol",
    "protocol_version",
    "unexpected_message",
    "unknown_ca",
    "unsupported_certificate",
    "unsupported_extension",
  ]);
});
