/**
 * The streams of one host: who listens, who is connected, and what becomes of segments that belong to neither.
 *
 * @module
 */

import { type Address, addressOf } from "../protocols/core/address.ts";
import type { VirtualClock } from "./clock.ts";
import { tcpHeaderBytes, type TcpPacket } from "./packet.ts";
import { type StreamContext, type StreamHandler, VirtualStream } from "./stream.ts";

/** Streams of one host; a SYN beyond them is not answered. */
export const MAX_STREAMS = 4096;

const FIRST_EPHEMERAL_PORT = 49_152;
/** What a path of 1500 bytes carries in a segment, options included. */
const PATH_MTU_BYTES = 1500;

/** What the stack needs of its host. */
export interface StreamStackContext {
  readonly clock: VirtualClock;
  nextPacketId(): number;
  /** The address that packets to `remote` leave from; `undefined` when no interface leads there. */
  sourceFor(remote: Address): string | undefined;
  transmit(packet: TcpPacket): void;
}

/** Who decides about streams that come in, before the handshake is done. */
export type Accept = (stream: VirtualStream) => StreamHandler;

/** A listening port. */
export interface StreamListener {
  readonly port: number;
  /** Stops listening, and closes all streams it accepted: a server that shuts down or restarts. Harmless when closed. */
  close(): void;
  /** The same with RST in place of FIN: a server process that dies. */
  reset(): void;
}

/** Streams of one host. */
export class StreamStack {
  readonly #context: StreamStackContext;
  readonly #streams = new Map<string, VirtualStream>();
  readonly #listeners = new Map<number, Accept>();
  #nextPort = FIRST_EPHEMERAL_PORT;

  constructor(context: StreamStackContext) {
    this.#context = context;
  }

  /** Streams that are not closed. */
  get size(): number {
    return this.#streams.size;
  }

  /** Starts a stream: the SYN leaves now. */
  connect(remote: Address, handler: StreamHandler): VirtualStream {
    const host = this.#context.sourceFor(remote);
    if (host !== undefined) return this.#add(this.#freeAddress(host, remote), remote, "client", handler);
    const stream = this.#add(addressOf(remote.family === 4 ? "0.0.0.0" : "::", 0), remote, "client", handler);
    this.#context.clock.schedule(this.#context.clock.now, () => stream.abandon("unreachable"));
    return stream;
  }

  /** Accepts streams on a port of every interface. @throws {RangeError} If somebody listens there. */
  listen(port: number, accept: Accept): StreamListener {
    if (this.#listeners.has(port)) throw new RangeError(`Cannot listen on port ${port}: somebody does`);
    const accepted = new Set<VirtualStream>();
    this.#listeners.set(port, (stream) => {
      for (const known of accepted) if (!this.#streams.has(keyOf(known.local, known.remote))) accepted.delete(known);
      accepted.add(stream);
      return accept(stream);
    });
    const end = (how: (stream: VirtualStream) => void): void => {
      this.#listeners.delete(port);
      for (const stream of accepted) how(stream);
      accepted.clear();
    };
    return { port, close: () => end((stream) => stream.close()), reset: () => end((stream) => stream.reset()) };
  }

  /** Takes a segment that has arrived. */
  receive(packet: TcpPacket): void {
    const stream = this.#streams.get(keyOf(packet.destination, packet.source));
    if (stream !== undefined) return stream.receive(packet);
    const accept = this.#listeners.get(packet.destination.port);
    if (packet.type === "SYN" && accept !== undefined) {
      if (this.#streams.size >= MAX_STREAMS) return;
      const accepted = this.#add(packet.destination, packet.source, "server", {});
      accepted.handler = accept(accepted);
    } else if (packet.type !== "RST") {
      // RFC 9293 §3.10.7.1: no connection here.
      this.#transmit(packet.destination, packet.source, { ...packet, type: "RST", payload: new Uint8Array(0) });
    }
  }

  /** Forgets every stream and listener without a word: the machine lost power. */
  clear(): void {
    this.#listeners.clear();
    for (const stream of [...this.#streams.values()]) stream.abandon();
  }

  #add(local: Address, remote: Address, role: "client" | "server", handler: StreamHandler): VirtualStream {
    const key = keyOf(local, remote);
    const stream = new VirtualStream({ local, remote, role }, handler, {
      clock: this.#context.clock,
      mssBytes: PATH_MTU_BYTES - tcpHeaderBytes(local.family),
      send: (segment) => this.#transmit(local, remote, segment),
      forget: () => this.#streams.delete(key),
    });
    this.#streams.set(key, stream);
    return stream;
  }

  #transmit(local: Address, remote: Address, segment: Parameters<StreamContext["send"]>[0]): void {
    // A stream without a source address has no way out: it is about to be told.
    if (local.port === 0) return;
    this.#context.transmit({
      ...segment,
      protocol: "tcp",
      id: this.#context.nextPacketId(),
      source: local,
      destination: remote,
      bytes: tcpHeaderBytes(local.family) + segment.payload.length,
    });
  }

  #freeAddress(host: string, remote: Address): Address {
    for (let tried = 0; tried <= MAX_STREAMS; tried++) {
      const address = addressOf(host, this.#nextPort);
      this.#nextPort = this.#nextPort === 65_535 ? FIRST_EPHEMERAL_PORT : this.#nextPort + 1;
      if (!this.#streams.has(keyOf(address, remote))) return address;
    }
    throw new Error(`Cannot connect to ${remote}: ${MAX_STREAMS} streams are open`);
  }
}

function keyOf(local: Address, remote: Address): string {
  return `${local} ${remote}`;
}
