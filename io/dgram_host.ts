/**
 * The host on sockets of `node:dgram`: for runtimes that have no other (Node.js, Bun), and for Deno without the flag
 * `--unstable-net`. Everything else is as in `deno_host.ts`.
 *
 * @module
 */

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { versions } from "node:process";
import { type Address, addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";
import type { Host, HostSink, NetworkInterface, SocketError } from "./host.ts";
import { type InterfaceReport, readInterfaces } from "./interfaces.ts";
import { monotonicMs, SYSTEM_RANDOM, Turns, wallClockEpochMs } from "./process_host.ts";
import { SendPool, type SendSlot } from "./send_pool.ts";

/** Datagrams received before they are answered although more are at hand. */
const MAX_RECEIVE_BATCH_DATAGRAMS = 64;

/** Sockets of one host, unless it is told otherwise. At the limit `bind` throws. */
const MAX_SOCKETS = 256;

/** Errors kept until the sink is told, at most. Further ones in the same turn are alike, and are not told. */
const MAX_PENDING_SOCKET_ERRORS = 256;

/** Largest UDP payloads: RFC 768, RFC 791, RFC 8200. */
const MAX_PAYLOAD_BYTES = { 4: 65_507, 6: 65_527 } as const;

/**
 * Whether the runtime tells a socket's port no earlier than in a later turn, which Bun does. `bind` answers at once, so the
 * port is chosen here, out of those that are free for all (RFC 6335 §6, RFC 6056 §3.3.1). Whether it is taken is told at once.
 */
const TELLS_PORT_LATER = "bun" in versions;
const FIRST_DYNAMIC_PORT = 49_152;

/** Ports tried: all are taken where one in two is, once in a million times. */
const MAX_PORTS_TRIED = 20;

/** What a {@linkcode DgramHost} may be told. */
export interface DgramHostOptions {
  /** Sockets there may be at once; default 256. */
  readonly maxSockets?: number;
}

/** A bound socket and what belongs to it. */
interface Bound {
  readonly base: Base;
  readonly socket: Socket;
  /** A wildcard IPv6 socket speaks to IPv4 too, in mapped addresses, which `addressOf` unmaps on the way in. */
  readonly mapsIpv4: boolean;
  /** Sends that have not settled: closing the socket would lose them. */
  sendsInFlight: number;
  isClosed: boolean;
}

/** Sockets, clock, randomness and one alarm of this process. */
export class DgramHost implements Host {
  readonly random: Random = SYSTEM_RANDOM;
  readonly #maxSockets: number;
  readonly #sockets = new Map<Base, Bound>();
  readonly #pool = new SendPool((slot, error) => this.#handleSent(slot, error));
  readonly #turns = new Turns(() => this.#takeTurn());
  readonly #errors: SocketError[] = [];
  /** Closed, with sends that have not settled. */
  readonly #closing = new Map<Base, Bound>();
  #sink: HostSink | undefined;
  #hasNews = false;
  #wantsRoom = false;
  #receivedInBatch = 0;

  constructor(options: DgramHostOptions = {}) {
    this.#maxSockets = options.maxSockets ?? MAX_SOCKETS;
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
    const { socket, port } = this.#open(local);
    const base: Base = {
      kind: "socket",
      local: addressOf(local.host, port),
      maxPayloadBytes: MAX_PAYLOAD_BYTES[local.family],
    };
    const bound: Bound = { base, socket, mapsIpv4: local.host === "::", sendsInFlight: 0, isClosed: false };
    this.#sockets.set(base, bound);
    socket.on("error", (error) => {
      if (!bound.isClosed) this.#report(base, undefined, errorCode(error));
    });
    this.#receive(bound);
    return base;
  }

  close(base: Base): void {
    const bound = this.#sockets.get(base);
    if (bound === undefined) return;
    this.#sockets.delete(base);
    bound.isClosed = true;
    if (bound.sendsInFlight === 0) bound.socket.close();
    else this.#closing.set(base, bound);
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

  /** @throws {Error} If the address cannot be bound. */
  #open(local: Address): { readonly socket: Socket; readonly port: number } {
    if (!TELLS_PORT_LATER || local.port !== 0) return openSocket(local, local.port);
    for (let tried = 1;; tried++) {
      const [high, low] = this.random.fill(new Uint8Array(2));
      const offset = ((high ?? 0) << 8 | (low ?? 0)) % (0x10000 - FIRST_DYNAMIC_PORT);
      try {
        return openSocket(local, FIRST_DYNAMIC_PORT + offset);
      } catch (error) {
        if (errorCode(error) !== "EADDRINUSE" || tried === MAX_PORTS_TRIED) throw error;
      }
    }
  }

  #sendOne(bound: Bound, remote: Address, payload: Uint8Array, start: number, end: number): void {
    const slot = this.#pool.take();
    if (slot === undefined) {
      // Only a sender that does not wait for room gets here: a loss like any other, and counted.
      this.#report(bound.base, remote, "ENOBUFS");
      return;
    }
    const bytes = slot.fill(bound.base, remote, payload, start, end);
    const host = bound.mapsIpv4 && remote.family === 4 ? `::ffff:${remote.host}` : remote.host;
    bound.sendsInFlight++;
    try {
      bound.socket.send(bytes, remote.port, host, slot.onSettled);
    } catch (error) {
      this.#handleSent(slot, error);
    }
  }

  #handleSent(slot: SendSlot, error: unknown): void {
    const { base, remote } = slot;
    this.#pool.give(slot);
    if (this.#wantsRoom && this.#pool.hasRoom) this.#turns.come();
    if (base === undefined) return;
    const bound = this.#sockets.get(base) ?? this.#closing.get(base);
    if (bound === undefined) return;
    bound.sendsInFlight--;
    if (!bound.isClosed) {
      if (error !== undefined) this.#report(base, remote, errorCode(error));
    } else if (bound.sendsInFlight === 0) {
      this.#closing.delete(base);
      bound.socket.close();
    }
  }

  #receive(bound: Bound): void {
    const { base, socket } = bound;
    // Borrowed by the sink until it returns, so that one object serves every datagram.
    const datagram: { base: Base; remote: Address; payload: Uint8Array } = {
      base,
      remote: base.local,
      payload: new Uint8Array(0),
    };
    // Link-local remotes are of the interface that the socket is on (RFC 4007 §6); not every runtime says so.
    const zoneAt = base.local.host.indexOf("%");
    const zone = zoneAt < 0 ? "" : base.local.host.slice(zoneAt);
    socket.on("message", (payload, { address, port }: RemoteInfo) => {
      const sink = this.#sink;
      if (bound.isClosed || sink === undefined) return;
      const isZoneMissing = zone !== "" && !address.includes("%") && isLinkLocal(address);
      datagram.remote = addressOf(isZoneMissing ? address + zone : address, port);
      // A `Buffer` is no `Uint8Array` to whoever keeps a copy: its `slice` is a view.
      datagram.payload = new Uint8Array(payload.buffer, payload.byteOffset, payload.length);
      sink.handleDatagram(datagram);
      this.#hasNews = true;
      // A flood must not keep answers and alarms waiting.
      if (++this.#receivedInBatch >= MAX_RECEIVE_BATCH_DATAGRAMS) this.#answer(sink);
      else this.#turns.come();
    });
  }

  #answer(sink: HostSink): void {
    this.#receivedInBatch = 0;
    this.#hasNews = false;
    sink.drain();
  }

  #takeTurn(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (this.#errors.length > 0) {
      // What is told may send, and so add errors: they wait for the next turn.
      for (const error of this.#errors.splice(0)) sink.handleSocketError(error);
      this.#hasNews = true;
    }
    if (this.#wantsRoom && this.#pool.hasRoom) {
      this.#wantsRoom = false;
      sink.handleRoom();
    }
    if (this.#turns.takeAlarm()) sink.handleAlarm();
    if (this.#hasNews) this.#answer(sink);
  }

  /** Keeps an error for the next turn: the sink may be in the middle of sending. */
  #report(base: Base, remote: Address | undefined, code: string): void {
    if (this.#errors.length < MAX_PENDING_SOCKET_ERRORS) this.#errors.push({ base, remote, code });
    this.#turns.come();
  }
}

/** @throws {Error} If the address cannot be bound. */
function openSocket(local: Address, port: number): { readonly socket: Socket; readonly port: number } {
  // Addresses are not looked up: so a socket is bound, and what is sent is gone, when the call returns.
  const socket = createSocket({
    type: local.family === 4 ? "udp4" : "udp6",
    lookup: (host, _options, found) => found(null, host, local.family),
  });
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure = error;
  };
  socket.on("error", fail);
  try {
    socket.bind({ address: local.host, port, exclusive: true });
  } catch (error) {
    // Deno throws where it may not.
    failure = error instanceof Error ? error : new Error(`Cannot bind: ${error}`);
  }
  if (failure !== undefined) {
    socket.close();
    throw failure;
  }
  const bound = { socket, port: TELLS_PORT_LATER ? port : socket.address().port };
  socket.off("error", fail);
  return bound;
}

function isLinkLocal(host: string): boolean {
  // fe80::/10 (RFC 4291 §2.5.6), in the lower-case spelling that runtimes use.
  return /^fe[89ab]/.test(host);
}

/** The system's name for an error, else the runtime's class. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
