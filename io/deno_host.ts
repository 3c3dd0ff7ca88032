/**
 * The host on real sockets: `Deno.listenDatagram` (flag `--unstable-net`), one UDP socket per local address, the monotonic
 * clock, the system's randomness and one alarm. Leaves out segmentation offload and ECN, which the runtime does not offer.
 *
 * The event loop resolves every receive that is ready before it gets to a turn (`process_host.ts`).
 *
 * @module
 */

import { type Address, addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";
import type { Host, HostSink, NetworkInterface, SocketError } from "./host.ts";
import { type InterfaceReport, readInterfaces } from "./interfaces.ts";
import { monotonicMs, SYSTEM_RANDOM, Turns, wallClockEpochMs } from "./process_host.ts";
import { SendPool, type SendSlot } from "./send_pool.ts";

/** Datagrams received before they are answered although more are at hand. */
export const MAX_RECEIVE_BATCH_DATAGRAMS = 64;

/** Sockets of one host, unless it is told otherwise. At the limit `bind` throws. */
export const MAX_SOCKETS = 256;

/** Bytes that a socket is read into, unless the host is told otherwise: any datagram there is. */
const RECEIVE_BUFFER_BYTES = 0x10000;

/** Receive errors in a row after which a socket waits before it is read again, so that a broken one costs nothing. */
export const MAX_IMMEDIATE_RECEIVE_ERRORS = 16;

/** How long it waits then. */
export const RECEIVE_BACKOFF_MS = 100;

/** Errors kept until the sink is told, at most. Further ones in the same turn are alike, and are not told. */
export const MAX_PENDING_SOCKET_ERRORS = 256;

/** Largest UDP payloads: 65,535 less the UDP header, and less the IPv4 header where that counts (RFC 768, RFC 791, RFC 8200). */
const MAX_PAYLOAD_BYTES = { 4: 65_507, 6: 65_527 } as const;

/** The runtime's socket, as far as it is used: tests put failing ones in its place. */
export interface UdpSocket {
  readonly addr: Deno.Addr;
  receive(buffer: Uint8Array): Promise<[Uint8Array, Deno.Addr]>;
  send(payload: Uint8Array, to: Deno.Addr): Promise<number>;
  close(): void;
}

/** What a {@linkcode DenoHost} may be told. */
export interface DenoHostOptions {
  /** Opens the sockets; default `Deno.listenDatagram`. */
  readonly openSocket?: (hostname: string, port: number) => UdpSocket;
  /** Sockets there may be at once; default {@linkcode MAX_SOCKETS}. */
  readonly maxSockets?: number;
  /**
   * Memory of each socket for what it receives; default 64 KiB. Of a longer datagram only so much comes in: for hosts of many
   * sockets and protocols that make nothing of it.
   */
  readonly receiveBufferBytes?: number;
}

interface SocketBase extends Base {
  readonly kind: "socket";
}

/** A bound socket and what belongs to it. */
interface BoundSocket {
  readonly base: SocketBase;
  readonly socket: UdpSocket;
  readonly receiveBuffer: Uint8Array;
  /** A wildcard IPv6 socket speaks to IPv4 too, in mapped addresses, which `addressOf` unmaps on the way in. */
  readonly mapsIpv4: boolean;
  isClosed: boolean;
  /** Ends the pause after many errors. */
  endBackoff: (() => void) | undefined;
}

/** Sockets, clock, randomness and one alarm of this process. */
export class DenoHost implements Host {
  readonly random: Random = SYSTEM_RANDOM;
  readonly #openSocket: (hostname: string, port: number) => UdpSocket;
  readonly #maxSockets: number;
  readonly #receiveBufferBytes: number;
  readonly #sockets = new Map<Base, BoundSocket>();
  readonly #pool: SendPool;
  readonly #destinations = new WeakMap<Address, Deno.NetAddr>();
  #lastDestination: { readonly remote: Address; readonly to: Deno.NetAddr } | undefined;
  #sink: HostSink | undefined;

  // What a turn is for, besides the alarm.
  readonly #turns = new Turns(() => this.#takeTurn());
  #hasNews = false;
  #wantsRoom = false;
  #receivedInBatch = 0;
  readonly #errors: SocketError[] = [];

  constructor(options: DenoHostOptions = {}) {
    this.#openSocket = options.openSocket ?? listenDatagram;
    this.#maxSockets = options.maxSockets ?? MAX_SOCKETS;
    this.#receiveBufferBytes = options.receiveBufferBytes ?? RECEIVE_BUFFER_BYTES;
    this.#pool = new SendPool((slot, error) => this.#handleSent(slot, error));
  }

  attach(sink: HostSink): void {
    if (this.#sink !== undefined) throw new TypeError("Cannot attach a second sink: a host serves one driver");
    this.#sink = sink;
  }

  get epochMs(): number {
    return wallClockEpochMs();
  }

  now(): number {
    return monotonicMs();
  }

  interfaces(): readonly NetworkInterface[] {
    return readInterfaces().interfaces;
  }

  /** The interfaces, and what could not be found out about them and why. */
  describeInterfaces(): InterfaceReport {
    return readInterfaces();
  }

  bind(local: Address): Base {
    if (this.#sockets.size >= this.#maxSockets) {
      throw new RangeError(`Cannot bind: ${this.#maxSockets} sockets are open, close one first`);
    }
    const socket = this.#openSocket(local.host, local.port);
    const { addr } = socket;
    if (addr.transport !== "udp") throw new TypeError(`Cannot bind: the runtime opened ${addr.transport}, not udp`);
    const base: SocketBase = {
      kind: "socket",
      // The runtime's answer has no zone, so the host as it was asked for is kept.
      local: addressOf(local.host, addr.port),
      maxPayloadBytes: MAX_PAYLOAD_BYTES[local.family],
    };
    const bound: BoundSocket = {
      base,
      socket,
      receiveBuffer: new Uint8Array(this.#receiveBufferBytes),
      mapsIpv4: local.host === "::",
      isClosed: false,
      endBackoff: undefined,
    };
    this.#sockets.set(base, bound);
    void this.#receive(bound);
    return base;
  }

  close(base: Base): void {
    const bound = this.#sockets.get(base);
    if (bound === undefined) return;
    this.#sockets.delete(base);
    bound.isClosed = true;
    bound.endBackoff?.();
    // What was sent before is on its way: the runtime finishes it.
    bound.socket.close();
  }

  /** Closes every socket and clears the alarm; the process can end. Harmless when it was done before. */
  [Symbol.dispose](): void {
    for (const base of [...this.#sockets.keys()]) this.close(base);
    this.setAlarm(undefined);
  }

  send(datagram: Datagram): boolean {
    const bound = this.#sockets.get(datagram.base);
    // A closed base is no longer there to fail: what is sent on it is gone, as if the cable were.
    if (bound === undefined) return true;
    const { payload, remote, segmentBytes } = datagram;
    if (segmentBytes === undefined || payload.length <= segmentBytes) {
      this.#sendOne(bound, remote, payload, 0, payload.length);
    } else {
      for (let start = 0; start < payload.length; start += segmentBytes) {
        this.#sendOne(bound, remote, payload, start, Math.min(start + segmentBytes, payload.length));
      }
    }
    this.#wantsRoom = !this.#pool.hasRoom;
    return !this.#wantsRoom;
  }

  setAlarm(at: number | undefined): void {
    this.#turns.setAlarm(at);
  }

  #sendOne(bound: BoundSocket, remote: Address, payload: Uint8Array, start: number, end: number): void {
    const slot = this.#pool.take();
    if (slot === undefined) {
      // Only a sender that does not wait for room gets here: a loss like any other, and counted.
      this.#report(bound.base, remote, "ENOBUFS");
      return;
    }
    const bytes = slot.fill(bound.base, remote, payload, start, end);
    try {
      bound.socket.send(bytes, this.#destination(bound, remote)).then(slot.onSent, slot.onFailed);
    } catch (error) {
      this.#handleSent(slot, error);
    }
  }

  #destination(bound: BoundSocket, remote: Address): Deno.NetAddr {
    if (bound.mapsIpv4 && remote.family === 4) {
      return { transport: "udp", hostname: `::ffff:${remote.host}`, port: remote.port };
    }
    if (this.#lastDestination?.remote === remote) return this.#lastDestination.to;
    let to = this.#destinations.get(remote);
    if (to === undefined) {
      to = { transport: "udp", hostname: remote.host, port: remote.port };
      this.#destinations.set(remote, to);
    }
    this.#lastDestination = { remote, to };
    return to;
  }

  #handleSent(slot: SendSlot, error: unknown): void {
    const { base, remote } = slot;
    if (error !== undefined && base !== undefined && this.#sockets.has(base)) {
      this.#report(base, remote, errorCode(error));
    }
    this.#pool.give(slot);
    if (this.#wantsRoom && this.#pool.hasRoom) this.#turns.come();
  }

  /** Reads one socket until it is closed. Only the runtime's own promise is waited for. */
  async #receive(bound: BoundSocket): Promise<void> {
    const { base, socket, receiveBuffer } = bound;
    // Borrowed by the sink until it returns, so that one object serves every datagram.
    const datagram = { base, remote: base.local, payload: receiveBuffer };
    // Link-local remotes are of the interface that the socket is on (RFC 4007 §6); the runtime does not say so.
    const zoneAt = base.local.host.indexOf("%");
    const zone = zoneAt < 0 ? "" : base.local.host.slice(zoneAt);
    let errorCount = 0;
    while (!bound.isClosed) {
      let received;
      try {
        received = await socket.receive(receiveBuffer);
        errorCount = 0;
      } catch (error) {
        if (bound.isClosed) return;
        this.#report(base, undefined, errorCode(error));
        errorCount++;
        // Some errors are of the socket's peers (a port unreachable), and the next read is good. Others stay.
        if (errorCount >= MAX_IMMEDIATE_RECEIVE_ERRORS) await backOff(bound);
        continue;
      }
      const [payload, from] = received;
      const sink = this.#sink;
      if (bound.isClosed || sink === undefined || from.transport !== "udp") continue;
      const host = zone !== "" && isLinkLocal(from.hostname) ? from.hostname + zone : from.hostname;
      datagram.remote = addressOf(host, from.port);
      datagram.payload = payload;
      sink.handleDatagram(datagram);
      this.#hasNews = true;
      // A flood must not keep answers and alarms waiting.
      if (++this.#receivedInBatch >= MAX_RECEIVE_BATCH_DATAGRAMS) this.#answer(sink);
      else this.#turns.come();
    }
  }

  #answer(sink: HostSink): void {
    this.#receivedInBatch = 0;
    this.#hasNews = false;
    sink.drain();
  }

  #takeTurn(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (this.#errors.length > 0) this.#tellErrors(sink);
    if (this.#wantsRoom && this.#pool.hasRoom) {
      this.#wantsRoom = false;
      this.#hasNews = false;
      this.#receivedInBatch = 0;
      sink.handleRoom();
    }
    if (this.#turns.takeAlarm()) {
      this.#hasNews = false;
      this.#receivedInBatch = 0;
      sink.handleAlarm();
    }
    if (this.#hasNews) this.#answer(sink);
  }

  /** Keeps an error for the next turn: the sink may be in the middle of sending. */
  #report(base: Base, remote: Address | undefined, code: string): void {
    if (this.#errors.length < MAX_PENDING_SOCKET_ERRORS) this.#errors.push({ base, remote, code });
    this.#turns.come();
  }

  #tellErrors(sink: HostSink): void {
    // What is told may send, and so add errors: they wait for the next turn.
    for (const error of this.#errors.splice(0)) sink.handleSocketError(error);
    this.#hasNews = true;
  }
}

function listenDatagram(hostname: string, port: number): UdpSocket {
  return Deno.listenDatagram({ transport: "udp", hostname, port });
}

function isLinkLocal(host: string): boolean {
  // fe80::/10 (RFC 4291 §2.5.6), in the lower-case spelling that the runtime uses.
  return /^fe[89ab]/.test(host);
}

/** The system's name for an error, else the runtime's class. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}

/** A pause that closing the socket ends. It keeps the process alive, as the receive does that it stands for. */
function backOff(bound: BoundSocket): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      bound.endBackoff = undefined;
      resolve();
    };
    const timer = setTimeout(end, RECEIVE_BACKOFF_MS);
    bound.endBackoff = end;
  });
}
