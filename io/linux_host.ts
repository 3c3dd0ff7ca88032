/**
 * The host on sockets of Linux with segmentation offload (`linux_sockets.ts`, flag `--allow-ffi`): a run of datagrams is one
 * call of the kernel's in either direction. Everything else is as in `deno_host.ts`.
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { Random } from "../protocols/core/random.ts";
import { readInterfaces } from "./interfaces.ts";
import type { Host, HostSink, NetworkInterface, SocketError } from "./host.ts";
import { linuxLibrary, LinuxPoll, LinuxSocket } from "./linux_sockets.ts";
import type { LinuxLibrary, Received } from "./linux_sockets.ts";
import { monotonicMs, SYSTEM_RANDOM, Turns, wallClockEpochMs } from "./process_host.ts";

/** Sockets of one host. At the limit `bind` throws. */
const MAX_SOCKETS = 256;

/** Runs received before they are answered although more are at hand: a run holds up to 64 datagrams. */
const MAX_RECEIVE_BATCH_RUNS = 8;

/** Turns without a datagram before the sockets are left to a waiting thread, which takes tens of microseconds to wake us. */
const MAX_IDLE_TURNS = 48;

/** Datagrams sent in one turn, at most: then whatever has come in has its turn. */
const MAX_SENDS_A_TURN = 256;

/** Errors kept until the sink is told, at most. Further ones in the same turn are alike, and are not told. */
const MAX_PENDING_SOCKET_ERRORS = 256;

const MAX_PAYLOAD_BYTES = { 4: 65_507, 6: 65_527 } as const;

interface Bound {
  readonly base: Base;
  readonly socket: LinuxSocket;
  /** What was sent last found no room in the kernel. */
  isFull: boolean;
}

/** Sockets, clock, randomness and one alarm of this process. */
export class LinuxHost implements Host {
  readonly random: Random = SYSTEM_RANDOM;
  readonly #library: LinuxLibrary;
  /** There as long as there are sockets to wait for. */
  #poll: LinuxPoll | undefined;
  readonly #sockets = new Map<Base, Bound>();
  readonly #turns = new Turns(() => this.#takeTurn());
  readonly #errors: SocketError[] = [];
  #sink: HostSink | undefined;
  #isWaiting = false;
  #idleTurns = 0;
  #sentInTurn = 0;
  #wantsRoom = false;
  #hasNews = false;

  /** @throws {Error} If there are no such sockets here; the message says why. */
  constructor() {
    const library = linuxLibrary();
    if ("reason" in library) throw new Error(`Cannot use sockets with segmentation offload: ${library.reason}`);
    this.#library = library;
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

  attach(sink: HostSink): void {
    if (this.#sink !== undefined) throw new TypeError("Cannot attach a second sink: a host serves one driver");
    this.#sink = sink;
  }

  bind(local: Address): Base {
    if (this.#sockets.size >= MAX_SOCKETS) {
      throw new RangeError(`Cannot bind: ${MAX_SOCKETS} sockets are open, close one first`);
    }
    this.#poll ??= new LinuxPoll(this.#library);
    const socket = new LinuxSocket(this.#library, local);
    const base: Base = { kind: "socket", local: socket.local, maxPayloadBytes: MAX_PAYLOAD_BYTES[local.family] };
    this.#sockets.set(base, { base, socket, isFull: false });
    this.#wake();
    return base;
  }

  close(base: Base): void {
    const bound = this.#sockets.get(base);
    if (bound === undefined) return;
    this.#sockets.delete(base);
    bound.socket.close();
    this.#wake();
  }

  /** Closes every socket and clears the alarm; the process can end. Harmless when it was done before. */
  [Symbol.dispose](): void {
    for (const base of [...this.#sockets.keys()]) this.close(base);
    this.setAlarm(undefined);
  }

  setAlarm(at: number | undefined): void {
    this.#turns.setAlarm(at);
  }

  send({ base, remote, payload, segmentBytes = payload.length }: Datagram): boolean {
    const bound = this.#sockets.get(base);
    // A closed base is no longer there to fail: what is sent on it is gone, as if the cable were.
    if (bound === undefined) return true;
    const code = bound.socket.send(remote, payload, segmentBytes);
    this.#sentInTurn += segmentBytes === 0 ? 1 : Math.ceil(payload.length / segmentBytes);
    if (code !== undefined) this.#failed(bound, remote, code);
    if (!bound.isFull && this.#sentInTurn < MAX_SENDS_A_TURN) return true;
    this.#wantsRoom = true;
    this.#turns.come();
    return false;
  }

  #failed(bound: Bound, remote: Address, code: string): void {
    if (code !== "EAGAIN") return this.#report(bound.base, remote, code);
    // Lost like any other datagram, and the next one waits until the kernel has room again.
    bound.isFull = true;
    this.#wake();
  }

  #takeTurn(): void {
    const sink = this.#sink;
    this.#sentInTurn = 0;
    if (sink !== undefined) this.#serve(sink);
    if (this.#isWaiting) return;
    if (this.#sockets.size === 0) return this.#closePoll();
    if (this.#idleTurns < MAX_IDLE_TURNS) this.#turns.come();
    else void this.#wait(this.#poll ??= new LinuxPoll(this.#library));
  }

  #closePoll(): void {
    this.#poll?.close();
    this.#poll = undefined;
  }

  /** Tells the sink what there is, and notes how long nothing came in. */
  #serve(sink: HostSink): void {
    if (this.#errors.length > 0) {
      // What is told may send, and so add errors: they wait for the next turn.
      for (const error of this.#errors.splice(0)) sink.handleSocketError(error);
      this.#hasNews = true;
    }
    if (this.#wantsRoom && !this.#isAnyFull()) {
      this.#wantsRoom = false;
      sink.handleRoom();
    }
    if (this.#turns.takeAlarm()) sink.handleAlarm();
    this.#idleTurns = this.#read(sink) ? 0 : this.#idleTurns + 1;
    if (!this.#hasNews) return;
    this.#hasNews = false;
    sink.drain();
  }

  /** Hands over what has come in, some of each socket. Returns whether anything had. */
  #read(sink: HostSink): boolean {
    let isAnyRead = false;
    for (const { base, socket } of this.#sockets.values()) {
      // The sink may close it.
      for (let runs = 0; runs < MAX_RECEIVE_BATCH_RUNS && this.#sockets.has(base); runs++) {
        const received = socket.receive();
        if (received === undefined) break;
        isAnyRead = true;
        this.#hasNews = true;
        if (typeof received === "string") this.#report(base, undefined, received);
        else deliver(sink, base, received);
      }
    }
    return isAnyRead;
  }

  #isAnyFull(): boolean {
    for (const { isFull } of this.#sockets.values()) if (isFull) return true;
    return false;
  }

  /** Something about the sockets has changed: whoever waits for them has to begin anew. */
  #wake(): void {
    this.#idleTurns = 0;
    if (this.#isWaiting) this.#poll?.interrupt();
    else this.#turns.come();
  }

  async #wait(poll: LinuxPoll): Promise<void> {
    this.#isWaiting = true;
    const all = [...this.#sockets.values()];
    const full = new Set(all.filter(({ isFull }) => isFull).map(({ socket }) => socket));
    await poll.wait(all.map(({ socket }) => socket), (socket) => full.has(socket));
    for (const bound of all) bound.isFull = false;
    this.#isWaiting = false;
    this.#idleTurns = 0;
    // At once: the waiting has cost enough.
    this.#takeTurn();
  }

  #report(base: Base, remote: Address | undefined, code: string): void {
    if (this.#errors.length < MAX_PENDING_SOCKET_ERRORS) this.#errors.push({ base, remote, code });
    this.#turns.come();
  }
}

/** The kernel puts together whatever has the same source and length, for whomever it is. */
function deliver(sink: HostSink, base: Base, { remote, payload, segmentBytes }: Received): void {
  // Borrowed by the sink until it returns, so that one object serves every datagram.
  const datagram = { base, remote, payload };
  if (payload.length <= segmentBytes) return sink.handleDatagram(datagram);
  for (let start = 0; start < payload.length; start += segmentBytes) {
    datagram.payload = payload.subarray(start, start + segmentBytes);
    sink.handleDatagram(datagram);
  }
}
