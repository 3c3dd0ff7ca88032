/**
 * A port at the relay and the tunnel it belongs to, seen from the relay: RFC 9298,
 * draft-ietf-masque-connect-udp-listen-13. Whom the port may talk to, and how much, is its owner's to say.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base, Datagram } from "../core/machine.ts";
import type { Http3Connection, HttpDatagram } from "../http3/connection.ts";
import type { Http3ErrorName } from "../http3/errors.ts";
import type { Http3Event } from "../http3/events.ts";
import { Fifo } from "../quic/fifo.ts";
import { bindResponse } from "./bind_request.ts";
import { ContextTable } from "./contexts.ts";
import type { TunnelPayload } from "./payload.ts";
import { type TunnelDropReason, TunnelStream } from "./tunnel_stream.ts";
import { TARGET_RESPONSE } from "./udp_request.ts";

/** Datagrams that came in capsules and wait to be sent; one more drops the oldest. */
const MAX_CAPSULE_DATAGRAMS = 32;

/** What a port is made of. */
export interface BoundPortOptions {
  readonly http3: Http3Connection;
  /** Of the request. */
  readonly streamId: number;
  /** The socket at the relay. */
  readonly base: Base;
  /** How others reach it. */
  readonly publicAddress: Address;
  /** A tunnel to this address and no other (RFC 9298 §3), which the policy has been asked about. Absent: a bound one. */
  readonly target?: Address;
  readonly policy: PortPolicy;
}

/** What a port asks its owner. Called for every datagram but where it says otherwise. */
export interface PortPolicy {
  /** Whether the client may send to that address. In a compressed context asked once, when it opens. */
  isTarget(target: Address): boolean;
  /** Whether a datagram from an address without a compressed context may go to the client. */
  isSource(source: Address, now: number): boolean;
  /** Whether that much may go through now: asked last, and then it is spent. */
  spend(direction: "out" | "in", bytes: number, now: number): boolean;
}

/** Why a port let a datagram fall, as its counters name it. */
export type PortDropReason = TunnelDropReason | "target" | "source" | "quota";

/** The relay's end of one tunnel. */
export class BoundPort {
  readonly base: Base;
  readonly publicAddress: Address;
  readonly streamId: number;
  readonly #http3: Http3Connection;
  readonly #stream: TunnelStream;
  readonly #policy: PortPolicy;
  readonly #fromCapsules = new Fifo<Datagram>();
  readonly #drops = new Map<PortDropReason, number>();
  #isOpen = true;

  /** Grants the request. */
  constructor({ http3, streamId, base, publicAddress, target, policy }: BoundPortOptions) {
    this.base = base;
    this.publicAddress = publicAddress;
    this.streamId = streamId;
    this.#http3 = http3;
    this.#policy = policy;
    const contexts = target === undefined ? new ContextTable("proxy") : ContextTable.toTarget(target);
    this.#stream = new TunnelStream(http3, streamId, contexts);
    http3.respond(streamId, target === undefined ? bindResponse([publicAddress]) : TARGET_RESPONSE);
  }

  /** Whether the tunnel exists. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Contexts that are open. */
  get contextCount(): number {
    return this.#stream.contexts.size;
  }

  /** Datagrams that were dropped, by reason. */
  get drops(): ReadonlyMap<PortDropReason, number> {
    return new Map<PortDropReason, number>([...this.#stream.drops, ...this.#drops]);
  }

  /** Takes an event of its stream. @returns Whether the tunnel goes on. */
  handleEvent(event: Http3Event, now: number): boolean {
    if (!this.#isOpen) return false;
    switch (event.type) {
      case "readable":
        this.#read(now);
        break;
      case "writable":
        this.#stream.flush();
        break;
      case "reset":
      case "stopped":
        // RFC 9298 §3.1: the stream is the tunnel.
        this.close();
        break;
      case "failed":
      case "streamClosed":
        this.#isOpen = false;
        break;
      default:
        break;
    }
    return this.#isOpen;
  }

  /** A datagram out of the tunnel: a view of it, to be sent on the socket, or `undefined` if it goes nowhere. */
  receive({ bytes, payloadAt }: HttpDatagram, now: number): Datagram | undefined {
    if (!this.#isOpen) return undefined;
    const decoded = this.#stream.decode(bytes, payloadAt);
    if (this.#stream.fault !== undefined) this.#isOpen = false;
    return decoded === undefined ? undefined : this.#outgoing(decoded, now);
  }

  /** The next datagram that came in a capsule, to be sent on the socket. */
  pollDatagram(): Datagram | undefined {
    return this.#fromCapsules.shift();
  }

  /** A datagram that came in on the socket: into the tunnel with it. The payload is copied. */
  handleDatagram({ remote, payload, segmentBytes = payload.length }: Datagram, now: number): void {
    if (!this.#isOpen) return;
    if (segmentBytes >= payload.length) return this.#incoming(remote, payload, now);
    for (let start = 0; start < payload.length; start += segmentBytes) {
      this.#incoming(remote, payload.subarray(start, start + segmentBytes), now);
    }
  }

  /** Ends the tunnel; the socket stays as it is. */
  close(code: Http3ErrorName = "H3_NO_ERROR"): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#http3.abort(this.streamId, code);
  }

  #read(now: number): void {
    const mayAssign = (target: Address): boolean => this.#policy.isTarget(target);
    const isOver = this.#stream.read(now, mayAssign, (payload) => {
      const datagram = this.#outgoing(payload, now);
      if (datagram === undefined) return;
      if (this.#fromCapsules.count >= MAX_CAPSULE_DATAGRAMS) this.#fromCapsules.shift();
      this.#fromCapsules.push(datagram);
    });
    if (!isOver) return;
    this.#isOpen = false;
    if (this.#stream.fault === undefined) this.#http3.finish(this.streamId);
  }

  #outgoing({ remote, context, payload }: TunnelPayload, now: number): Datagram | undefined {
    // A compressed context's target was looked at when it opened.
    if (context.target === undefined && !this.#policy.isTarget(remote)) return this.#drop("target");
    if (!this.#policy.spend("out", payload.length, now)) return this.#drop("quota");
    return { base: this.base, remote, payload };
  }

  #incoming(remote: Address, payload: Uint8Array, now: number): void {
    const { contexts } = this.#stream;
    const compressed = contexts.to(remote);
    if (compressed === undefined) {
      const { uncompressed } = contexts;
      // Without the uncompressed context the client wants to hear of nobody it has not named.
      if (uncompressed === undefined) return this.#stream.drop("no context");
      if (!this.#policy.isSource(remote, now)) return void this.#drop("source");
    }
    const context = compressed ?? contexts.uncompressed;
    if (context === undefined) return;
    if (!this.#policy.spend("in", payload.length, now)) return void this.#drop("quota");
    this.#stream.send(context, remote, payload);
  }

  #drop(reason: PortDropReason): undefined {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
    return undefined;
  }
}
