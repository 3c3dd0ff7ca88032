/**
 * How many streams of one directionality each end has opened and may open: RFC 9000 §4.6.
 *
 * @module
 */

/** Counts and limits, both ways, of the bidirectional or of the unidirectional streams. */
export class StreamCounts {
  /** Streams we opened. */
  localOpened = 0;
  /** Streams the peer opened. */
  remoteOpened = 0;
  #localMaximum = 0;
  #remoteMaximum: number;
  /** Streams the peer may have open at once. */
  #maxOpen: number;
  #remoteEnded = 0;
  #isUpdatePending = false;
  #isBlocked = false;
  #isBlockedPending = false;
  #isAvailableDue = false;

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen;
    this.#remoteMaximum = maxOpen;
  }

  /** Streams the peer allows us to open, over the life of the connection. */
  get localMaximum(): number {
    return this.#localMaximum;
  }

  /** Streams we told the peer that it may open, over the life of the connection. */
  get remoteMaximum(): number {
    return this.#remoteMaximum;
  }

  /** Whether MAX_STREAMS or STREAMS_BLOCKED waits to be sent. */
  get hasFrame(): boolean {
    return this.#isUpdatePending || this.#isBlockedPending;
  }

  /** Whether MAX_STREAMS waits to be sent. */
  get isUpdatePending(): boolean {
    return this.#isUpdatePending;
  }

  /** The peer's limit; a smaller one than before is ignored (RFC 9000 §19.11). */
  raise(maximum: number): void {
    if (maximum <= this.#localMaximum) return;
    this.#localMaximum = maximum;
    this.#isBlockedPending = false;
    if (this.#isBlocked) this.#isAvailableDue = true;
    this.#isBlocked = false;
  }

  /** We want one more stream than the peer allows: STREAMS_BLOCKED is due, once a limit. */
  block(): void {
    if (this.#isBlocked) return;
    this.#isBlocked = true;
    // Before the handshake is through there is no limit that could be said.
    if (this.#localMaximum > 0) this.#isBlockedPending = true;
  }

  /** Whether streams that were wanted can be opened now: told once. */
  takeAvailable(): boolean {
    const isDue = this.#isAvailableDue;
    this.#isAvailableDue = false;
    return isDue;
  }

  /** A stream of the peer's is over. With a quarter of the limit over, the peer is allowed as many again. */
  onRemoteEnded(): void {
    this.#remoteEnded++;
    const grantedStreams = this.#remoteEnded + this.#maxOpen - this.#remoteMaximum;
    if (4 * grantedStreams >= this.#maxOpen) this.#isUpdatePending = true;
  }

  /** The peer may have so many streams open at once from now on; fewer than before changes nothing. */
  allow(maxOpen: number): void {
    if (maxOpen <= this.#maxOpen) return;
    this.#maxOpen = maxOpen;
    this.#isUpdatePending = true;
  }

  /** The limit to say in the MAX_STREAMS that is now being sent. */
  takeUpdate(): number {
    this.#isUpdatePending = false;
    this.#remoteMaximum = this.#remoteEnded + this.#maxOpen;
    return this.#remoteMaximum;
  }

  /** MAX_STREAMS was lost: the current limit is sent, unless a newer one is on its way (RFC 9000 §13.3). */
  onUpdateLost(maximum: number): void {
    if (maximum === this.#remoteMaximum) this.#isUpdatePending = true;
  }

  /** The limit to say in the STREAMS_BLOCKED that is now being sent. */
  takeBlocked(): number {
    this.#isBlockedPending = false;
    return this.#localMaximum;
  }

  /** STREAMS_BLOCKED was lost: it is sent again if it still holds. */
  onBlockedLost(maximum: number): void {
    if (this.#isBlocked && maximum === this.#localMaximum) this.#isBlockedPending = true;
  }
}
