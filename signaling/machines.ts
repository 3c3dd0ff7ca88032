/**
 * What callers and listeners are, whatever they speak over: the events and verbs that a traversal works with. `HubCaller`
 * and `HubListener` speak with a hub, `TicketCaller` and `TicketListener` through two people who copy and paste.
 *
 * Both sides say `open` when they want a carrier: whoever drives them closes the one there is, opens another and calls
 * `handleOpen`, or `handleClosed` when it cannot be opened or ends. Messages are to be had only in between. They come back
 * with another `open` after a pause of their own choosing.
 *
 * @module
 */

import type { RemoteCandidate } from "../protocols/core/candidate.ts";
import type { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import type { Random } from "../protocols/core/random.ts";
import type { MessageMachine } from "./channel.ts";
import type { PeerIdentity } from "./identity.ts";

/** Candidates in one offer or record, at most. */
export const MAX_CANDIDATES = 12;

/** ICE short-term credentials of one side (RFC 8445 §5.3). */
export interface IceCredentials {
  /** 4 to 256 characters of ALPHA, DIGIT, "+" and "/". */
  readonly usernameFragment: string;
  /** 22 to 256 characters of the same. */
  readonly password: string;
}

/** Everything that ICE and TLS need to know about a call, on either side. */
export interface Call {
  /** Names the call on both sides: a digest of the offer. */
  readonly id: string;
  /** TLS must prove this identity. */
  readonly remote: PeerIdentity;
  /** The peer's, as far as they are known: later ones come as `candidates` events. */
  readonly candidates: readonly RemoteCandidate[];
  /** What the peer's checks are authenticated with. */
  readonly localCredentials: IceCredentials;
  /** What ours are. */
  readonly remoteCredentials: IceCredentials;
  /** Pacing of checks that both sides agreed to: the larger proposal, 50 ms if either made none (RFC 8445 §14.2). */
  readonly taMs: number;
  /**
   * On a listener: the caller was let in for its key alone, which TLS has still to prove. Until then nothing is told that a
   * record at the hub does not tell. Absent: whoever calls may know.
   */
  readonly isListed?: boolean;
  /** Checks may go on until then (monotonic ms): the pastes of ticket mode take their time. */
  readonly expiresAt: number;
}

/** Why a call came to nothing before any packet was exchanged. */
export type CallFailure =
  /** Nobody of that name or key is registered. */
  | "unknown"
  /** The listener does not admit us. */
  | "denied"
  /** The listener serves somebody else. */
  | "busy"
  /** The listener, or the hub for it, has too many unanswered offers, or we make too many. */
  | "limited"
  /** Ticket, offer or record is past its time, or one of the two clocks is wrong. */
  | "expired"
  /** The peer's key is not the one we know: `expected` and `actual` hold both. */
  | "otherKey"
  /** The hub handed out something that its alleged author did not sign, or signed for something else. */
  | "untrusted"
  /** The peer is ourselves. */
  | "ourself"
  /** The hub cannot be reached. */
  | "unreachable"
  /** The hub does not understand us or refuses us: wrong token, other version. */
  | "hub";

/** A relay that the hub names, and our leave to use it. */
export interface NamedRelay {
  /** `https://HOST:PORT`, with the SHA-256 of its certificate behind a `#` where that is not vouched for by its name. */
  readonly url: string;
  /** What it asks for. */
  readonly token?: string;
}

/** What a caller tells. */
export type CallerEvent =
  | { readonly type: "open" }
  /** STUN servers the hub or the ticket names, as `HOST:PORT`. */
  | { readonly type: "stunServers"; readonly servers: readonly string[] }
  /** Relays the hub names. */
  | { readonly type: "relays"; readonly relays: readonly NamedRelay[] }
  | { readonly type: "answer"; readonly call: Call }
  /** The listener's candidates changed: the whole new list. */
  | { readonly type: "candidates"; readonly candidates: readonly RemoteCandidate[] }
  /** The string that the other side has to paste; `dropped` did not fit. Ticket mode only. */
  | { readonly type: "paste"; readonly text: string; readonly dropped: readonly RemoteCandidate[] }
  /** The call is over. `message` is one line for people: what, why, what to try. */
  | {
    readonly type: "failed";
    readonly reason: CallFailure;
    readonly message: string;
    readonly expected?: string;
    readonly actual?: string;
  };

/** Why a listener turned an offer down. Each is counted. */
export type Refusal =
  /** Not admitted: neither ticket nor key. */
  | "denied"
  | "busy"
  /** Over 32 unanswered offers, or over 4 a second from one caller. */
  | "limited"
  | "expired"
  /** The same offer again. */
  | "replayed"
  /** Made for another callee or another hub. */
  | "misdirected"
  /** Not what its alleged author signed, or not an offer at all. */
  | "forged"
  /** Our own key called. */
  | "ourself";

/** What a listener tells. */
export type ListenerEvent =
  | { readonly type: "open" }
  | { readonly type: "stunServers"; readonly servers: readonly string[] }
  /** Relays the hub names; told before `registered`. */
  | { readonly type: "relays"; readonly relays: readonly NamedRelay[] }
  /** The hub holds our record: we can be called. */
  | { readonly type: "registered" }
  /**
   * Nobody can call us: the carrier was lost, or could not be had, why is said for people. The listener comes back by
   * itself at `retryAt` (monotonic), which is `pauseMs` from now.
   */
  | { readonly type: "unregistered"; readonly retryAt: number; readonly pauseMs: number; readonly reason: string }
  /** The string to hand to a caller; told once. `dropped` did not fit. */
  | { readonly type: "ticket"; readonly text: string; readonly dropped: readonly RemoteCandidate[] }
  /** Somebody whom we admit calls. It counts as unanswered until `settle`. */
  | { readonly type: "offer"; readonly call: Call }
  /** More candidates of a call that is not settled. */
  | { readonly type: "candidates"; readonly call: string; readonly candidates: readonly RemoteCandidate[] }
  /** What was pasted is no answer to our ticket. Ticket mode only. `message` is one line for people. */
  | { readonly type: "mispaste"; readonly message: string }
  /** `caller` is the key that signed, where one did. */
  | { readonly type: "refused"; readonly reason: Refusal; readonly caller: string | undefined }
  /** Nobody can call us and trying again does not help: the name is another's, our key has another listener, the token is wrong. */
  | { readonly type: "failed"; readonly reason: "nameTaken" | "replaced" | "hub"; readonly message: string };

/** The calling side of one call. */
export interface CallerMachine extends MessageMachine<CallerEvent> {
  /** Makes the offer with what is known so far; call it once, when the carrier is up or before. */
  offer(candidates: readonly RemoteCandidate[], now: number): void;
  /** Trickles candidates found after the offer. */
  addCandidates(candidates: readonly RemoteCandidate[], now: number): void;
  /** The peer proved its key in TLS: a name called for the first time is pinned to it. */
  confirm(key: Uint8Array): void;
}

/** The side that waits to be called. */
export interface ListenerMachine extends MessageMachine<ListenerEvent> {
  /** Publishes our candidates, or what has become of them. */
  publish(candidates: readonly RemoteCandidate[], now: number): void;
  /** While busy, offers are refused as such. */
  setBusy(isBusy: boolean, now: number): void;
  /** The call has become a session or failed: it is no longer unanswered. */
  settle(call: string): void;
  /** How many offers were turned down, by reason. */
  readonly refusals: ReadonlyMap<Refusal, number>;
}

/** What every one of these machines is made with. */
export interface MachineContext {
  /** Our own key. */
  readonly key: Ed25519PrivateKey;
  /** Our proposal for the pacing of checks, 1 to 255 ms. */
  readonly taMs: number;
  readonly random: Random;
  /** Wall-clock milliseconds since 1970 at monotonic instant 0: `performance.timeOrigin` for `performance.now()`. */
  readonly epochMs: number;
  /** Only in demonstrations and tests: whether a peer may name loopback addresses. */
  readonly allowLoopback: boolean;
}
