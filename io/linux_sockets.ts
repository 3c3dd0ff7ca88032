/**
 * UDP sockets of Linux by its C library, through the runtime's foreign function interface: segmentation offload in both
 * directions (UDP_SEGMENT, UDP_GRO; udp(7)), datagrams that are never fragmented (RFC 9000 §14), and one place to wait for
 * all of them. Needs `--allow-ffi`, and a 64-bit Linux.
 *
 * What the kernel is told lies in memory that is allocated once for each socket: the addresses inside it stay true as long as
 * the socket does.
 *
 * @module
 */

import { type Address, addressFromBytes, addressOf } from "../protocols/core/address.ts";

const LIBRARY = "libc.so.6";

// Lengths are given in 32 bits, which every calling convention here widens with zeros: 64 would be bigints.
const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32", nonblocking: true },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

// Numbers of the kernel's interface to programs, the same on every 64-bit architecture that the runtime is built for.
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SOL_UDP = 17;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
const PMTUDISC_PROBE = 3;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const POLLIN = 1;
const POLLOUT = 4;

/** Asked of the kernel for each direction of a socket; it gives what `net.core.rmem_max` and `wmem_max` allow. */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

const EAGAIN = 11;
const ERROR_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "EPERM"],
  [4, "EINTR"],
  [5, "EIO"],
  [EAGAIN, "EAGAIN"],
  [12, "ENOMEM"],
  [13, "EACCES"],
  [22, "EINVAL"],
  [24, "EMFILE"],
  [90, "EMSGSIZE"],
  [97, "EAFNOSUPPORT"],
  [98, "EADDRINUSE"],
  [99, "EADDRNOTAVAIL"],
  [100, "ENETDOWN"],
  [101, "ENETUNREACH"],
  [105, "ENOBUFS"],
  [111, "ECONNREFUSED"],
  [113, "EHOSTUNREACH"],
]);

/** Where in a socket's memory the parts of recvmsg(2) lie: `struct msghdr` of a 64-bit system first. */
const HEADER = { name: 0, nameBytes: 8, vector: 16, vectorCount: 24, control: 32, controlBytes: 40, end: 56 } as const;
const VECTOR_AT = 64;
const NAME_AT = 96;
const NAME_BYTES = 28;
const CONTROL_AT = 128;
const CONTROL_BYTES = 64;
const DATA_AT = 256;
const DATA_BYTES = 0x10000;

/** `struct cmsghdr`: a length that counts itself, level, type, and then data. */
const CONTROL_MESSAGE_BYTES = 16;

/** `struct pollfd`. */
const POLL_BYTES = 8;

/** The functions, found. */
export type LinuxLibrary = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Why there are no such sockets here: for a line to the user. */
export interface Unavailable {
  readonly reason: string;
}

/** Where there is another runtime. */
export const NO_FOREIGN_FUNCTIONS: Unavailable = { reason: "foreign functions are called under Deno only" };

/** Whether foreign functions may be called without asking anybody. */
export function isForeignAllowed(): boolean {
  return typeof Deno !== "undefined" && Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

let library: LinuxLibrary | Unavailable | undefined;

/** Opens the C library, once. */
export function linuxLibrary(): LinuxLibrary | Unavailable {
  library ??= openLibrary();
  return library;
}

function openLibrary(): LinuxLibrary | Unavailable {
  if (typeof Deno === "undefined") return NO_FOREIGN_FUNCTIONS;
  const { os, arch } = Deno.build;
  if (os !== "linux" || (arch !== "x86_64" && arch !== "aarch64")) {
    return { reason: `made for Linux, not ${os} ${arch}` };
  }
  if (!isForeignAllowed()) return { reason: "needs --allow-ffi" };
  try {
    return Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

/** A system call said no. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The system's name, `EADDRINUSE`. */
  readonly code: string;

  constructor(what: string, code: string) {
    super(`${what}: ${code}`);
    this.code = code;
  }
}

/** What came in: borrowed until the next `receive`. */
export interface Received {
  remote: Address;
  /** One datagram, or a run of them that the kernel has put together. */
  payload: Uint8Array;
  /** Bytes of each datagram of the run, the last perhaps shorter; `payload.length` if there is one. */
  segmentBytes: number;
}

/** One socket. */
export class LinuxSocket {
  readonly descriptor: number;
  readonly local: Address;
  readonly #library: LinuxLibrary;
  readonly #errno: Deno.UnsafePointerView;
  readonly #zone: string;
  readonly #memory = new Uint8Array(new ArrayBuffer(DATA_AT + DATA_BYTES));
  readonly #view = new DataView(this.#memory.buffer);
  readonly #received: Received;
  readonly #destinations = new WeakMap<Address, Uint8Array>();
  #lastDestination: { readonly remote: Address; readonly bytes: Uint8Array } | undefined;
  #lastSource: { readonly bytes: Uint8Array; readonly remote: Address } | undefined;
  readonly #option = new Uint8Array(new ArrayBuffer(4));
  /** What UDP_SEGMENT is set to. */
  #segmentBytes = 0;
  #canSegment = true;

  /** @throws {SystemError} If the address cannot be bound. */
  constructor(library: LinuxLibrary, local: Address) {
    this.#library = library;
    const errno = library.__errno_location();
    if (errno === null) throw new SystemError("Cannot open a socket", "ENOSYS");
    this.#errno = new Deno.UnsafePointerView(errno);
    const zoneAt = local.host.indexOf("%");
    this.#zone = zoneAt < 0 ? "" : local.host.slice(zoneAt);
    const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.descriptor = library.socket(local.family === 4 ? AF_INET : AF_INET6, type, 0);
    if (this.descriptor < 0) throw new SystemError("Cannot open a socket", this.#error());
    this.#configure(local);
    const name = this.#sockaddr(local, local.family);
    if (library.bind(this.descriptor, name, name.length) < 0) {
      const code = this.#error();
      this.close();
      throw new SystemError(`Cannot bind ${local}`, code);
    }
    this.local = addressOf(local.host, this.#boundPort());
    this.#received = { remote: this.local, payload: this.#memory, segmentBytes: 0 };
    this.#pointHeader();
  }

  close(): void {
    this.#library.close(this.descriptor);
  }

  /**
   * Sends a datagram or, with `segmentBytes`, a run in one call of the kernel's.
   *
   * @returns The system's name of what went wrong, `EAGAIN` if the socket is full; `undefined` if it has left.
   */
  send(remote: Address, payload: Uint8Array, segmentBytes: number): string | undefined {
    const isRun = payload.length > segmentBytes;
    if (isRun && !this.#canSegment) return this.#sendOneByOne(remote, payload, segmentBytes);
    if (isRun ? this.#segmentBytes !== segmentBytes : this.#segmentBytes !== 0 && payload.length > this.#segmentBytes) {
      this.#segment(isRun ? segmentBytes : 0);
      if (isRun && !this.#canSegment) return this.#sendOneByOne(remote, payload, segmentBytes);
    }
    const to = this.#destination(remote);
    if (this.#library.sendto(this.descriptor, payload, payload.length, 0, to, to.length) >= 0) return undefined;
    const code = this.#error();
    // A device that cannot do it, nor have the kernel do it for it: udp(7).
    if (isRun && (code === "EIO" || code === "EINVAL")) {
      this.#canSegment = false;
      this.#segment(0);
      return this.#sendOneByOne(remote, payload, segmentBytes);
    }
    return code;
  }

  /** The next datagram or run; `undefined` if there is none; the system's name of an error. */
  receive(): Received | string | undefined {
    const view = this.#view;
    view.setUint32(HEADER.nameBytes, NAME_BYTES, true);
    view.setUint32(HEADER.controlBytes, CONTROL_BYTES, true);
    const bytes = this.#library.recvmsg(this.descriptor, this.#memory, 0);
    if (bytes < 0) {
      const code = this.#error();
      return code === "EAGAIN" || code === "EINTR" ? undefined : code;
    }
    const received = this.#received;
    received.remote = this.#source();
    received.payload = this.#memory.subarray(DATA_AT, DATA_AT + bytes);
    received.segmentBytes = Math.max(1, Math.min(this.#groBytes() ?? bytes, bytes));
    return received;
  }

  #configure(local: Address): void {
    const isIpv4 = local.family === 4;
    // A wildcard socket of IPv6 speaks to IPv4 too, as the runtime's own do.
    if (!isIpv4) this.#set(SOL_IPV6, IPV6_V6ONLY, local.host === "::" ? 0 : 1);
    // RFC 9000 §14: datagrams are not fragmented, and the size of a path is found by probes, not believed of ICMP.
    if (isIpv4 || local.host === "::") this.#set(SOL_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
    if (!isIpv4) this.#set(SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    this.#set(SOL_UDP, UDP_GRO, 1);
    // As much as the system lets us have: twice the default where nobody has changed it, so that bursts are not lost.
    this.#set(SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_BYTES);
    this.#set(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_BYTES);
  }

  /** Options are wishes: an older kernel does without. */
  #set(level: number, option: number, value: number): boolean {
    new DataView(this.#option.buffer).setInt32(0, value, true);
    return this.#library.setsockopt(this.descriptor, level, option, this.#option, this.#option.length) === 0;
  }

  #segment(bytes: number): void {
    if (this.#set(SOL_UDP, UDP_SEGMENT, bytes)) this.#segmentBytes = bytes;
    else this.#canSegment = false;
  }

  #sendOneByOne(remote: Address, payload: Uint8Array, segmentBytes: number): string | undefined {
    let failure: string | undefined;
    for (let start = 0; start < payload.length; start += segmentBytes) {
      const segment = payload.subarray(start, Math.min(start + segmentBytes, payload.length));
      failure = this.send(remote, segment, segment.length) ?? failure;
    }
    return failure;
  }

  #boundPort(): number {
    const name = new Uint8Array(new ArrayBuffer(NAME_BYTES));
    const length = new Uint8Array(new ArrayBuffer(4));
    new DataView(length.buffer).setUint32(0, NAME_BYTES, true);
    if (this.#library.getsockname(this.descriptor, name, length) < 0) {
      throw new SystemError("Cannot tell the port", this.#error());
    }
    return new DataView(name.buffer).getUint16(2);
  }

  /** Tells the header where everything is: once, because nothing of it moves. */
  #pointHeader(): void {
    const view = this.#view;
    const at = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#memory)));
    view.setBigUint64(HEADER.name, at + BigInt(NAME_AT), true);
    view.setBigUint64(HEADER.vector, at + BigInt(VECTOR_AT), true);
    view.setBigUint64(HEADER.vectorCount, 1n, true);
    view.setBigUint64(HEADER.control, at + BigInt(CONTROL_AT), true);
    view.setBigUint64(VECTOR_AT, at + BigInt(DATA_AT), true);
    view.setBigUint64(VECTOR_AT + 8, BigInt(DATA_BYTES), true);
  }

  #destination(remote: Address): Uint8Array {
    if (this.#lastDestination?.remote === remote) return this.#lastDestination.bytes;
    let bytes = this.#destinations.get(remote);
    if (bytes === undefined) {
      bytes = this.#sockaddr(remote, this.local.family);
      this.#destinations.set(remote, bytes);
    }
    this.#lastDestination = { remote, bytes };
    return bytes;
  }

  /** `struct sockaddr_in` or `sockaddr_in6`; IPv4 on a socket of IPv6 as a mapped address (RFC 4291 §2.5.5.2). */
  #sockaddr(address: Address, family: 4 | 6): Uint8Array {
    const bytes = new Uint8Array(new ArrayBuffer(family === 4 ? 16 : NAME_BYTES));
    const view = new DataView(bytes.buffer);
    view.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
    view.setUint16(2, address.port);
    if (family === 4) bytes.set(address.bytes.subarray(0, 4), 4);
    else if (address.family === 6) {
      bytes.set(address.bytes, 8);
      view.setUint32(24, this.#scopeOf(address), true);
    } else {
      bytes.fill(0xff, 18, 20);
      bytes.set(address.bytes, 20);
    }
    return bytes;
  }

  #scopeOf({ host }: Address): number {
    const zoneAt = host.indexOf("%");
    const zone = zoneAt < 0 ? "" : host.slice(zoneAt + 1);
    if (zone === "") return 0;
    const index = Number(zone);
    return Number.isInteger(index) ? index : this.#library.if_nametoindex(new TextEncoder().encode(`${zone}\0`));
  }

  /** Who the datagram came from: mostly who the one before came from. */
  #source(): Address {
    const name = this.#memory.subarray(NAME_AT, NAME_AT + NAME_BYTES);
    const view = this.#view;
    const isIpv4 = view.getUint16(NAME_AT, true) === AF_INET;
    const compared = isIpv4 ? 8 : 24;
    const last = this.#lastSource;
    if (last !== undefined && last.bytes.length === compared && isStart(name, last.bytes)) return last.remote;
    const port = view.getUint16(NAME_AT + 2);
    const remote = isIpv4 ? addressFromBytes(name.subarray(4, 8), port) : this.#ipv6Source(name.subarray(8, 24), port);
    this.#lastSource = { bytes: name.slice(0, compared), remote };
    return remote;
  }

  /** Link-local remotes are of the interface that the socket is on (RFC 4007 §6). */
  #ipv6Source(host: Uint8Array, port: number): Address {
    const address = addressFromBytes(host, port);
    const isLinkLocal = host[0] === 0xfe && (host[1]! & 0xc0) === 0x80;
    return isLinkLocal && this.#zone !== "" ? addressOf(address.host + this.#zone, port) : address;
  }

  /** UDP_GRO tells how long the datagrams of a run are. */
  #groBytes(): number | undefined {
    const view = this.#view;
    const end = CONTROL_AT + Math.min(CONTROL_BYTES, view.getUint32(HEADER.controlBytes, true));
    for (let at = CONTROL_AT; at + CONTROL_MESSAGE_BYTES <= end;) {
      const length = view.getUint32(at, true);
      if (length < CONTROL_MESSAGE_BYTES) return undefined;
      if (view.getInt32(at + 8, true) === SOL_UDP && view.getInt32(at + 12, true) === UDP_GRO) {
        return view.getUint16(at + CONTROL_MESSAGE_BYTES, true);
      }
      at += (length + 7) & ~7;
    }
    return undefined;
  }

  #error(): string {
    return errorName(this.#errno.getInt32());
  }
}

/** Waits until one of several sockets has something to read, or to be written again. */
export class LinuxPoll {
  readonly #library: LinuxLibrary;
  /** Ends a wait from outside: eventfd(2). */
  readonly #event: number;
  readonly #one = new Uint8Array(new ArrayBuffer(8));
  #entries = new Uint8Array(new ArrayBuffer(0));

  constructor(library: LinuxLibrary) {
    this.#library = library;
    this.#one[0] = 1;
    this.#event = library.eventfd(0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (this.#event < 0) throw new SystemError("Cannot wait for sockets", "EMFILE");
  }

  /** Ends the wait that is under way, or the next one. */
  interrupt(): void {
    this.#library.write(this.#event, this.#one, this.#one.length);
  }

  /** Waits, on a thread of the runtime's, as long as it takes. One wait at a time. */
  async wait(sockets: readonly LinuxSocket[], isFull: (socket: LinuxSocket) => boolean): Promise<void> {
    const count = sockets.length + 1;
    if (this.#entries.length !== count * POLL_BYTES) {
      this.#entries = new Uint8Array(new ArrayBuffer(count * POLL_BYTES));
    }
    const view = new DataView(this.#entries.buffer);
    view.setInt32(0, this.#event, true);
    view.setInt32(4, POLLIN, true);
    sockets.forEach((socket, index) => {
      view.setInt32((index + 1) * POLL_BYTES, socket.descriptor, true);
      view.setInt32((index + 1) * POLL_BYTES + 4, isFull(socket) ? POLLIN | POLLOUT : POLLIN, true);
    });
    await this.#library.poll(this.#entries, count, -1);
    const spent = new Uint8Array(new ArrayBuffer(8));
    this.#library.read(this.#event, spent, spent.length);
  }

  /** No wait may be under way. */
  close(): void {
    this.#library.close(this.#event);
  }
}

function errorName(number: number): string {
  return ERROR_NAMES.get(number) ?? `ERRNO_${number}`;
}

function isStart(bytes: Uint8Array, start: Uint8Array): boolean {
  for (let i = 0; i < start.length; i++) if (bytes[i] !== start[i]) return false;
  return true;
}
