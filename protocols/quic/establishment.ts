/**
 * What a connection does as its handshake goes on: transport parameters, completion, confirmation: RFC 9000 §7,
 * RFC 9001 §4.1, §4.9.
 *
 * @module
 */

import { unreachable } from "../core/unreachable.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { TransportError } from "./errors.ts";
import { checkConnectionIds } from "./handshake.ts";
import type { HandshakeEvent } from "./handshake.ts";
import { decodePreferredAddress, PREFERRED_SEQUENCE_NUMBER } from "./preferred_address.ts";
import { discardSpace, useDatagramSize } from "./recovery.ts";
import type { TransportParameters } from "./transport_parameters.ts";

/** Takes up what TLS has to tell. To be called after everything that TLS was given. @throws {TransportError} */
export function advanceHandshake(parts: ConnectionParts, now: number): void {
  for (let event = parts.handshake.pollEvent(); event !== undefined; event = parts.handshake.pollEvent()) {
    onHandshakeEvent(parts, event, now);
  }
}

/** The handshake is confirmed: RFC 9001 §4.1.2. */
export function confirmHandshake(parts: ConnectionParts, now: number): void {
  if (!parts.state.isEstablished || parts.state.isConfirmed) return;
  parts.state.enterConfirmed();
  discardSpace(parts, parts.spaces.Initial, now);
  discardSpace(parts, parts.spaces.Handshake, now);
  parts.loss.onHandshakeConfirmed(now);
  parts.events.push({ type: "handshakeConfirmed" });
}

/** Whether a server that has not seen the client's Finished can send to it, and on streams: RFC 9001 §5.7. */
export function maySpeakEarly({ role, state, spaces, handshake }: ConnectionParts): boolean {
  return role === "server" && state.isOpen && handshake.peerParameters !== undefined &&
    spaces.Application.sealer !== undefined;
}

/** Goes on to the datagram size of the path that has come into use. */
export function usePathMtu(parts: ConnectionParts): void {
  parts.mtu.onPath(parts.paths.active, parts.handshake.peerParameters?.maxUdpPayloadSize ?? 0);
  useDatagramSize(parts);
}

function onHandshakeEvent(parts: ConnectionParts, event: HandshakeEvent, now: number): void {
  switch (event.type) {
    case "keys":
      if (event.space === "Handshake") parts.loss.onHandshakeKeys();
      break;
    case "transportParameters":
      applyParameters(parts, event.parameters, now);
      break;
    case "sign":
    case "verifyPeer":
    case "keyLog":
      parts.events.push(event);
      break;
    case "handshakeComplete":
      parts.state.enterEstablished();
      usePathMtu(parts);
      // NEW_CONNECTION_ID goes only into 1-RTT packets, so there is no use for more IDs earlier.
      parts.localIds.setLimit(parts.handshake.peerParameters?.activeConnectionIdLimit ?? 2);
      parts.events.push({
        type: "handshakeComplete",
        applicationProtocol: event.applicationProtocol,
        group: event.group,
        peer: event.peer,
      });
      parts.extensions?.traversal?.enable(now);
      if (parts.role === "server") {
        // RFC 9001 §4.1.2: for a server complete is confirmed, and it says so.
        parts.pending.isHandshakeDoneDue = true;
        parts.pending.newToken = parts.makeNewToken(parts.paths.active.remote);
        confirmHandshake(parts, now);
      }
      break;
    default:
      unreachable(event);
  }
}

function applyParameters(parts: ConnectionParts, parameters: TransportParameters, now: number): void {
  const { origin } = parts;
  checkConnectionIds(parts.role, parameters, {
    peerSource: origin.peerSourceId ?? new Uint8Array(0),
    ...(parts.role === "client" ? { originalDestination: origin.originalDestinationId } : {}),
    ...(origin.retrySourceId === undefined ? {} : { retrySource: origin.retrySourceId }),
  });
  if (parts.extensions !== undefined) {
    parts.extensions.applyPeer(parameters, now);
    // Paths are looked for from the first 1-RTT packet on, which a server may send before the handshake is complete.
    if (parts.extensions.isAny) parts.localIds.setLimit(parameters.activeConnectionIdLimit);
  }
  parts.streams.applyPeerLimits(parameters);
  parts.loss.setMaxAckDelay(parameters.maxAckDelayMs);
  parts.idle.setPeerTimeout(parameters.maxIdleTimeoutMs, now);
  if (parameters.statelessResetToken !== undefined) parts.remoteIds.setInitialToken(parameters.statelessResetToken);
  if (parameters.preferredAddress !== undefined) {
    const { connectionId, statelessResetToken } = decodePreferredAddress(parameters.preferredAddress);
    if (parts.remoteIds.isEmpty) {
      throw new TransportError("TRANSPORT_PARAMETER_ERROR", "preferred_address from a server whose ID is empty");
    }
    parts.remoteIds.onNew({
      sequenceNumber: PREFERRED_SEQUENCE_NUMBER,
      retirePriorTo: 0,
      connectionId,
      statelessResetToken,
    });
  }
}
