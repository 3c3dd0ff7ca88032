/**
 * The way of `ice-then-quic`, calling: checks the pairs of both sides' addresses and dials QUIC on the socket and path that
 * a check has shown to be open (draft-seemann-quic-nat-traversal-02 §3). The caller is the QUIC client whatever becomes of
 * ICE roles.
 *
 * @module
 */

import type { SocketError } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { LocalCandidate, RemoteCandidate } from "../protocols/core/candidate.ts";
import { unreachable } from "../protocols/core/unreachable.ts";
import type { IceEvent, PairReport } from "../protocols/ice/types.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import type { ConnectionEvent } from "../protocols/quic/events.ts";
import type { Call, CallerEvent } from "../signaling/machines.ts";
import { Attempts } from "./attempts.ts";
import type { DialCall } from "./dial_call.ts";
import { earlyTargets } from "./early_dial.ts";
import { IceCall } from "./ice_call.ts";
import { traversalSettings } from "./quic_settings.ts";
import { explainUnreachable } from "./report.ts";
import type { Target } from "./traversal.ts";
import type { TraversalShell } from "./traversal_shell.ts";
import type { DialWay, Findings, PathKey } from "./ways.ts";

/** Open paths that are handed on, at most: the first are the best. */
const MAX_OPEN_PATHS = 4;

/** Checks, and the handshakes on what they open. */
export class IceDialWay implements DialWay {
  readonly transport = "ice-then-quic";
  readonly offersAddresses = true;
  readonly relayed: readonly Address[] = [];
  readonly #target: Target;
  readonly #shell: TraversalShell<CallerEvent>;
  readonly #call: DialCall;
  readonly #attempts: Attempts;
  /** From the peer's answer on. */
  #ice: IceCall | undefined;
  /** The peer's addresses at relays: as many as an answer and what follows it may name. */
  readonly #relays = new Set<Address>();
  /** What the call has become. */
  #session: QuicConnection | undefined;
  /** The path that the session is to move to, once it is proved for QUIC too. */
  #asked: PathKey | undefined;
  /** Whether the peer has told an address at a relay. */
  #hasRelay = false;
  /** The peer's addresses that lead to it without a relay. */
  #remote: readonly RemoteCandidate[] = [];
  #isChecked = false;
  #hasFailed = false;
  /** Whether the session is there: no other attempt is begun. */
  #isOver = false;
  #openPaths: PathKey[] = [];
  #lastHandshakeError: string | undefined;

  /** @param mayGoBack Whether a relay that the peer has an address at is one more way for the session to take. */
  constructor(target: Target, shell: TraversalShell<CallerEvent>, call: DialCall, mayGoBack: boolean) {
    this.#target = target;
    this.#shell = shell;
    this.#call = call;
    // Without a relay in the background there is nothing to be gained by looking for other paths.
    this.#attempts = new Attempts(shell, () => {
      return mayGoBack && this.#hasRelay ? traversalSettings(shell.node) : shell.node.quic;
    });
  }

  get size(): number {
    return this.#attempts.size;
  }

  get isHopeless(): boolean {
    if (this.#ice === undefined || this.#isRelayedOnly) return true;
    // A handshake that is under way may still come through: its own timers decide.
    return this.#hasFailed && !this.#attempts.isAnyAnswered;
  }

  begin(_now: number): void {
    // Without the peer's answer there is nobody to send to.
  }

  /** Checks begin, and with them the early attempts. */
  answer(call: Call, now: number): void {
    const { patient } = this.#target;
    const handle = (event: IceEvent, at: number): void => this.#onIce(event, at);
    this.#ice = new IceCall(this.#shell, call, { role: "controlling", patient, now }, handle);
    this.#ice.addLocal(this.#call.candidates, now);
    this.addRemote(call.candidates, now);
    if (this.#shell.gathering.isDone) this.#ice.endOfLocal(now);
  }

  addRemote(candidates: readonly RemoteCandidate[], now: number): void {
    // An address at a relay is the other way's: QUIC goes there without any check.
    this.#remote = candidates.filter(({ type }) => type !== "relay");
    for (const { type, address } of candidates) if (type === "relay") this.#relays.add(address);
    this.#hasRelay = this.#remote.length < candidates.length;
    this.#ice?.addRemote(this.#remote, now);
    this.#dialEarly(now);
  }

  addLocal(candidate: LocalCandidate, now: number): void {
    this.#ice?.addLocal([candidate], now);
    this.#dialEarly(now);
  }

  removeLocal(candidate: LocalCandidate, now: number): void {
    this.#ice?.removeLocal(candidate, now);
  }

  endOfLocal(now: number): void {
    this.#ice?.endOfLocal(now);
  }

  handleSocketError(error: SocketError, now: number): void {
    this.#ice?.handleSocketError(error, now);
  }

  /** Others follow when checks have got through from the bases that there are. */
  onBasesChanged(now: number): void {
    this.#attempts.onBasesChanged();
    this.#ice?.onBasesChanged(now);
  }

  has(connection: QuicConnection): boolean {
    return this.#attempts.get(connection) !== undefined;
  }

  isProven(connection: QuicConnection): boolean {
    return this.#attempts.get(connection)?.isOpen === true;
  }

  onClosed(connection: QuicConnection, reason: string): void {
    this.#attempts.delete(connection);
    this.#lastHandshakeError = reason;
  }

  /** The agent goes on: it keeps the path in use, and may find a better one. */
  win(session: QuicConnection, now: number): void {
    this.#isOver = true;
    this.#session = session;
    this.#attempts.settle(session);
    this.#ice?.begin(session, ({ base, remote }) => base.kind === "tunnel" || this.#relays.has(remote), now);
  }

  /** QUIC proves a path before it moves there, and ICE follows. */
  onSessionEvent(event: ConnectionEvent, now: number): void {
    switch (event.type) {
      case "handshakeConfirmed":
        this.#improve(now);
        return;
      case "pathValidated":
      case "pathFailed": {
        const { base, remote } = event;
        if (this.#asked?.base !== base || this.#asked.remote !== remote) return;
        this.#asked = undefined;
        if (event.type === "pathFailed") return;
        this.#session?.migrate(base, remote, now);
        this.#shell.wakeEndpoint();
        return;
      }
      case "pathChanged":
        this.#ice?.follow(now);
        return;
      default:
        return;
    }
  }

  lose(): Findings {
    this.stop();
    return { openPaths: this.#openPaths, wayBack: undefined };
  }

  stop(): void {
    this.#isOver = true;
    this.#session = undefined;
    this.#ice?.stop();
    this.#attempts.settle();
  }

  explain(): string | undefined {
    if (this.#ice === undefined) return undefined;
    if (this.#isRelayedOnly) {
      const advice = this.#shell.node.relayPolicy === "never"
        ? "our relay policy, never, takes no way through one: allow it with --relay until-direct"
        : "call it with quic-native";
      return `No direct path: the peer tells only its address at a relay; ${advice}`;
    }
    return explainUnreachable(this.#ice.report(), this.#lastHandshakeError);
  }

  report(): readonly PairReport[] {
    return this.#ice?.report() ?? [];
  }

  get timeoutAt(): number {
    return this.#attempts.timeoutAt;
  }

  onTimeout(now: number): void {
    this.#attempts.onTimeout(now);
  }

  /** What has come through one way comes through the other, more likely than not, as our own check has left by then. */
  #onOpened({ base, remote }: PathKey): void {
    if (this.#openPaths.length >= MAX_OPEN_PATHS) return;
    if (this.#openPaths.some((known) => known.base === base && known.remote === remote)) return;
    this.#openPaths.push({ base, remote });
  }

  /** Whether the peer has told nothing but its addresses at relays. */
  get #isRelayedOnly(): boolean {
    return this.#hasRelay && this.#remote.length === 0;
  }

  #dialEarly(now: number): void {
    if (this.#ice === undefined || this.#isChecked || this.#target.patient) return;
    for (
      const { base, remote } of earlyTargets(
        this.#call.candidates,
        this.#remote.filter(({ name }) => name === undefined),
      )
    ) {
      this.#attempts.knock(base, remote, now);
    }
  }

  /** The session moves to a path that ICE has proved and that is better than its own. */
  #improve(now: number): void {
    const better = this.#ice?.betterPath;
    if (this.#session === undefined || better === undefined || this.#asked !== undefined) return;
    if (!this.#session.probePath(better.base, better.remote, now)) return;
    this.#asked = { base: better.base, remote: better.remote };
    this.#shell.wakeEndpoint();
  }

  #onIce(event: IceEvent, now: number): void {
    switch (event.type) {
      case "authenticatedCheck":
        if (this.#isOver) return;
        this.#isChecked = true;
        this.#call.onChecked(now);
        this.#onOpened(event);
        this.#attempts.pathOpened(event.base, event.remote, event.rttMs, now);
        return;
      case "failed":
        if (this.#isOver) return;
        this.#hasFailed = true;
        this.#call.onHopeless();
        return;
      case "valid":
        this.#improve(now);
        return;
      case "nominated":
      case "roleChanged":
      case "restarted":
      case "consentQuiet":
      case "consentInDoubt":
      case "consentExpired":
        return;
      default:
        unreachable(event);
    }
  }
}
