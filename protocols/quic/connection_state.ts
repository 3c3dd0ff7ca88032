/**
 * The life of a connection: RFC 9001 §4.1, RFC 9000 §10. The only place that assigns the state.
 *
 * @module
 */

/** Who ended a connection. */
export type CloseSource =
  /** We did, by `close`. */
  | "local"
  /** The peer's application, by CONNECTION_CLOSE of type 0x1d. */
  | "application"
  /** The peer's transport, by CONNECTION_CLOSE of type 0x1c. */
  | "peer"
  /** We did, because the peer broke a rule. */
  | "transport"
  /** Nothing was heard for too long: RFC 9000 §10.1. */
  | "idle"
  /** The peer lost its state: RFC 9000 §10.3. */
  | "reset"
  /** We did, silently, by `abandon`. */
  | "abandoned";

/** Why a connection ended. */
export interface CloseReason {
  /** Who ended it. */
  readonly by: CloseSource;
  /** Error code of RFC 9000 §20; the application's own for `local` and `application`. */
  readonly code: number;
  /** For people; what the peer wrote, where the peer ended it. */
  readonly reason: string;
}

/** What CONNECTION_CLOSE is to say. */
export interface CloseFrame {
  /** Type 0x1d, not 0x1c: RFC 9000 §19.19. */
  readonly isApplication: boolean;
  /** Of the space that `isApplication` says: RFC 9000 §20. */
  readonly code: number;
  /** Type of the frame at fault, 0 for none. */
  readonly frameType: number;
  /** UTF-8. */
  readonly reason: Uint8Array;
}

/** The state with what exists in it. */
export type State =
  /** TLS is not done. */
  | { readonly name: "handshaking" }
  /** TLS is done, the peer is authenticated: RFC 9001 §4.1.1. */
  | { readonly name: "established" }
  /** The peer is known to have everything too: RFC 9001 §4.1.2. */
  | { readonly name: "confirmed" }
  /** We closed: CONNECTION_CLOSE is sent and repeated until `until`, RFC 9000 §10.2.1. */
  | { readonly name: "closing"; readonly until: number; readonly frame: CloseFrame; readonly reason: CloseReason }
  /** The peer closed: nothing is sent any more, RFC 9000 §10.2.2. */
  | { readonly name: "draining"; readonly until: number; readonly reason: CloseReason }
  /** Nothing is left. */
  | { readonly name: "drained"; readonly reason: CloseReason };

/** The state of one connection. */
export class ConnectionState {
  #state: State = { name: "handshaking" };

  /** The state now. */
  get current(): State {
    return this.#state;
  }

  /** Whether it is neither closing nor any state behind that. */
  get isOpen(): boolean {
    const { name } = this.#state;
    return name === "handshaking" || name === "established" || name === "confirmed";
  }

  /** Whether TLS is done and nobody has closed. */
  get isEstablished(): boolean {
    const { name } = this.#state;
    return name === "established" || name === "confirmed";
  }

  /** Whether the handshake is confirmed and nobody has closed. */
  get isConfirmed(): boolean {
    return this.#state.name === "confirmed";
  }

  /** Why the connection ended, once it did. */
  get closeReason(): CloseReason | undefined {
    return "reason" in this.#state ? this.#state.reason : undefined;
  }

  /** TLS is done. */
  enterEstablished(): void {
    if (this.#state.name === "handshaking") this.#state = { name: "established" };
  }

  /** The handshake is confirmed. */
  enterConfirmed(): void {
    if (this.isOpen) this.#state = { name: "confirmed" };
  }

  /** We close. Does nothing once the connection is closed. @returns Whether it did something. */
  enterClosing(frame: CloseFrame, reason: CloseReason, until: number): boolean {
    if (!this.isOpen) return false;
    this.#state = { name: "closing", until, frame, reason };
    return true;
  }

  /** The peer closed. @returns Whether that ended an open connection. */
  enterDraining(reason: CloseReason, until: number): boolean {
    const { name } = this.#state;
    if (name === "draining" || name === "drained") return false;
    const wasOpen = this.isOpen;
    // RFC 9000 §10.2.2: from closing to draining the time does not start over, and our own reason stands.
    const state = this.#state;
    this.#state = state.name === "closing"
      ? { name: "draining", until: state.until, reason: state.reason }
      : { name: "draining", until, reason };
    return wasOpen;
  }

  /** All is over: at the end of closing or draining, or at once (idle timeout, abandoned). */
  enterDrained(reason: CloseReason): boolean {
    const wasOpen = this.isOpen;
    if (this.#state.name !== "drained") this.#state = { name: "drained", reason: this.closeReason ?? reason };
    return wasOpen;
  }
}
