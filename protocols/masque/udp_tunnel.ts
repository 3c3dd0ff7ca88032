/**
 * The client of a relay: asks for a public address there (RFC 9298, draft-ietf-masque-connect-udp-listen-13) and makes a base
 * of it, on which other machines send and receive as on a socket.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { scopeOf } from "../core/address_scope.ts";
import type { Base, Datagram } from "../core/machine.ts";
import type { Http3Connection, HttpDatagram } from "../http3/connection.ts";
import { HTTP3_ERROR, nameHttp3Error } from "../http3/errors.ts";
import type { Http3Event } from "../http3/events.ts";
import type { ResponseHead } from "../http3/message.ts";
import { Fifo } from "../quic/fifo.ts";
import { bindRequest, type BindRequestOptions, readBindResponse } from "./bind_request.ts";
import { formatKeyProof, KEY_PROOF_FIELD, type ProvableKey } from "./key_proof.ts";
import { REPLACED_ERROR } from "./config.ts";
import { type Context, ContextTable, MAX_OPEN_CONTEXTS } from "./contexts.ts";
import { type TunnelDropReason, TunnelStream } from "./tunnel_stream.ts";

/** A context not used for so long makes room for one of another address. */
export const CONTEXT_IDLE_MS = 30_000;

/** Datagrams that came in capsules and wait to be read; one more drops the oldest. */
const MAX_CAPSULE_DATAGRAMS = 32;

/** What a tunnel is asked for with. */
export interface UdpTunnelOptions extends BindRequestOptions {
  /** Proved to the proxy, which keeps the port for it. */
  readonly key?: ProvableKey;
}

/** Something that happened to a tunnel. */
export type UdpTunnelEvent =
  /** There is a public address: `base.local`. */
  | { readonly type: "open"; readonly base: Base; readonly publicAddresses: readonly Address[] }
  /**
   * The end, once. `status` is the proxy's answer, if it refused; `isReplaced`: another tunnel with our key has taken the
   * port over, so that opening this one again would take it back.
   */
  | { readonly type: "closed"; readonly reason: string; readonly status?: number; readonly isReplaced?: true };

type State =
  /** The proxy's SETTINGS, or room for one more request, is awaited. */
  | { readonly name: "waiting" }
  | { readonly name: "asked"; readonly streamId: number; readonly stream: TunnelStream }
  | { readonly name: "open"; readonly streamId: number; readonly stream: TunnelStream; readonly base: Base }
  | { readonly name: "closed" };

/**
 * One tunnel on a connection to a relay. Whoever drains the connection hands each of its events to `handleEvent`, then takes
 * `pollEvent` and `pollDatagram` until they are dry.
 *
 * @example
 * ```ts
 * import { UdpTunnel } from "./udp_tunnel.ts";
 * import type { Http3Connection } from "../http3/connection.ts";
 * import { HTTP3_ERROR, nameHttp3Error } from "../http3/errors.ts";
import type { Http3Event } from "../http3/events.ts";
 *
 * export function listen(http3: Http3Connection): (event: Http3Event, now: number) => void {
 *   const tunnel = new UdpTunnel(http3, { authority: "relay.example:443", token: "secret" });
 *   return (http3Event, now) => {
 *     tunnel.handleEvent(http3Event, now);
 *     for (let event = tunnel.pollEvent(); event !== undefined; event = tunnel.pollEvent()) console.log(event);
 *     for (let datagram = tunnel.pollDatagram(now); datagram !== undefined; datagram = tunnel.pollDatagram(now)) {
 *       tunnel.send({ ...datagram, payload: datagram.payload.slice() }, now);
 *     }
 *   };
 * }
 * ```
 */
export class UdpTunnel {
  readonly #http3: Http3Connection;
  readonly #options: UdpTunnelOptions;
  readonly #events = new Fifo<UdpTunnelEvent>();
  readonly #fromCapsules = new Fifo<Datagram>();
  /** When each compressed context of ours was last sent in. */
  readonly #usedAt = new Map<Context, number>();
  #state: State = { name: "waiting" };

  constructor(http3: Http3Connection, options: UdpTunnelOptions) {
    this.#http3 = http3;
    this.#options = options;
    this.#ask();
  }

  /** The base, while the tunnel is open. */
  get base(): Base | undefined {
    return this.#state.name === "open" ? this.#state.base : undefined;
  }

  /** Datagrams that were dropped, by reason. */
  get drops(): ReadonlyMap<TunnelDropReason, number> {
    return "stream" in this.#state ? this.#state.stream.drops : NO_DROPS;
  }

  /** Contexts that are open: the uncompressed one, and one for each address in use. */
  get contextCount(): number {
    return "stream" in this.#state ? this.#state.stream.contexts.size : 0;
  }

  /** Takes an event of the connection; each must pass here, in order. */
  handleEvent(event: Http3Event, now: number): void {
    const state = this.#state;
    if (state.name === "closed") return;
    if (event.type === "closed") return this.#end(`the connection to the relay is closed: ${event.reason}`);
    if (state.name === "waiting") {
      if (event.type === "settings" || event.type === "requestsAvailable") this.#ask();
      else if (event.type === "goAway") this.#end("the relay is going away");
      return;
    }
    if (!("streamId" in event) || event.streamId !== state.streamId) return;
    switch (event.type) {
      case "response":
        return this.#onResponse(event.response);
      case "readable":
        return this.#read(now);
      case "writable":
        return state.stream.flush();
      case "reset":
      case "stopped":
        this.#http3.abort(state.streamId, "H3_REQUEST_CANCELLED");
        return this.#onAborted(event.code);
      case "failed":
        return this.#end(event.reason);
      case "streamClosed":
        return this.#end("the relay ended the tunnel");
      default:
        return;
    }
  }

  /** The next thing that happened. */
  pollEvent(): UdpTunnelEvent | undefined {
    return this.#events.shift();
  }

  /**
   * The next datagram that came out of the tunnel; it and its payload are valid until the next call. For a connection whose
   * only request with datagrams is this one; otherwise `receive` is given what is for this.
   */
  pollDatagram(now: number): Datagram | undefined {
    const early = this.#fromCapsules.shift();
    if (early !== undefined) return early;
    if (this.#state.name !== "open") return undefined;
    for (let next = this.#http3.readDatagram(now); next !== undefined; next = this.#http3.readDatagram(now)) {
      const datagram = this.receive(next);
      if (datagram !== undefined) return datagram;
    }
    return undefined;
  }

  /** Reads an HTTP Datagram of this tunnel: a view of it, or `undefined` if it is another's or holds nothing. */
  receive({ streamId, bytes, payloadAt }: HttpDatagram): Datagram | undefined {
    const state = this.#state;
    if (state.name !== "open" || state.streamId !== streamId) return undefined;
    const decoded = state.stream.decode(bytes, payloadAt);
    if (decoded === undefined) {
      this.#endOnFault(state.stream);
      return undefined;
    }
    return { base: state.base, remote: decoded.remote, payload: decoded.payload };
  }

  /**
   * Sends from the public address: the datagram's `base` is not looked at. A run goes as single datagrams.
   *
   * The address gets a compressed context with the first datagram, and it is used once the proxy has acknowledged it:
   * before, datagrams could arrive ahead of it and be dropped.
   *
   * @returns Whether all of it was taken; what was not is counted in `drops`.
   */
  send({ remote, payload, segmentBytes = payload.length }: Datagram, now: number): boolean {
    const state = this.#state;
    if (state.name !== "open") return false;
    const { stream } = state;
    const context = this.#contextFor(stream, remote, now);
    if (context === undefined) {
      stream.drop("no context");
      return false;
    }
    if (segmentBytes >= payload.length) return stream.send(context, remote, payload);
    let isTaken = true;
    for (let start = 0; start < payload.length; start += segmentBytes) {
      isTaken = stream.send(context, remote, payload.subarray(start, start + segmentBytes)) && isTaken;
    }
    return isTaken;
  }

  /** Gives the public address back. */
  close(): void {
    if ("streamId" in this.#state) this.#http3.abort(this.#state.streamId, "H3_REQUEST_CANCELLED");
    this.#end("the tunnel was closed");
  }

  #ask(): void {
    // RFC 9220 §3: not before the proxy's SETTINGS; what they forbid it will never allow.
    const settings = this.#http3.peerSettings;
    if (settings === undefined) return;
    if (!settings.enableConnectProtocol || !settings.enableDatagrams) return this.#end("the server is no relay");
    const { key, fields = [] } = this.#options;
    const proof = key === undefined ? [] : [[KEY_PROOF_FIELD, formatKeyProof(key, this.#http3.quic)] as const];
    const streamId = this.#http3.request(bindRequest({ ...this.#options, fields: [...fields, ...proof] }));
    if (streamId === undefined) return;
    const stream = new TunnelStream(this.#http3, streamId, new ContextTable("client"));
    this.#state = { name: "asked", streamId, stream };
    // RFC 9298 §3.2 lets capsules go ahead of the response.
    stream.contexts.assign(undefined);
    stream.flush();
  }

  #onResponse(response: ResponseHead): void {
    const state = this.#state;
    if (state.name !== "asked") return;
    const { remote } = this.#http3.quic.path;
    const granted = readBindResponse(response, scopeOf(remote) === "loopback");
    const local = typeof granted === "string" ? undefined : granted[0];
    if (typeof granted === "string" || local === undefined) {
      this.#http3.abort(state.streamId, "H3_REQUEST_CANCELLED");
      return this.#end(String(granted), { status: response.status });
    }
    const base: Base = { kind: "tunnel", local, maxPayloadBytes: state.stream.maxPayloadBytes(local.family) };
    this.#state = { ...state, name: "open", base };
    this.#events.push({ type: "open", base, publicAddresses: granted });
  }

  #onAborted(code: number): void {
    if (code !== HTTP3_ERROR[REPLACED_ERROR]) {
      return this.#end(`the relay ended the tunnel with ${nameHttp3Error(code)}`);
    }
    this.#end("another tunnel with our key has taken the port over", { isReplaced: true });
  }

  #read(now: number): void {
    const state = this.#state;
    if (!("stream" in state)) return;
    const isOver = state.stream.read(now, () => true, ({ remote, payload }) => {
      if (this.#state.name !== "open") return;
      if (this.#fromCapsules.count >= MAX_CAPSULE_DATAGRAMS) this.#fromCapsules.shift();
      this.#fromCapsules.push({ base: this.#state.base, remote, payload });
    });
    if (!isOver) return;
    // The proxy will send no more: nor do we.
    if (state.stream.fault === undefined) this.#http3.finish(state.streamId);
    this.#end(state.stream.fault?.reason ?? "the relay ended the tunnel");
  }

  #contextFor(stream: TunnelStream, remote: Address, now: number): Context | undefined {
    const { contexts } = stream;
    const known = contexts.to(remote);
    if (known !== undefined) {
      this.#usedAt.set(known, now);
      return known.isAcknowledged ? known : contexts.uncompressed;
    }
    if (contexts.size >= MAX_OPEN_CONTEXTS) this.#closeIdle(stream, now);
    const context = contexts.assign(remote);
    if (context !== undefined) this.#usedAt.set(context, now);
    stream.flush();
    return contexts.uncompressed;
  }

  /** Makes room: looked for only when there is none. */
  #closeIdle(stream: TunnelStream, now: number): void {
    for (const [context, at] of this.#usedAt) {
      const isOpen = stream.contexts.find(context.id) !== undefined;
      if (isOpen && now - at < CONTEXT_IDLE_MS) continue;
      this.#usedAt.delete(context);
      if (isOpen) stream.contexts.close(context.id);
    }
  }

  #endOnFault({ fault }: TunnelStream): void {
    if (fault !== undefined) this.#end(fault.reason);
  }

  #end(reason: string, more: { readonly status?: number; readonly isReplaced?: true } = {}): void {
    if (this.#state.name === "closed") return;
    this.#state = { name: "closed" };
    this.#usedAt.clear();
    this.#events.push({ type: "closed", reason, ...more });
  }
}

const NO_DROPS: ReadonlyMap<TunnelDropReason, number> = new Map();
