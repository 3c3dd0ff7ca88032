/**
 * Says why there is no direct path, from what the checks have seen.
 *
 * @module
 */

import type { PairReport } from "../protocols/ice/types.ts";

/** One line for people: what, why, what to try. */
export function explainUnreachable(report: readonly PairReport[], handshakeError: string | undefined): string {
  if (report.length === 0) {
    return "No direct path: the two sides have no address family in common; " +
      "give both a STUN server (--stun HOST:PORT) or connect them to the same network";
  }
  const proved = report.filter(({ state }) => state === "succeeded");
  if (proved.length > 0) {
    return `No connection: ${proved.length} of ${report.length} address pairs work, but the QUIC handshake ` +
      `did not complete${handshakeError === undefined ? "" : ` (${handshakeError})`}; try again`;
  }
  const heard = report.filter(({ requestsReceived }) => requestsReceived > 0);
  if (heard.length > 0) {
    return `No direct path: packets came in on ${heard.length} of ${report.length} address pairs, but none found its ` +
      "way back; one side is behind a NAT that gives every peer another port, the other behind one that lets only " +
      "known ports in. Try another network on one side, or forward a UDP port there";
  }
  const unreachable = report.filter(({ reason }) => reason !== undefined && reason.startsWith("E"));
  const hasReflexive = report.some(({ remoteType }) => remoteType === "srflx");
  const why = unreachable.length === report.length
    ? `the network refused all of them (${unreachable[0]?.reason})`
    : hasReflexive
    ? "one side is probably behind a NAT that gives every peer another port, or behind a firewall that drops UDP"
    : "the peer offered no public address, so no STUN server has answered it";
  return `No direct path: ${report.length} address pairs were tried and none answered; ${why}. ` +
    "Try another network on one side, or forward a UDP port there";
}
