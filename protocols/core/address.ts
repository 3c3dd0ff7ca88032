/**
 * Transport addresses, interned: two equal addresses are one object, so paths and tables compare by identity.
 *
 * The intern table holds weak references. An address that anyone keeps stays the same object for as long as it is kept;
 * one that nobody keeps may be made anew, which no one can tell. A flood of source addresses therefore neither grows the
 * table without bound nor splits the identity of an address in use.
 *
 * @module
 */

/** Sweeping starts when the table holds this many entries, and then at twice what survived the last sweep. */
const MIN_SWEEP_ENTRIES = 4096;

/** An IP address and UDP port. Compare with `===`. */
export interface Address {
  /** IPv4 or IPv6. */
  readonly family: 4 | 6;
  /** Canonical text: dotted quad, or RFC 5952 for IPv6 (no brackets, zone kept for link-local). */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
  /** `host` as 4 or 16 bytes in network order. Not to be written. */
  readonly bytes: Uint8Array;
  /** `192.0.2.1:4433`, `[2001:db8::1]:4433`. */
  toString(): string;
}

class InternedAddress implements Address {
  readonly family: 4 | 6;
  readonly host: string;
  readonly port: number;
  readonly bytes: Uint8Array;

  constructor(host: string, port: number, bytes: Uint8Array) {
    this.family = bytes.length === 4 ? 4 : 6;
    this.host = host;
    this.port = port;
    this.bytes = bytes;
  }

  toString(): string {
    return this.family === 4 ? `${this.host}:${this.port}` : `[${this.host}]:${this.port}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

const table = new Map<string, WeakRef<InternedAddress>>();
let sweepAtEntries = MIN_SWEEP_ENTRIES;
// A burst of datagrams usually comes from one remote: the last answer saves the key string.
let last: { readonly host: string; readonly address: InternedAddress } | undefined;

/**
 * The address of `host` and `port`.
 *
 * @param host IPv4 dotted quad or IPv6 text; an IPv4-mapped IPv6 address becomes the IPv4 address it maps.
 * @param port 0 to 65535.
 * @throws {TypeError} If `host` is not an IP address.
 * @throws {RangeError} If `port` is out of range.
 */
export function addressOf(host: string, port: number): Address {
  if (last !== undefined && last.address.port === port && last.host === host) return last.address;
  const key = `${host} ${port}`;
  let address = table.get(key)?.deref();
  // Only the canonical spelling is a key of the table: others are rare, and are parsed again each time.
  address ??= intern(host, port);
  last = { host, address };
  return address;
}

/**
 * The address whose host is given as 4 or 16 bytes, copied.
 *
 * @throws {RangeError} If there are not 4 or 16 bytes, or `port` is out of range.
 */
export function addressFromBytes(bytes: Uint8Array, port: number): Address {
  return addressOf(formatHost(bytes), port);
}

/**
 * Reads `192.0.2.1:4433` or `[2001:db8::1]:4433`.
 *
 * @throws {TypeError} If the text is neither.
 * @throws {RangeError} If the port is out of range.
 */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new TypeError(`Cannot read address: "${text}" is not IP:PORT or [IP]:PORT`);
  return addressOf((match[1] ?? match[2])!, Number(match[3]));
}

/** Whether the text is an IPv4 or IPv6 address (no name). */
export function isIpAddress(host: string): boolean {
  return parseIpv4(host) !== undefined || parseIpv6(host) !== undefined;
}

function intern(host: string, port: number): InternedAddress {
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`Cannot make address: port ${port} is not 0 to 65535`);
  }
  const zoneAt = host.indexOf("%");
  const zone = zoneAt < 0 ? "" : host.slice(zoneAt);
  const bytes = parseIpv4(host) ?? parseIpv6(zoneAt < 0 ? host : host.slice(0, zoneAt));
  if (bytes === undefined) throw new TypeError(`Cannot make address: "${host}" is not an IP address`);
  const canonical = formatHost(bytes) + (bytes.length === 16 ? zone : "");
  const key = `${canonical} ${port}`;
  const known = table.get(key)?.deref();
  if (known !== undefined) return known;
  if (table.size >= sweepAtEntries) sweep();
  const address = Object.freeze(new InternedAddress(canonical, port, unmapped(bytes)));
  table.set(key, new WeakRef(address));
  return address;
}

function sweep(): void {
  for (const [key, reference] of table) {
    if (reference.deref() === undefined) table.delete(key);
  }
  sweepAtEntries = Math.max(MIN_SWEEP_ENTRIES, 2 * table.size);
}

function parseIpv4(host: string): Uint8Array | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
  if (match === null) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const value = Number(match[i + 1]);
    if (value > 255) return undefined;
    bytes[i] = value;
  }
  return bytes;
}

function parseIpv6(host: string): Uint8Array | undefined {
  if (!host.includes(":") || host.length > 45) return undefined;
  const lastColon = host.lastIndexOf(":");
  const tail = host.slice(lastColon + 1);
  let text = host;
  if (tail.includes(".")) {
    const quad = parseIpv4(tail);
    if (quad === undefined) return undefined;
    const high = ((quad[0]! << 8) | quad[1]!).toString(16);
    const low = ((quad[2]! << 8) | quad[3]!).toString(16);
    text = `${host.slice(0, lastColon + 1)}${high}:${low}`;
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = halves[0] === "" ? [] : halves[0]!.split(":");
  const rest = halves.length === 2 && halves[1] !== "" ? halves[1]!.split(":") : [];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<string>(halves.length === 2 ? missing : 0).fill("0"), ...rest];
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(groups[i]!)) return undefined;
    const value = parseInt(groups[i]!, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 0xff;
  }
  return bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16) return false;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function unmapped(bytes: Uint8Array): Uint8Array {
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** Canonical text of 4 or 16 bytes: RFC 5952 §4 for IPv6, the plain quad for a mapped address. */
function formatHost(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length !== 16) throw new RangeError(`Cannot make address: ${bytes.length} bytes are not 4 or 16`);
  if (isMapped(bytes)) return formatHost(bytes.subarray(12));
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  let bestStart = -1;
  let bestLength = 1; // RFC 5952 §4.2.2: a single zero group is not shortened.
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestStart < 0) return hex.join(":");
  return `${hex.slice(0, bestStart).join(":")}::${hex.slice(bestStart + bestLength).join(":")}`;
}
