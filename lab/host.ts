/**
 * A host of the virtual network: interfaces, UDP sockets, the alarm and randomness that `io/driver.ts` drives machines on,
 * just as on real sockets. Leaves out what a datagram socket does not show: ICMP, TTL, ECN.
 *
 * @module
 */

import type { Host, HostSink, NetworkInterface } from "../io/host.ts";
import { type Address, addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import type { ScheduledEvent, VirtualClock } from "./clock.ts";
import { DEFAULT_MTU_BYTES, type Link, type LinkContext } from "./link.ts";
import { type Packet, udpHeaderBytes, type UdpPacket } from "./packet.ts";
import { SeededRandom } from "./random.ts";
import { StreamStack } from "./stream_stack.ts";
import type { Access, AccessOptions, Subnet } from "./subnet.ts";
import type { DropReason } from "./trace.ts";

/** Sends on an interface that has no way out: they succeed and vanish, or fail. */
export type DeadEnd = "vanish" | "ENETUNREACH";

/** An interface. */
export interface InterfaceOptions extends AccessOptions {
  readonly name: string;
  readonly address: string;
  /** Where it leads. Without it, nowhere: see `deadEnd`. */
  readonly subnet?: Subnet;
  /** What becomes of packets on an interface that leads nowhere. Default `vanish`. */
  readonly deadEnd?: DeadEnd;
  /** What `NetworkInterface.hasDefaultRoute` says. Default: whether the interface leads anywhere. */
  readonly hasDefaultRoute?: boolean;
  /** Larger packets fail with EMSGSIZE. Default 1500. */
  readonly mtuBytes?: number;
}

/** A host. */
export interface VirtualHostOptions {
  readonly name: string;
  /** `Host.send` answers "no room" while more than this waits for an interface's rate. Default: no limit. */
  readonly sendBufferBytes?: number;
}

/** What a host needs of its network. */
export interface HostContext extends LinkContext {
  /** The number of the next packet. */
  nextPacketId(): number;
}

/** An interface of a virtual host. */
export interface VirtualInterface extends NetworkInterface {
  readonly mtuBytes: number;
  /** The link towards the network, and the one from it; `undefined` where it leads nowhere. */
  readonly up: Link | undefined;
  readonly down: Link | undefined;
}

/** Which sends fail on purpose. */
export interface FailureOptions {
  /** How many; default all until `failSends` is called again. */
  readonly count?: number;
  /** Only sends to this address. */
  readonly remote?: Address;
}

/** Sockets of one host, its sockets together. */
export const MAX_SOCKETS = 1024;

const FIRST_EPHEMERAL_PORT = 49_152;

interface Interface {
  readonly view: VirtualInterface;
  readonly subnet: Subnet | undefined;
  readonly access: Access | undefined;
  readonly deadEnd: DeadEnd;
}

interface Socket {
  readonly base: Base;
  failure: { readonly code: string; readonly remote: Address | undefined; left: number } | undefined;
}

/** 2026-01-01T00:00:00Z: any instant would do, as long as it is always the same. */
const VIRTUAL_EPOCH_MS = 1_767_225_600_000;

/** A host with virtual sockets. Made by `VirtualNetwork.host`. */
export class VirtualHost implements Host {
  readonly name: string;
  readonly random: SeededRandom;
  /** The clock of the network starts at the same wall-clock instant in every run. */
  readonly epochMs: number = VIRTUAL_EPOCH_MS;
  /** TCP-like streams of this host. */
  readonly streams: StreamStack;
  readonly #context: HostContext;
  readonly #sendBufferBytes: number;
  readonly #interfaces: Interface[] = [];
  readonly #sockets = new Map<Address, Socket>();
  #sink: HostSink | undefined;
  #nextPort = FIRST_EPHEMERAL_PORT;
  #alarmAt: number | undefined;
  #alarm: ScheduledEvent | undefined;
  #isDrainScheduled = false;
  #isRoomScheduled = false;
  #hasPower = true;

  constructor(options: VirtualHostOptions, context: HostContext) {
    this.name = options.name;
    this.#context = context;
    this.#sendBufferBytes = options.sendBufferBytes ?? Number.POSITIVE_INFINITY;
    this.random = new SeededRandom(context.seed, `host ${options.name}`);
    this.streams = new StreamStack({
      clock: context.clock,
      nextPacketId: context.nextPacketId,
      sourceFor: (remote) => this.#routeTo(remote)?.view.address.host,
      transmit: (packet) => this.#transmit(packet, this.#interfaceOf(packet.source)),
    });
  }

  /** The clock of the network. */
  get clock(): VirtualClock {
    return this.#context.clock;
  }

  /** The address of the first interface, with this port: what a test names a server by. */
  address(port = 0): Address {
    return addressOf(this.#interfaceAt(0).view.address.host, port);
  }

  /** The interface with this name, or the first. @throws {RangeError} If there is none. */
  interface(name?: string): VirtualInterface {
    if (name === undefined) return this.#interfaceAt(0).view;
    const found = this.#interfaces.find((candidate) => candidate.view.name === name);
    if (found === undefined) throw new RangeError(`Cannot find interface ${name}: ${this.name} does not have it`);
    return found.view;
  }

  /** Adds an interface. @throws {RangeError} If its name or address is taken. */
  addInterface(options: InterfaceOptions): VirtualInterface {
    const { name, subnet } = options;
    const address = addressOf(options.address, 0);
    if (this.#interfaces.some(({ view }) => view.name === name && view.address.family === address.family)) {
      throw new RangeError(`Cannot add interface ${name}: ${this.name} has it already`);
    }
    const access = subnet?.attach(`${this.name} ${name}`, options, (packet) => this.#receive(packet));
    if (access !== undefined) subnet?.claim(address.host, access);
    const view: VirtualInterface = {
      name,
      address,
      isLoopback: false,
      hasDefaultRoute: options.hasDefaultRoute ?? subnet !== undefined,
      mtuBytes: options.mtuBytes ?? DEFAULT_MTU_BYTES,
      up: access?.up,
      down: access?.down,
    };
    this.#interfaces.push({ view, subnet, access, deadEnd: options.deadEnd ?? "vanish" });
    return view;
  }

  /** Takes an interface away with all its addresses, as when a cable is pulled. */
  removeInterface(name: string): void {
    const removed = this.#interfaces.filter(({ view }) => view.name === name);
    if (removed.length === 0) throw new RangeError(`Cannot remove interface ${name}: ${this.name} does not have it`);
    for (const { view } of removed) this.removeAddress(view.address.host);
  }

  /**
   * Takes an address away. Its sockets stay, and work again should the address come back. Meanwhile they do what Linux has
   * them do: IPv4 sends fail with ENETUNREACH, IPv6 ones succeed and reach nobody; what still comes in is dropped.
   */
  removeAddress(host: string): void {
    const index = this.#interfaces.findIndex(({ view }) => view.address.host === host);
    const [removed] = index < 0 ? [] : this.#interfaces.splice(index, 1);
    if (removed === undefined) throw new RangeError(`Cannot remove address ${host}: ${this.name} does not have it`);
    removed.subnet?.release(host);
  }

  now(): number {
    return this.#context.clock.now;
  }

  interfaces(): readonly VirtualInterface[] {
    return this.#interfaces.map(({ view }) => view);
  }

  attach(sink: HostSink): void {
    if (this.#sink !== undefined) throw new TypeError(`Cannot attach: ${this.name} has a driver already`);
    this.#sink = sink;
  }

  bind(local: Address): Base {
    const through = this.#interfaceOf(local);
    if (through === undefined) throw new Error(`Cannot bind ${local}: no interface of ${this.name} has it`);
    if (this.#sockets.size >= MAX_SOCKETS) throw new Error(`Cannot bind ${local}: ${MAX_SOCKETS} sockets are open`);
    const address = local.port === 0 ? this.#freeAddress(local.host) : local;
    if (this.#sockets.has(address)) throw new Error(`Cannot bind ${address}: it is in use`);
    const maxPayloadBytes = through.view.mtuBytes - udpHeaderBytes(address.family);
    const base: Base = { kind: "socket", local: address, maxPayloadBytes };
    this.#sockets.set(address, { base, failure: undefined });
    return base;
  }

  close(base: Base): void {
    if (this.#socketOf(base) !== undefined) this.#sockets.delete(base.local);
  }

  /** Whether the machine runs: without power it neither sends, receives nor answers, and forgets all that it had open. */
  get hasPower(): boolean {
    return this.#hasPower;
  }

  set hasPower(hasPower: boolean) {
    if (!hasPower) this.stop();
    if (!hasPower) this.streams.clear();
    this.#hasPower = hasPower;
  }

  /** What the end of a process does to its UDP sockets: they and the alarm are gone; another driver may be attached. */
  stop(): void {
    this.#sockets.clear();
    this.setAlarm(undefined);
    this.#sink = undefined;
  }

  send({ base, remote, payload, segmentBytes }: Datagram): boolean {
    const socket = this.#socketOf(base);
    if (socket === undefined) return true;
    const stride = Math.max(1, segmentBytes ?? payload.length);
    let offset = 0;
    do {
      // The machine takes its buffer back when this returns: this is the copy.
      this.#sendOne(socket, remote, payload.slice(offset, offset + stride));
      offset += stride;
    } while (offset < payload.length);
    const up = this.#interfaceOf(base.local)?.view.up;
    if (up === undefined || up.backlogBytes <= this.#sendBufferBytes) return true;
    this.#scheduleRoom(up.backlogClearsAt(this.#sendBufferBytes));
    return false;
  }

  setAlarm(at: number | undefined): void {
    this.#alarmAt = at;
    if (at === undefined) {
      if (this.#alarm !== undefined) this.#context.clock.cancel(this.#alarm);
      this.#alarm = undefined;
    } else if (this.#alarm === undefined || this.#alarm.at > at) {
      if (this.#alarm !== undefined) this.#context.clock.cancel(this.#alarm);
      this.#alarm = this.#context.clock.schedule(at, () => this.#ring());
    }
    // An alarm that moved to later is looked at again when the old one rings: a machine moves it with every packet.
  }

  /**
   * Makes sends on the base fail with this code (EINVAL, ENETUNREACH, EPERM, EMSGSIZE, …) in place of anything asked for
   * before; a count of 0 heals it.
   */
  failSends(base: Base, code: string, options: FailureOptions = {}): void {
    const socket = this.#socketOf(base);
    if (socket === undefined) throw new RangeError(`Cannot fail sends: ${base.local} is not open`);
    const left = options.count ?? Number.POSITIVE_INFINITY;
    socket.failure = left > 0 ? { code, remote: options.remote, left } : undefined;
  }

  /** Tells the driver of an error that no send caused, as ECONNRESET from a receive. */
  reportError(base: Base, code: string, remote?: Address): void {
    this.#context.clock.schedule(this.now(), () => {
      this.#sink?.handleSocketError({ base, remote, code });
      this.#scheduleDrain();
    });
  }

  #interfaceAt(index: number): Interface {
    const found = this.#interfaces[index];
    if (found === undefined) throw new RangeError(`Cannot find an interface: ${this.name} has none`);
    return found;
  }

  /** As systems do: the first interface with a default route, else the first that leads anywhere. */
  #routeTo(remote: Address): Interface | undefined {
    const ofFamily = this.#interfaces.filter(({ view }) => view.address.family === remote.family);
    return ofFamily.find(({ view }) => view.hasDefaultRoute) ?? ofFamily.find(({ access }) => access !== undefined);
  }

  #interfaceOf(address: Address): Interface | undefined {
    return this.#interfaces.find(({ view }) => view.address.host === address.host);
  }

  #freeAddress(host: string): Address {
    for (let tried = 0; tried <= MAX_SOCKETS; tried++) {
      const address = addressOf(host, this.#nextPort);
      this.#nextPort = this.#nextPort === 65_535 ? FIRST_EPHEMERAL_PORT : this.#nextPort + 1;
      if (!this.#sockets.has(address)) return address;
    }
    throw new Error(`Cannot bind ${host}: no port is free`);
  }

  #socketOf(base: Base): Socket | undefined {
    const socket = this.#sockets.get(base.local);
    return socket?.base === base ? socket : undefined;
  }

  #sendOne(socket: Socket, remote: Address, payload: Uint8Array): void {
    const { base } = socket;
    const through = this.#interfaceOf(base.local);
    const bytes = payload.length + udpHeaderBytes(base.local.family);
    const code = this.#failureCode(socket, through, remote, bytes);
    if (code !== undefined) return this.reportError(base, code, remote);
    const id = this.#context.nextPacketId();
    const packet: UdpPacket = { protocol: "udp", id, source: base.local, destination: remote, bytes, payload };
    this.#transmit(packet, through);
  }

  #failureCode(
    socket: Socket,
    through: Interface | undefined,
    remote: Address,
    bytes: number,
  ): string | undefined {
    const { base, failure } = socket;
    if (failure !== undefined && (failure.remote === undefined || failure.remote === remote)) {
      if (--failure.left === 0) socket.failure = undefined;
      return failure.code;
    }
    if (remote.family !== base.local.family || remote.port === 0) return "EINVAL";
    if (through === undefined) return base.local.family === 4 ? "ENETUNREACH" : undefined;
    if (bytes > through.view.mtuBytes) return "EMSGSIZE";
    return through.access === undefined && through.deadEnd === "ENETUNREACH" ? "ENETUNREACH" : undefined;
  }

  #transmit(packet: Packet, through: Interface | undefined): void {
    const { clock, trace } = this.#context;
    trace.add({ type: "sent", at: clock.now, where: this.name, packet });
    if (this.#interfaceOf(packet.destination) !== undefined) {
      clock.schedule(clock.now, () => this.#receive(packet));
    } else if (through?.access === undefined) {
      this.#drop(packet, "no way out");
    } else {
      through.access.up.transmit(packet);
    }
  }

  #receive(packet: Packet): void {
    const { clock, trace } = this.#context;
    if (!this.#hasPower) return this.#drop(packet, "host down");
    // It was under way when the address was taken away.
    if (this.#interfaceOf(packet.destination) === undefined) return this.#drop(packet, "no such address");
    if (packet.protocol === "tcp") {
      trace.add({ type: "delivered", at: clock.now, where: this.name, packet });
      return this.streams.receive(packet);
    }
    const socket = this.#sockets.get(packet.destination);
    if (socket === undefined || this.#sink === undefined) return this.#drop(packet, "port closed");
    trace.add({ type: "delivered", at: clock.now, where: this.name, packet });
    this.#sink.handleDatagram({ base: socket.base, remote: packet.source, payload: packet.payload });
    this.#scheduleDrain();
  }

  /** The driver drains once for all that arrives at this instant. */
  #scheduleDrain(): void {
    if (this.#isDrainScheduled) return;
    this.#isDrainScheduled = true;
    this.#context.clock.schedule(this.now(), () => {
      this.#isDrainScheduled = false;
      this.#sink?.drain();
    });
  }

  #scheduleRoom(at: number): void {
    if (this.#isRoomScheduled) return;
    this.#isRoomScheduled = true;
    this.#context.clock.schedule(at, () => {
      this.#isRoomScheduled = false;
      this.#sink?.handleRoom();
    });
  }

  #ring(): void {
    this.#alarm = undefined;
    const at = this.#alarmAt;
    if (at === undefined) return;
    if (at > this.now()) return this.setAlarm(at);
    this.#alarmAt = undefined;
    this.#sink?.handleAlarm();
  }

  #drop(packet: Packet, reason: DropReason): void {
    this.#context.trace.add({ type: "dropped", at: this.now(), where: this.name, packet, reason });
  }
}
