/**
 * What an endpoint and its connections are told before they start. Complete, validated once, never written by engines.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import type { AeadBackend } from "../crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../crypto/node_aead.ts";
import type { TlsConfig } from "../tls/config.ts";
import type { AddressDiscoveryRole } from "./address_discovery.ts";
import type { NatTraversalSettings } from "./extensions.ts";
import type { ProbeBudget } from "./nat_traversal/probe_budget.ts";
import { MIN_INITIAL_DATAGRAM_BYTES } from "./packet.ts";
import type { PreferredAddresses } from "./preferred_address.ts";

/** Largest `maxUdpPayloadBytes`: what fits an Ethernet frame under IPv6 and UDP. */
export const MAX_UDP_PAYLOAD_BYTES = 1452;

/** Longest token in an Initial that is given or looked at: what is longer leaves too little room for the handshake. */
export const MAX_TOKEN_BYTES = 256;

/** All that TLS is told, but for what QUIC adds itself. */
export type TlsSettings = Omit<TlsConfig, "role" | "transportParameters">;

/** How a connection behaves. Sizes in bytes, times in milliseconds. */
export interface TransportSettings {
  /** Silence after which a connection is over; the smaller of both ends' holds. 0: never, RFC 9000 §10.1. */
  readonly idleTimeoutMs: number;
  /** A PING is sent when nothing was sent or received for so long; `undefined`: never. RFC 9000 §10.1.2. */
  readonly keepAliveMs: number | undefined;
  /** Largest UDP payload that is tried once the handshake is done, `initialDatagramBytes` to 1452: RFC 9000 §14.3. */
  readonly maxUdpPayloadBytes: number;
  /**
   * UDP payload from the first Initial on, 1200 to `maxUdpPayloadBytes`: a path that carries less is not usable at all. A
   * server uses less with a client whose Initials are smaller.
   */
  readonly initialDatagramBytes: number;
  /** What a peer may send on all streams together before anything is read, to begin with. */
  readonly connectionWindowBytes: number;
  /** What that window may grow to while the application keeps up with reading. */
  readonly maxConnectionWindowBytes: number;
  /** What a peer may send on one stream before anything of it is read, to begin with. */
  readonly streamWindowBytes: number;
  /** What that window may grow to. */
  readonly maxStreamWindowBytes: number;
  /** Streams in both directions that the peer may have open at once. */
  readonly maxBidirectionalStreams: number;
  /** Streams in its own direction that the peer may have open at once. */
  readonly maxUnidirectionalStreams: number;
  /** Largest DATAGRAM frame taken; 0: none, RFC 9221 §3. */
  readonly maxDatagramFrameBytes: number;
  /** Longest wait before an acknowledgement: RFC 9000 §13.2.1. */
  readonly maxAckDelayMs: number;
  /** Asks the peer to stay where it is: RFC 9000 §18.2. A NAT may move it all the same. */
  readonly disableActiveMigration: boolean;
  /** Looks for a direct path beside a relayed one (draft-seemann-quic-nat-traversal-02), if the peer wants that too. */
  readonly natTraversal: NatTraversalSettings | undefined;
  /** Tells the peer what address it comes from, wants to be told, or both (draft-ietf-quic-address-discovery-00). */
  readonly addressDiscovery: AddressDiscoveryRole | undefined;
}

/** What holds where nothing is said. */
export const DEFAULT_TRANSPORT_SETTINGS: TransportSettings = Object.freeze({
  // As long as many NATs keep a mapping.
  idleTimeoutMs: 30_000,
  keepAliveMs: undefined,
  maxUdpPayloadBytes: MAX_UDP_PAYLOAD_BYTES,
  // What RFC 9000 §14.1 lets every path carry.
  initialDatagramBytes: 1200,
  // 1 MiB is 50 Mbit/s at 155 ms before the window has grown; 8 MiB, at most, is 400 Mbit/s. The connection has half as
  // much again, so that one stream that is not read does not stop the others.
  connectionWindowBytes: 1536 * 1024,
  maxConnectionWindowBytes: 12 * 1024 * 1024,
  streamWindowBytes: 1024 * 1024,
  maxStreamWindowBytes: 8 * 1024 * 1024,
  maxBidirectionalStreams: 100,
  maxUnidirectionalStreams: 100,
  maxDatagramFrameBytes: 65_535,
  maxAckDelayMs: 25,
  disableActiveMigration: false,
  natTraversal: undefined,
  addressDiscovery: undefined,
});

/** How a server makes sure that its clients get what is sent to their addresses: RFC 9000 §8.1. */
export interface AddressValidation {
  /**
   * Whom a Retry asks to come again, at the price of a round trip: everybody, nobody, or, where half of the handshakes that
   * may be under way are, or a hundred Initials in a second did not open, whoever else begins one.
   */
  readonly retry: "always" | "never" | "under load";
  /** Whether clients get a token that spares them a Retry the next time (NEW_TOKEN). */
  readonly newTokens: boolean;
}

/** What holds where nothing is said. */
export const DEFAULT_ADDRESS_VALIDATION: AddressValidation = Object.freeze({ retry: "under load", newTokens: false });

/** How an endpoint accepts connections. */
export interface ServerConfig {
  /** Of every connection that is accepted. */
  readonly tls: TlsSettings;
  /** Of each of them, too. */
  readonly transport: TransportSettings;
  /** Of those that come in through a tunnel, if something else holds for them. */
  readonly tunnelTransport?: TransportSettings;
  /** Where clients are asked to go on to after the handshake: addresses of other bases of this endpoint, RFC 9000 §9.6. */
  readonly preferredAddress?: PreferredAddresses;
  /** Default: {@linkcode DEFAULT_ADDRESS_VALIDATION}. */
  readonly addressValidation?: AddressValidation;
}

/** How an endpoint behaves. */
export interface EndpointConfig {
  /** Present: the endpoint accepts connections. */
  readonly server?: ServerConfig;
  /**
   * Whose Initial may create a connection: anybody's, or only one from an address that `admit` named, or with a token that
   * `admitToken` named. Who is not admitted gets no answer of any kind.
   */
  readonly admission: "open" | "listed";
  /**
   * Connections that have not finished their handshake, those that failed before it among them until they are forgotten; an
   * Initial beyond gets no answer. Once half of them are taken, one address that was proven may have a sixteenth of all.
   */
  readonly maxHalfOpenConnections: number;
  /** Connections of both roles; an Initial beyond gets no answer. */
  readonly maxConnections: number;
  /** Addresses that `admit` keeps at once; one more forgets the one that ends first. */
  readonly maxAdmittedAddresses: number;
  /** Tokens that `admitToken` keeps at once; one more forgets the one that ends first. */
  readonly maxAdmittedTokens: number;
  /**
   * Secret of at least 16 bytes that stateless reset tokens are made from (RFC 9000 §10.3.2): given again after a
   * restart, peers learn at once that their connections are gone. Absent: a fresh one.
   */
  readonly resetKey?: Uint8Array;
  /** Who seals and opens packets. */
  readonly aead: AeadBackend;
  /** What probes of NAT traversal may cost, shared with other endpoints of the process. Absent: one of its own. */
  readonly probeBudget?: ProbeBudget;
}

/** What holds where nothing is said: a client, or a server for everybody once `server` is set. */
export const DEFAULT_ENDPOINT_CONFIG: EndpointConfig = Object.freeze({
  admission: "open",
  // A handshake costs some milliseconds of one core: this many are in flight when it is saturated.
  maxHalfOpenConnections: 256,
  maxConnections: 10_000,
  maxAdmittedAddresses: 256,
  maxAdmittedTokens: 256,
  aead: NODE_AEAD_BACKEND,
});

/** What one outgoing connection is told. */
export interface ConnectOptions {
  /** Where packets leave. */
  readonly base: Base;
  /** Where the server is. */
  readonly remote: Address;
  /** What we present, and whom we accept. */
  readonly tls: TlsSettings;
  /** Complete: spread `DEFAULT_TRANSPORT_SETTINGS` and say what differs. */
  readonly transport: TransportSettings;
  /** RTT assumed before the first sample, if something was measured. Default 333 ms, RFC 9002 §6.2.2. */
  readonly initialRttMs?: number;
  /**
   * Datagrams that may leave before a packet from the peer has been authenticated, or `release` was called. Default:
   * without limit.
   */
  readonly maxUnansweredDatagrams?: number;
  /** What the server wants to see in the first Initials, RFC 9000 §17.2.2; at most 256 bytes. A Retry replaces it. */
  readonly token?: Uint8Array;
}

/** @throws {RangeError} If a value cannot work; says which and what would. */
export function checkTransportSettings(settings: TransportSettings): void {
  const { maxUdpPayloadBytes, initialDatagramBytes, keepAliveMs, idleTimeoutMs } = settings;
  if (!(maxUdpPayloadBytes >= MIN_INITIAL_DATAGRAM_BYTES && maxUdpPayloadBytes <= MAX_UDP_PAYLOAD_BYTES)) {
    throw new RangeError(`Cannot use maxUdpPayloadBytes ${maxUdpPayloadBytes}: it is not 1200 to 1452`);
  }
  if (!(initialDatagramBytes >= MIN_INITIAL_DATAGRAM_BYTES && initialDatagramBytes <= maxUdpPayloadBytes)) {
    throw new RangeError(
      `Cannot use initialDatagramBytes ${initialDatagramBytes}: it is not 1200 to maxUdpPayloadBytes`,
    );
  }
  if (keepAliveMs !== undefined && !(keepAliveMs > 0)) {
    throw new RangeError("Cannot use keepAliveMs: it is not above 0");
  }
  if (!(idleTimeoutMs >= 0)) throw new RangeError("Cannot use idleTimeoutMs: it is below 0");
  if (!(settings.maxAckDelayMs >= 0 && settings.maxAckDelayMs < 2 ** 14)) {
    throw new RangeError("Cannot use maxAckDelayMs: it is not 0 to 16383");
  }
  const positive = [
    "connectionWindowBytes",
    "maxConnectionWindowBytes",
    "streamWindowBytes",
    "maxStreamWindowBytes",
  ] as const;
  for (const key of positive) {
    if (!Number.isSafeInteger(settings[key]) || settings[key] < 1) {
      throw new RangeError(`Cannot use ${key} ${settings[key]}: it is not a whole number above 0`);
    }
  }
  const limit = settings.natTraversal?.concurrencyLimit;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1)) {
    throw new RangeError(`Cannot use concurrencyLimit ${limit}: it is not a whole number above 0`);
  }
  const counts = ["maxBidirectionalStreams", "maxUnidirectionalStreams", "maxDatagramFrameBytes"] as const;
  for (const key of counts) {
    if (!Number.isSafeInteger(settings[key]) || settings[key] < 0) {
      throw new RangeError(`Cannot use ${key} ${settings[key]}: it is not a whole number`);
    }
  }
}
