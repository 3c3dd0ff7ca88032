/**
 * What a connection and an endpoint report. Events carry no bytes of streams or datagrams: those are read.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import type { KeyLogLabel } from "../tls/events.ts";
import type { NamedGroupName } from "../tls/named_groups.ts";
import type { PeerIdentity } from "../tls/peer_policy.ts";
import type { SignatureScheme } from "../tls/signature_schemes.ts";
import type { QuicConnection } from "./connection.ts";
import type { CloseReason } from "./connection_state.ts";
import type { TraversalEvent } from "./nat_traversal/traversal.ts";
import type { Directionality } from "./stream_id.ts";

/** Something that happened on one connection. */
export type ConnectionEvent =
  /** TLS is done: the peer is authenticated as far as we ask it to. Streams can be opened from now on. */
  | {
    readonly type: "handshakeComplete";
    readonly applicationProtocol: string;
    /** Of the key exchange. */
    readonly group: NamedGroupName;
    /** `undefined` on a server that does not ask clients to authenticate. */
    readonly peer: PeerIdentity | undefined;
  }
  /** The peer is known to be done too: RFC 9001 §4.1.2. */
  | { readonly type: "handshakeConfirmed" }
  /** Wants `provideSignature`: the credential in use has no key of its own. */
  | { readonly type: "sign"; readonly scheme: SignatureScheme; readonly input: Uint8Array }
  /** Wants `provideVerdict`: the peer has proved its key, and the policy asks. */
  | { readonly type: "verifyPeer"; readonly peer: PeerIdentity }
  /** The peer opened a stream. */
  | { readonly type: "streamOpened"; readonly id: number; readonly directionality: Directionality }
  /** There is something to read that was not there when reading last ran dry, be it the end. */
  | { readonly type: "streamReadable"; readonly id: number }
  /** A `write` that was cut short may go on. */
  | { readonly type: "streamWritable"; readonly id: number }
  /** Everything that was written, with FIN, has been acknowledged. */
  | { readonly type: "streamFinished"; readonly id: number }
  /** The peer gave up sending: what was not read is gone. */
  | { readonly type: "streamReset"; readonly id: number; readonly code: number }
  /** The peer does not want more: the sending part is reset with this code. */
  | { readonly type: "streamStopped"; readonly id: number; readonly code: number }
  /** Both directions have ended, and the stream is forgotten: the last event of a stream. */
  | { readonly type: "streamClosed"; readonly id: number }
  /** `openStream` returned `undefined`, and may succeed now. */
  | { readonly type: "streamsAvailable"; readonly directionality: Directionality }
  /** `readDatagram` has something. */
  | { readonly type: "datagramReadable" }
  /** The connection has moved to another path: we did, or the peer, or it has gone back: RFC 9000 §9. */
  | { readonly type: "pathChanged"; readonly base: Base; readonly remote: Address }
  /** A path was validated: the one in use, or one that `probePath` named: RFC 9000 §8.2. `rttMs` as far as it was measured. */
  | {
    readonly type: "pathValidated";
    readonly base: Base;
    readonly remote: Address;
    readonly rttMs: number | undefined;
  }
  /** A path was not validated: one in use, which the connection has left, or one that `probePath` named. */
  | { readonly type: "pathFailed"; readonly base: Base; readonly remote: Address }
  /** The peer has told what address our packets come from: draft-ietf-quic-address-discovery-00. */
  | { readonly type: "observedAddress"; readonly base: Base; readonly remote: Address; readonly address: Address }
  /** What NAT traversal has found: draft-seemann-quic-nat-traversal-02. `pathFailed` may be one of it too. */
  | TraversalEvent
  /**
   * On a client: for `token` of the next connection to this server, which then knows our address. To be used once, and by
   * nobody who must not be known again (RFC 9000 §8.1.3).
   */
  | { readonly type: "newToken"; readonly token: Uint8Array }
  /** A secret, for `SSLKEYLOGFILE`; only if the TLS settings ask for it. */
  | {
    readonly type: "keyLog";
    readonly label: KeyLogLabel;
    readonly clientRandom: Uint8Array;
    readonly secret: Uint8Array;
  }
  /** The end, once. The connection goes on for a while, silently. */
  | { readonly type: "closed" } & CloseReason;

/** Something that happened at an endpoint. */
export type EndpointEvent =
  /** Somebody began a connection; nothing is known of them yet but the address, and the token of the Initial, if it had one. */
  | { readonly type: "incoming"; readonly connection: QuicConnection; readonly token: Uint8Array }
  | { readonly type: "connection"; readonly connection: QuicConnection; readonly event: ConnectionEvent };

/** Why datagrams or packets were passed over: the keys of `drops`. */
export type DropReason =
  | "fixed bit is zero"
  | "header is truncated"
  | "unknown version"
  | "connection ID is too long"
  | "empty datagram"
  | "not a datagram"
  | "no connection"
  | "not admitted"
  | "not a server"
  | "too many connections"
  | "too many handshakes"
  | "Initial is too small"
  | "Initial connection ID is too short"
  | "Initial of a server has a token"
  | "Initial does not open"
  | "Retry sent"
  | "token is invalid"
  | "unexpected Version Negotiation"
  | "unexpected Retry"
  | "0-RTT is not accepted"
  | "unknown path"
  | "no keys"
  | "packet does not open"
  | "other connection ID"
  | "duplicate packet"
  | "connection is closed";
