/**
 * The plugin point "how two peers are brought together": a traversal is a machine that is given a node's bases and a
 * caller or listener, and brings forth QUIC connections.
 *
 * @module
 */

import type { CandidateProvider } from "../candidates/provider.ts";
import type { SocketErrorHandler } from "../io/driver.ts";
import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Base, Machine } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";
import type { AeadBackend } from "../protocols/crypto/aead.ts";
import type { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import type { PairReport } from "../protocols/ice/types.ts";
import type { TransportSettings } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import type { Verdict } from "../protocols/tls/events.ts";
import type { CipherSuiteName } from "../protocols/tls/cipher_suites.ts";
import type { PeerIdentity } from "../signaling/identity.ts";
import type { CallerMachine, CallFailure, ListenerMachine, NamedRelay, Refusal } from "../signaling/machines.ts";

/**
 * What a relay is used for. Each side has its own policy, and the stricter one holds where they differ.
 *
 * - `never`: no relay is contacted, and the peer's address at one is passed over.
 * - `signal-only`: the handshake and the addresses go through it, none of the application's bytes: there is a session once
 *   the direct path is in use, and none without one.
 * - `until-direct`: it carries data whenever there is no direct path.
 * - `allowed`: a path like any other: the clearly faster one is used.
 * - `required`: nothing but the relay, for those who hide where they are: no address is told, no probe answered.
 */
export type RelayPolicy = "never" | "signal-only" | "until-direct" | "allowed" | "required";

/** All there are, the one that uses relays least first. */
export const RELAY_POLICIES: readonly RelayPolicy[] = ["never", "signal-only", "until-direct", "allowed", "required"];

/** The policy of whoever says nothing. */
export const DEFAULT_RELAY_POLICY: RelayPolicy = "until-direct";

/** What dialling and listening have in common: who we are and what we have. */
export interface Node {
  /** The host's. */
  readonly random: Random;
  /** The instant of the call of `dial` or `listen`: what `ms` counts from. */
  readonly now: number;
  /** The key that TLS presents. */
  readonly identity: Ed25519PrivateKey;
  /** Most preferred first (RFC 8421): interfaces without a default route are last. */
  readonly bases: readonly Base[];
  /** Each gathers on all the bases. */
  readonly providers: readonly CandidateProvider[];
  /** STUN servers are being looked up: `addStunServers` follows, with none if none are found. */
  readonly expectsServers: boolean;
  /** The ALPN. */
  readonly protocol: string;
  /** The Ta we propose, in ms: RFC 8445 §14.2. */
  readonly taMs: number;
  /** What relays are used for. */
  readonly relayPolicy: RelayPolicy;
  /** How long a call may take from the peer's answer until a handshake is complete. Ticket mode has its own, longer time. */
  readonly dialTimeoutMs: number;
  /**
   * Judges the certificates, DER, that a server presents: its own first. `host` is the name or the IP address it was called
   * by. Absent: no authority is trusted.
   */
  readonly verifyChain?: (certificates: readonly Uint8Array[], host: string, now: number) => Verdict;
  /** Only in demonstrations and tests. */
  readonly allowLoopback: boolean;
  /** Who seals packets, and with what suites, the preferred first. Absent: the runtime, in its order. */
  readonly sealing?: { readonly aead: AeadBackend; readonly cipherSuites: readonly CipherSuiteName[] };
  /** For every connection of either role. */
  readonly quic: TransportSettings;
  /** Whether calls send a share of X25519MLKEM768 first: the first flight is two datagrams then. Absent: they do not. */
  readonly postQuantum?: boolean;
  /** Whether connections emit `keyLog`: their secrets, for whoever inspects captures. */
  readonly keyLog: boolean;
}

/** A listener's addresses at relays, and what opens them. */
export interface RelayedTarget {
  /** Where relays forward what comes in to the listener: at least one, the first the one to try first. */
  readonly addresses: readonly Address[];
  /** What the listener wants to see in the first Initials. */
  readonly token: Uint8Array;
  /** Whom TLS has to prove. */
  readonly identity: PeerIdentity;
}

/** A relay, and our leave to use it. */
export interface RelayAccess {
  /** Where it listens for HTTP/3: at least one address, likeliest first. */
  readonly addresses: readonly Address[];
  /** Its name and port, as its URL has them. */
  readonly authority: string;
  /** The name its certificate must be good for; absent where the URL has an IP address, which it must be good for then. */
  readonly serverName?: string;
  /** SHA-256 of its certificate's DER, 32 bytes. Without it the certificate's chain is verified. */
  readonly certificateSha256?: Uint8Array;
  /** What it asks for. */
  readonly token?: string;
}

/** How a traversal carries its messages itself: as a request on its connection to a relay, which has the hub. */
export interface RelayChannelOptions {
  /** Where it is. Whatever else is done there is done on the same connection. */
  readonly relay: RelayAccess;
  /** What the hub asks for. */
  readonly token?: string;
}

/** Whom to call. */
export interface Target {
  /** The conversation with the listener. It is made for this call, and driven by the traversal. */
  readonly caller: CallerMachine;
  /** Ticket mode: the peer starts when a person has pasted, so checks are repeated until the call expires. */
  readonly patient: boolean;
  /** For `quic-native`: the listener's address at a relay. */
  readonly relayed?: RelayedTarget;
}

/** Who may come, and how many. */
export interface Reception {
  /** The conversations with all callers. It is driven by the traversal. */
  readonly listener: ListenerMachine;
  /** See {@linkcode Target.patient}. */
  readonly patient: boolean;
  /** Sessions at once; a caller beyond them is told `busy`. */
  readonly maxSessions: number;
  /** Where we can be reached before there is a direct path, as far as it is known at once; `addRelays` names more. */
  readonly relays: readonly RelayAccess[];
  /**
   * What holders of a ticket that names an address at a relay show in their Initials, 16 bytes. Absent: only those come
   * whose offers are accepted.
   */
  readonly ticketToken?: Uint8Array;
  /** The keys of those who may come with it, Ed25519, 32 bytes each. Absent: whoever holds the ticket. */
  readonly ticketKeys?: readonly Uint8Array[];
}

/** Milestones of a call, each in ms since {@linkcode Node.now}; absent while it has not been reached. */
export interface CallTimes {
  /**
   * The first candidate that a server saw, or the end of gathering where there is none; at the latest the moment the offer
   * left without.
   */
  readonly gathered?: number;
  /** The peer's candidates were there. */
  readonly signaled?: number;
  /** The first authenticated check; at the latest the handshake, which proves as much. */
  readonly checked?: number;
  /** The QUIC handshake was complete. */
  readonly handshake?: number;
  /** The first byte of the application's came from the peer. */
  readonly firstByte?: number;
}

/** A connection that is ready for use. */
export interface EstablishedSession {
  /** The name of the traversal; of one that has several ways, of the way by which the session came about. */
  readonly transport: string;
  /** Its handshake is complete. From now on its events are handed on, but it remains the machine's. */
  readonly connection: QuicConnection;
  /** The Ed25519 key that the peer proved. 32 bytes. */
  readonly peer: Uint8Array;
  /** What `times` count from: the call of `dial`, or the arrival of the offer. */
  readonly startedAt: number;
  /** As they are now; `step` events tell those that follow. */
  readonly times: CallTimes;
  /** Whether packets on a path pass through a relay. Absent: none do. */
  readonly isRelayed?: (path: { readonly base: Base; readonly remote: Address }) => boolean;
}

/** Why a call ended without a session. */
export type TraversalFailure = CallFailure | "unreachablePeer" | "handshake";

/** What a traversal tells. */
export type TraversalEvent =
  /** Open a message channel, and say `handleOpen` or `handleClosed`. */
  | { readonly type: "openChannel" }
  /** Send this on the message channel. */
  | { readonly type: "message"; readonly text: string }
  /** Resolve these `HOST:PORT`s and say `addStunServers`. */
  | { readonly type: "stunServers"; readonly servers: readonly string[] }
  /** Find out the addresses of these relays and say `addRelays`. */
  | { readonly type: "relays"; readonly relays: readonly NamedRelay[] }
  | { readonly type: "candidate"; readonly candidate: LocalCandidate }
  /** Something is not as it was asked for; one line for people. */
  | { readonly type: "note"; readonly message: string }
  /** What a `candidate` event told is not true any more. */
  | { readonly type: "candidateWithdrawn"; readonly candidate: LocalCandidate }
  /** The network of this machine has changed: it has a socket more, or one less. */
  | { readonly type: "base"; readonly base: Base; readonly change: "added" | "removed" }
  /** A socket failed to send to a remote address, or to receive. */
  | { readonly type: "socketError"; readonly error: SocketError }
  | { readonly type: "gatheringError"; readonly base: Base; readonly reason: string }
  | { readonly type: "step"; readonly step: keyof CallTimes; readonly ms: number }
  | { readonly type: "registered" }
  /** Why is said for people; another attempt follows at `retryAt` (monotonic), which is `pauseMs` from now. */
  | { readonly type: "unregistered"; readonly retryAt: number; readonly pauseMs: number; readonly reason: string }
  /** The string to hand to a caller (listening), or the answer to hand back (calling, without a hub). */
  | { readonly type: "ticket"; readonly text: string; readonly dropped: readonly RemoteCandidate[] }
  /** What was pasted is not an answer to our ticket; the listener goes on waiting. */
  | { readonly type: "mispaste"; readonly message: string }
  | { readonly type: "refused"; readonly reason: Refusal; readonly caller: string | undefined }
  | { readonly type: "session"; readonly session: EstablishedSession }
  /** What happens on the connection of a session. */
  | { readonly type: "connection"; readonly connection: QuicConnection; readonly event: ConnectionEvent }
  /** A session's packets take another way now, or with `reason` do not; `ms` as the session's `times`. */
  | {
    readonly type: "path";
    readonly connection: QuicConnection;
    readonly kind: "relayed" | "direct";
    readonly ms: number;
    /** Why, where it is not what one would expect. */
    readonly reason?: string;
  }
  /** A call came to nothing. For a listener: a call that it had accepted, and it goes on listening. */
  | { readonly type: "callFailed"; readonly message: string; readonly report: readonly PairReport[] }
  /**
   * Every session has ended, and no CONNECTION_CLOSE of ours has to be repeated any more: the peer has answered it, or the
   * closing period is over (RFC 9000 §10.2). The sockets can be closed. On the calling side it comes after the session, on
   * the listening side after `close`.
   */
  | { readonly type: "released" }
  /** It is over: nothing will come of this machine any more. */
  | {
    readonly type: "failed";
    readonly reason: TraversalFailure | "nameTaken" | "replaced";
    /** One line for people: what, why, what to try. */
    readonly message: string;
    readonly expected?: string;
    readonly actual?: string;
    readonly report: readonly PairReport[];
  };

/** A machine that also speaks over a message channel, which its driver opens when asked to. */
export interface TraversalMachine extends Machine<TraversalEvent>, SocketErrorHandler {
  /** The channel that was asked for is up. */
  handleOpen(now: number): void;
  /** A message came in on the channel: it is for the caller or listener that was given. */
  handleMessage(text: string, now: number): void;
  /** The channel is gone, or could not be opened; `isRefused`: another attempt would not help. */
  handleClosed(now: number, reason?: string, isRefused?: boolean): void;
  /**
   * In answer to `openChannel`, instead of `handleOpen`: it opens a channel by itself, in place of any before, and emits no
   * `message` from now on. Absent: it cannot.
   */
  openRelayChannel?(options: RelayChannelOptions, now: number): void;
  /** Closes that channel; nothing is told. Harmless where there is none. */
  closeRelayChannel?(now: number): void;
  /**
   * A socket has come, because the host has an address more. Candidates are gathered on it, and what had nowhere to go since
   * its own base was removed goes on from here.
   *
   * @param rank Its place among the bases, most preferred first.
   */
  addBase(base: Base, now: number, rank: number): void;
  /**
   * A socket's address is gone, and the socket is closed when this has returned. Its candidates are withdrawn, clients
   * migrate to another base at once (RFC 9000 §9.2), and direct paths that are lost are looked for anew.
   */
  removeBase(base: Base, now: number): void;
  /** STUN servers that were found, perhaps none; each is asked from every base of its family. */
  addStunServers(servers: readonly Address[], now: number): void;
  /** Relays that were found, perhaps none, besides those of {@linkcode Reception.relays}. */
  addRelays(relays: readonly RelayAccess[], now: number): void;
  /** A command was given to a connection: it is polled again. */
  wake(): void;
  /** Ends every session with CONNECTION_CLOSE and stops. */
  close(code: number, reason: string, now: number): void;
}

/** A way to bring two peers together. */
export interface Traversal {
  /** What sessions say they came about by. */
  readonly name: string;
  /** Starts one call at `node.now`. Ends with `failed`, or with `session` and then `released`. */
  dial(target: Target, node: Node): TraversalMachine;
  /** Starts to listen at `node.now`, until `close`. */
  accept(reception: Reception, node: Node): TraversalMachine;
}
