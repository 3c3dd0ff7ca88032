/**
 * A QUIC connection: owns the parts, runs its timers, and is what the application holds: RFC 9000. What packets do to the
 * parts is in `receive.ts`, what the parts put into packets in `send.ts`.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { LocalCandidate } from "../core/candidate.ts";
import type { Base } from "../core/machine.ts";
import { unreachable } from "../core/unreachable.ts";
import type { Verdict } from "../tls/events.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { type ConnectionHost, type ConnectionSetup, makeParts } from "./connection_setup.ts";
import type { CloseReason, State } from "./connection_state.ts";
import { answeredAt, type ConnectionStats } from "./connection_stats.ts";
import { TransportError } from "./errors.ts";
import { advanceHandshake, maySpeakEarly } from "./establishment.ts";
import type { ConnectionEvent } from "./events.ts";
import { leaveBase } from "./lost_base.ts";
import { abandonPath, migrate, onPathTimeout, pathTimeoutAt, probePath } from "./migration.ts";
import type { TraversalCounts } from "./nat_traversal/traversal.ts";
import { readTraversal } from "./probed_paths.ts";
import { Receiver } from "./receive.ts";
import { onRetreatTimeout, retreatTimeoutAt } from "./retreat.ts";
import { onLossTimeout } from "./recovery.ts";
import { maxFrameBytes, MIN_DATAGRAM_ROOM_BYTES, Sender, type Transmission } from "./send.ts";
import type { StreamEvent } from "./stream.ts";
import type { Directionality, Role } from "./stream_id.ts";
import type { Streams } from "./streams.ts";
import { closeByApplication, closeOnError, drain, finish } from "./termination.ts";
import { TIMER_NAMES } from "./timers.ts";
import type { TimerName } from "./timers.ts";

/**
 * One connection, made by `QuicEndpoint.connect` or reported by an `incoming` event.
 *
 * Methods are of three kinds: getters; commands of the application, each of which may leave something to be sent, so that
 * the endpoint has to be drained afterwards; and, marked so, what only the endpoint calls.
 */
export class QuicConnection {
  readonly #parts: ConnectionParts;
  readonly #host: ConnectionHost;
  readonly #receiver: Receiver;
  readonly #sender: Sender;
  /** Streams that the peer reset, until they are reported as closed: as many as there are streams at most. */
  readonly #resetStreams = new Set<number>();
  /** Told last, when the streams have nothing more to tell. */
  #closedEvent: ConnectionEvent | undefined;
  /** Packets received since we closed: RFC 9000 §10.2.1 wants fewer and fewer answers. */
  #packetsWhileClosing = 0;

  /** For the endpoint only. */
  constructor(setup: ConnectionSetup, now: number) {
    const parts = this.#parts = makeParts(setup);
    this.#host = setup.host;
    this.#receiver = new Receiver(parts, setup.aead);
    this.#sender = new Sender(parts);
    parts.handshake.installInitialKeys(setup.originalDestinationId);
    parts.handshake.start();
    parts.idle.start(now);
  }

  // Getters.

  /** Which end we are. */
  get role(): Role {
    return this.#parts.role;
  }

  /** Where the connection is in its life. */
  get state(): State["name"] {
    return this.#parts.state.current.name;
  }

  /** Whether TLS is done and nobody has closed. */
  get isEstablished(): boolean {
    return this.#parts.state.isEstablished;
  }

  /** Why it ended, once it did. */
  get closeReason(): CloseReason | undefined {
    return this.#parts.state.closeReason;
  }

  /** The path in use. */
  get path(): { readonly base: Base; readonly remote: Address; readonly isValidated: boolean } {
    return this.#parts.paths.active;
  }

  /** Largest datagram that `sendDatagram` takes now; 0 if the peer takes none. */
  get maxDatagramBytes(): number {
    const { handshake, mtu } = this.#parts;
    const peerBytes = handshake.peerParameters?.maxDatagramFrameSize ?? 0;
    // Type and a length of two bytes.
    return Math.max(0, Math.min(peerBytes, maxFrameBytes(mtu.currentBytes)) - 3);
  }

  /** Numbers for reports. */
  get stats(): ConnectionStats {
    const { counters, rtt, loss, congestion, keyUpdate, streams, mtu } = this.#parts;
    return {
      ...counters,
      state: this.state,
      rttMs: rtt.smoothedMs,
      minRttMs: rtt.minMs,
      probeTimeoutMs: loss.ptoMs,
      congestionWindowBytes: congestion.congestionWindowBytes,
      bytesInFlight: congestion.bytesInFlight,
      keyUpdates: keyUpdate.updates,
      streams: streams.count,
      datagramBytes: mtu.currentBytes,
      answeredAt: answeredAt(this.#parts),
    };
  }

  // Commands: streams.

  /**
   * Opens a stream.
   *
   * @param isEarly A server's, for what anybody may hear: the client need not have proved anything (RFC 9001 §5.7).
   * @returns Its ID; `undefined` before the handshake is complete (`isEarly`: begun), after the end, and while the peer
   * allows no more (a `streamsAvailable` event follows when it does).
   */
  openStream(directionality: Directionality, isEarly = false): number | undefined {
    if (!this.#parts.state.isEstablished && !(isEarly && maySpeakEarly(this.#parts))) return undefined;
    const stream = this.#parts.streams.open(directionality);
    this.#host.wake();
    return stream?.id;
  }

  /**
   * Appends data to a stream; it is copied.
   *
   * @returns How many bytes were taken, from the front: 256 KiB may wait to be sent. After less than all, `streamWritable`
   * says when to go on. 0 if the stream is over.
   * @throws {TypeError} If the stream was finished, or only the peer sends on it.
   */
  write(id: number, data: Uint8Array): number {
    const stream = this.#openStream(id);
    if (stream === undefined) return 0;
    const bytes = this.#parts.streams.write(stream, data);
    this.#host.wake();
    return bytes;
  }

  /** As `write`, without a copy: the bytes taken belong to the connection and must never be written to again. */
  give(id: number, data: Uint8Array): number {
    const stream = this.#openStream(id);
    if (stream === undefined) return 0;
    const bytes = this.#parts.streams.give(stream, data);
    this.#host.wake();
    return bytes;
  }

  /** No more data follows: FIN. Nothing happens if the stream is over. @throws {TypeError} If only the peer sends on it. */
  finish(id: number): void {
    const stream = this.#openStream(id);
    if (stream === undefined) return;
    this.#parts.streams.finish(stream);
    this.#host.wake();
  }

  /** Gives up sending: RESET_STREAM. Nothing happens if the stream is over. @throws {TypeError} If only the peer sends. */
  reset(id: number, code: number): void {
    const stream = this.#openStream(id);
    if (stream === undefined) return;
    this.#parts.streams.reset(stream, code);
    this.#host.wake();
  }

  /**
   * Takes the next data off a stream, which lets the peer send more.
   *
   * @returns Bytes that are the caller's own from now on; `undefined` if there are none now. At the end `isAtEnd` is true
   * once everything was read.
   */
  read(id: number): Uint8Array | undefined {
    const stream = this.#parts.streams.find(id);
    if (stream === undefined) return undefined;
    const data = this.#parts.streams.read(stream);
    this.#host.wake();
    return data;
  }

  /**
   * Whether everything up to the peer's FIN was taken by `read`. Never for a stream that the peer reset; to be asked
   * until `streamClosed` was reported.
   */
  isAtEnd(id: number): boolean {
    // A stream that ended may be forgotten before its last events are told.
    return this.#parts.streams.find(id)?.receiving?.isAtEnd ?? !this.#resetStreams.has(id);
  }

  /** Wants no more data: STOP_SENDING. Nothing happens if the stream is over. @throws {TypeError} If only we send on it. */
  stopSending(id: number, code: number): void {
    const stream = this.#openStream(id);
    if (stream === undefined) return;
    this.#parts.streams.stop(stream, code);
    this.#host.wake();
  }

  // Commands: datagrams.

  /**
   * Queues a datagram (RFC 9221); it is copied. The oldest of 128 that wait makes room for it.
   *
   * @returns Whether it was taken: not before the handshake is complete, and not if it exceeds `maxDatagramBytes`.
   */
  sendDatagram(data: Uint8Array): boolean {
    return this.giveDatagram(data.slice());
  }

  /** As `sendDatagram`, without a copy: the bytes are the connection's from now on, which writes over them in the end. */
  giveDatagram(data: Uint8Array): boolean {
    const { maxDatagramBytes } = this;
    if (!this.#parts.state.isEstablished || data.length > maxDatagramBytes || maxDatagramBytes === 0) return false;
    this.#parts.datagrams.give(data);
    this.#host.wake();
    return true;
  }

  /** The next datagram received, the caller's own from now on; `undefined` if there is none. */
  readDatagram(): Uint8Array | undefined {
    return this.#parts.datagrams.read();
  }

  // Commands: the connection.

  /**
   * Closes with the application's code: streams end where they are, what was not acknowledged is gone.
   *
   * @param reason For people; cut at 256 bytes.
   */
  close(code: number, reason: string, now: number): void {
    closeByApplication(this.#parts, code, reason, now);
    this.#host.wake();
  }

  /** RFC 9000 §8.1.3. For the endpoint only. */
  refuseToken(now: number): void {
    closeOnError(this.#parts, new TransportError("INVALID_TOKEN", "A Retry's token of another time or address"), now);
  }

  /** Drops it without a word: a losing attempt of an early dial, or, with a reason, a peer that consents to nothing more. */
  abandon(reason?: string): void {
    finish(this.#parts, { by: reason === undefined ? "abandoned" : "idle", code: 0, reason: reason ?? "" });
    this.#host.wake();
  }

  /** Has the peer show that it is there. */
  ping(): void {
    this.#parts.pending.isPingDue = true;
    this.#host.wake();
  }

  /** Goes on to fresh keys if the rules allow it now: RFC 9001 §6.1. @returns Whether they did. */
  updateKeys(): boolean {
    const { state, keyUpdate } = this.#parts;
    if (!state.isConfirmed || !keyUpdate.mayInitiate) return false;
    keyUpdate.initiate();
    return true;
  }

  /** Answers `sign`. */
  provideSignature(signature: Uint8Array, now: number): void {
    this.#guard(now, () => {
      this.#parts.handshake.provideSignature(signature);
      advanceHandshake(this.#parts, now);
      this.#receiver.handleWaiting(now);
    });
    this.#host.wake();
  }

  /** Answers `verifyPeer`. */
  provideVerdict(verdict: Verdict, now: number): void {
    this.#guard(now, () => {
      this.#parts.handshake.provideVerdict(verdict);
      advanceHandshake(this.#parts, now);
      this.#receiver.handleWaiting(now);
    });
    this.#host.wake();
  }

  /** Keying material that only the two ends know: RFC 8446 §7.5. @throws {TypeError} Before the handshake is complete. */
  exportKeyingMaterial(label: string, context: Uint8Array, lengthBytes: number): Uint8Array {
    return this.#parts.handshake.exportKeyingMaterial(label, context, lengthBytes);
  }

  /** Lets the peer open streams where the settings said fewer, or none: RFC 9000 §4.6. */
  allowStreams(maxBidirectional: number, maxUnidirectional: number): void {
    this.#parts.streams.allow(maxBidirectional, maxUnidirectional);
    this.#host.wake();
  }

  // Commands: paths.

  /**
   * Asks the peer whether it can be reached on a path that need not be in use: RFC 9000 §9.1. `pathValidated` or
   * `pathFailed` tells. The address is taken on trust: up to a few datagrams of 1200 bytes go there.
   *
   * @param isWayBack With NAT traversal: whether it leads through a relay and is gone back to when no direct path is left.
   * @returns Whether it is asked. Not before `handshakeConfirmed`; not if the peer forbids other paths; not without an unused
   * connection ID of the peer, of which more come as paths are given up.
   */
  probePath(base: Base, remote: Address, now: number, isWayBack = false): boolean {
    const isAsked = probePath(this.#parts, { base, remote }, now, isWayBack);
    this.#host.wake();
    return isAsked;
  }

  /**
   * Moves the connection to another path: RFC 9000 §9.2. One that is not validated is validated meanwhile; if that fails,
   * the connection goes back (`pathFailed`, `pathChanged`). Nothing that is being sent is lost by it.
   *
   * @returns Whether it moved. Not for the reasons of `probePath`, and not to an address of the server that was never validated.
   * @throws {TypeError} On a server, which never moves by itself.
   */
  migrate(base: Base, remote: Address, now: number): boolean {
    if (this.role === "server") throw new TypeError("Cannot migrate: only a client does, RFC 9000 §9");
    const hasMoved = migrate(this.#parts, { base, remote }, now);
    this.#host.wake();
    return hasMoved;
  }

  /** Forgets a path, be it being probed, so that its connection ID serves another. Nothing happens to the path in use. */
  abandonPath(base: Base, remote: Address): void {
    abandonPath(this.#parts, { base, remote });
    this.#host.wake();
  }

  // Commands: NAT traversal. Nothing happens unless the settings ask for it, and the peer wants it too.

  /**
   * Names an address of ours that the peer may reach us at without a relay: an own one of a base, or one that was seen from
   * elsewhere. May be called at any time; relays and tunnels are passed over.
   */
  addCandidate(candidate: LocalCandidate, now: number): void {
    this.#parts.extensions?.addCandidate(candidate, now);
    this.#readTraversal(now);
  }

  /** An address named by `addCandidate` does not hold any more. */
  removeCandidate(base: Base, address: Address, now: number): void {
    this.#parts.extensions?.removeCandidate(base, address, now);
    this.#readTraversal(now);
  }

  /**
   * A base is gone, with all its addresses and what was found from there. A client whose path was on it moves at once
   * (RFC 9000 §9.2). Harmless when it was said before; worth saying again when there is another base.
   *
   * @param left Bases that there are, most preferred first.
   */
  removeBase(base: Base, now: number, left: readonly Base[] = []): void {
    leaveBase(this.#parts, base, left, now);
    this.#parts.extensions?.removeBase(base, now);
    this.#readTraversal(now);
  }

  /** On a client: looks for a direct path again, because the one in use is lost or the network is another. */
  restartTraversal(now: number): void {
    this.#parts.extensions?.traversal?.restart(now);
    this.#readTraversal(now);
  }

  /** Looks for no other path any more. */
  stopTraversal(now: number): void {
    this.#parts.extensions?.traversal?.stop();
    this.#readTraversal(now);
  }

  /** The host has no way from the base to the address: no probe goes there. */
  onUnreachable(base: Base, remote: Address, now: number): void {
    this.#parts.extensions?.traversal?.onUnreachable({ base, remote }, now);
    this.#readTraversal(now);
  }

  /** What NAT traversal has done so far; `undefined` unless both sides want it. */
  get traversalCounts(): TraversalCounts | undefined {
    return this.#parts.extensions?.traversal?.counts;
  }

  // Commands: early dial.

  /** Lifts the limit of `maxUnansweredDatagrams`: the path is known to be wanted. Probe timeouts run from now on. */
  release(): void {
    this.#parts.earlyDial.remainingDatagrams = Infinity;
    this.#host.wake();
  }

  /**
   * Sends the Initial flight again at once, without probe timeout or backoff, and lifts the limit as `release` does: the
   * path has just been shown to work. Nothing happens once the peer has answered.
   */
  resendInitial(): void {
    this.release();
    this.repeatInitial();
  }

  /** As `resendInitial`, within the limit of `maxUnansweredDatagrams`: a first datagram may have come too early. */
  repeatInitial(): void {
    const { spaces, loss, origin } = this.#parts;
    if (origin.peerSourceId !== undefined || spaces.Initial.isDiscarded) return;
    spaces.Initial.cryptoSend.resend();
    spaces.Initial.requestProbes(1);
    loss.resetBackoff();
    this.#host.wake();
  }

  /** Replaces the RTT that is assumed before the first sample; nothing happens after it. */
  provideRtt(rttMs: number): void {
    this.#parts.rtt.provide(rttMs);
    this.#host.wake();
  }

  // For the endpoint only.

  /** A datagram that is for this connection. For the endpoint only. */
  handleDatagram(
    buffer: Uint8Array,
    start: number,
    end: number,
    from: { base: Base; remote: Address },
    now: number,
  ): void {
    const parts = this.#parts;
    if (!parts.state.isOpen) {
      parts.drop("connection is closed");
      if (parts.state.current.name === "closing" && this.#receiver.bringsClose(buffer, start, end)) {
        return drain(parts, { by: "peer", code: 0, reason: "" }, now);
      }
      // RFC 9000 §10.2.1: the more comes, the rarer the answers.
      if (parts.state.current.name === "closing" && isPowerOfTwo(++this.#packetsWhileClosing)) {
        parts.paths.find(from.base, from.remote)?.onReceived(end - start);
        parts.pending.isCloseDue = true;
      }
      return;
    }
    try {
      this.#receiver.handleDatagram(buffer, start, end, from, now);
    } catch (error) {
      closeOnError(parts, error, now);
    }
  }

  /** Whether a datagram that routes nowhere is the end of this connection: RFC 9000 §10.3.1. For the endpoint only. */
  handleStatelessReset(buffer: Uint8Array, lengthBytes: number): boolean {
    return this.#parts.state.isOpen && this.#receiver.handleStatelessReset(buffer, 0, lengthBytes);
  }

  /** Runs the timers that are due. For the endpoint only. */
  handleTimeout(now: number): void {
    const { timers } = this.#parts;
    for (const name of TIMER_NAMES) {
      if (!timers.isDue(name, now)) continue;
      timers.set(name, undefined);
      this.#runTimer(name, now);
    }
  }

  /**
   * Fills `buffer` with what may leave. For the endpoint only.
   *
   * @internal
   */
  transmit(buffer: Uint8Array, now: number): Transmission | undefined {
    const { keyUpdate, state, loss, paths, spaces, earlyDial, mtu } = this.#parts;
    if (keyUpdate.isDue && state.isOpen) {
      if (state.isConfirmed && keyUpdate.mayInitiate) keyUpdate.initiate();
      else if (keyUpdate.isExhausted) {
        closeOnError(this.#parts, new TransportError("AEAD_LIMIT_REACHED", "No fresh keys in time"), now);
      }
    }
    if (state.isOpen && !loss.hasRoom("Application")) {
      // As many packets as are remembered have followed one that the peer never answered, though it has kept us busy.
      finish(this.#parts, { by: "transport", code: 0x01, reason: "The peer does not acknowledge what it gets" });
    }
    const transmission = this.#sender.transmit(buffer, now);
    // Who may not send does not probe either: RFC 9002 §6.2.2.1.
    const neededBytes = spaces.Initial.isDiscarded ? MIN_DATAGRAM_ROOM_BYTES : mtu.initialBytes;
    loss.setAmplificationLimited(paths.active.sendAllowanceBytes < neededBytes || earlyDial.remainingDatagrams <= 0);
    return transmission;
  }

  /** The next event. For the endpoint only. */
  pollEvent(): ConnectionEvent | undefined {
    const { events, streams, datagrams } = this.#parts;
    for (let event = events.shift(); event !== undefined; event = events.shift()) {
      if (event.type !== "closed") return event;
      this.#closedEvent = event;
    }
    const streamEvent = streams.pollEvent();
    if (streamEvent !== undefined) {
      if (streamEvent.type === "reset") this.#resetStreams.add(streamEvent.stream.id);
      else if (streamEvent.type === "closed") this.#resetStreams.delete(streamEvent.stream.id);
      return connectionEventOf(streamEvent);
    }
    if (datagrams.takeReadable()) return { type: "datagramReadable" };
    const closed = this.#closedEvent;
    this.#closedEvent = undefined;
    return closed;
  }

  /** When `handleTimeout` wants to be called. For the endpoint only. */
  pollTimeout(): number | undefined {
    const { timers, loss, spaces, paths, state } = this.#parts;
    if (state.isOpen) {
      timers.set("loss", loss.timeoutAt());
      // Without leave to send, an acknowledgement that is due waits for the next datagram to come in.
      timers.set(
        "ack",
        paths.active.sendAllowanceBytes >= MIN_DATAGRAM_ROOM_BYTES ? spaces.Application.received.ackAt : undefined,
      );
      timers.set("path", pathTimeoutAt(this.#parts));
      const { extensions } = this.#parts;
      if (extensions?.traversal !== undefined) {
        timers.set("traversal", extensions.traversal.timeoutAt);
        timers.set("retreat", retreatTimeoutAt(this.#parts));
      }
    }
    return timers.next();
  }

  #openStream(id: number): ReturnType<Streams["find"]> {
    return this.#parts.state.isOpen ? this.#parts.streams.find(id) : undefined;
  }

  #readTraversal(now: number): void {
    readTraversal(this.#parts, now);
    this.#host.wake();
  }

  #guard(now: number, action: () => void): void {
    if (!this.#parts.state.isOpen) return;
    try {
      action();
    } catch (error) {
      closeOnError(this.#parts, error, now);
    }
  }

  #runTimer(name: TimerName, now: number): void {
    const parts = this.#parts;
    switch (name) {
      case "loss":
        return onLossTimeout(parts, now);
      case "path":
        return onPathTimeout(parts, now);
      case "retreat":
        return onRetreatTimeout(parts, now);
      case "traversal":
        parts.extensions?.traversal?.onTimeout(now);
        return readTraversal(parts, now);
      case "idle":
        return finish(parts, { by: "idle", code: 0, reason: `Nothing was heard for ${parts.idle.timeoutMs} ms` });
      case "keepAlive":
        parts.pending.isPingDue = true;
        return;
      case "keyDiscard":
        return parts.keyUpdate.discardPrevious();
      case "close":
        return finish(parts, parts.state.closeReason ?? { by: "local", code: 0, reason: "" });
      // What is due is found when the connection is asked for what to send.
      case "ack":
      case "pacing":
        return;
      default:
        return unreachable(name);
    }
  }
}

function connectionEventOf(event: StreamEvent): ConnectionEvent {
  switch (event.type) {
    case "opened":
      return { type: "streamOpened", id: event.stream.id, directionality: event.stream.directionality };
    case "readable":
      return { type: "streamReadable", id: event.stream.id };
    case "writable":
      return { type: "streamWritable", id: event.stream.id };
    case "reset":
      return { type: "streamReset", id: event.stream.id, code: event.code };
    case "stopped":
      return { type: "streamStopped", id: event.stream.id, code: event.code };
    case "finished":
      return { type: "streamFinished", id: event.stream.id };
    case "closed":
      return { type: "streamClosed", id: event.stream.id };
    case "available":
      return { type: "streamsAvailable", directionality: event.directionality };
    default:
      return unreachable(event);
  }
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}
