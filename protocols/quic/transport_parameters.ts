/**
 * Transport parameters: RFC 9000 §7.4, §18, `max_datagram_frame_size` of RFC 9221 §3, and those of NAT traversal and address
 * discovery, whose values are read by whoever was asked for them.
 *
 * @module
 */

import { Reader, TruncatedError } from "../core/reader.ts";
import { Writer } from "../core/writer.ts";
import { ADDRESS_DISCOVERY_PARAMETER_ID } from "./address_discovery.ts";
import { TransportError } from "./errors.ts";
import { DRAFT_SEEMANN_02 } from "./nat_traversal/draft_seemann_02.ts";
import { MAX_CONNECTION_ID_BYTES } from "./packet.ts";
import type { Role } from "./stream_id.ts";
import { readVarint, readVarint62, varintBytes, writeVarint, writeVarint62 } from "./varint.ts";

/** What an endpoint declares, with the defaults of RFC 9000 §18.2 where it declares nothing. */
export interface TransportParameters {
  readonly originalDestinationConnectionId?: Uint8Array;
  /** 0: no idle timeout. */
  readonly maxIdleTimeoutMs: number;
  readonly statelessResetToken?: Uint8Array;
  readonly maxUdpPayloadSize: number;
  readonly initialMaxData: number;
  readonly initialMaxStreamDataBidiLocal: number;
  readonly initialMaxStreamDataBidiRemote: number;
  readonly initialMaxStreamDataUni: number;
  readonly initialMaxStreamsBidi: number;
  readonly initialMaxStreamsUni: number;
  readonly ackDelayExponent: number;
  readonly maxAckDelayMs: number;
  readonly disableActiveMigration: boolean;
  /** Value as it is on the wire, see `preferred_address.ts`. */
  readonly preferredAddress?: Uint8Array;
  readonly activeConnectionIdLimit: number;
  readonly initialSourceConnectionId?: Uint8Array;
  readonly retrySourceConnectionId?: Uint8Array;
  /** Largest DATAGRAM frame taken, with its type and length; 0: none. */
  readonly maxDatagramFrameSize: number;
  /** Value as it is on the wire: its form depends on the dialect, see `nat_traversal/dialect.ts`. */
  readonly natTraversal?: Uint8Array;
  /** Value as it is on the wire, see `address_discovery.ts`. */
  readonly addressDiscovery?: Uint8Array;
}

/** RFC 9000 §18.2: what holds for a parameter that is absent. */
export const DEFAULT_TRANSPORT_PARAMETERS: TransportParameters = Object.freeze({
  maxIdleTimeoutMs: 0,
  maxUdpPayloadSize: 65527,
  initialMaxData: 0,
  initialMaxStreamDataBidiLocal: 0,
  initialMaxStreamDataBidiRemote: 0,
  initialMaxStreamDataUni: 0,
  initialMaxStreamsBidi: 0,
  initialMaxStreamsUni: 0,
  ackDelayExponent: 3,
  maxAckDelayMs: 25,
  disableActiveMigration: false,
  activeConnectionIdLimit: 2,
  maxDatagramFrameSize: 0,
});

type Keys<Value> = {
  [K in keyof TransportParameters]-?: TransportParameters[K] extends Value | undefined ? K : never;
}[keyof TransportParameters];

type Row =
  | {
    readonly id: number;
    readonly kind: "number";
    readonly key: Keys<number>;
    readonly minimum?: number;
    readonly maximum?: number;
  }
  | { readonly id: number; readonly kind: "flag"; readonly key: Keys<boolean> }
  | {
    readonly id: number | bigint;
    readonly kind: "bytes";
    readonly key: Keys<Uint8Array>;
    readonly minimumBytes: number;
    readonly maximumBytes: number;
    /** RFC 9000 §18.2: a client that sends it has broken a MUST. */
    readonly serverOnly?: true;
  };

/** Longest preferred_address: two addresses with ports, a connection ID of 20 bytes, a token. */
const MAX_PREFERRED_ADDRESS_BYTES = 4 + 2 + 16 + 2 + 1 + 20 + 16;

/** RFC 9000 §18.2 in its order, then RFC 9221 §3, then extensions, which are nobody's business where they are off. */
const ROWS: readonly Row[] = [
  {
    id: 0x00,
    kind: "bytes",
    key: "originalDestinationConnectionId",
    minimumBytes: 0,
    maximumBytes: MAX_CONNECTION_ID_BYTES,
    serverOnly: true,
  },
  { id: 0x01, kind: "number", key: "maxIdleTimeoutMs" },
  { id: 0x02, kind: "bytes", key: "statelessResetToken", minimumBytes: 16, maximumBytes: 16, serverOnly: true },
  { id: 0x03, kind: "number", key: "maxUdpPayloadSize", minimum: 1200 },
  { id: 0x04, kind: "number", key: "initialMaxData" },
  { id: 0x05, kind: "number", key: "initialMaxStreamDataBidiLocal" },
  { id: 0x06, kind: "number", key: "initialMaxStreamDataBidiRemote" },
  { id: 0x07, kind: "number", key: "initialMaxStreamDataUni" },
  { id: 0x08, kind: "number", key: "initialMaxStreamsBidi", maximum: 2 ** 60 },
  { id: 0x09, kind: "number", key: "initialMaxStreamsUni", maximum: 2 ** 60 },
  { id: 0x0a, kind: "number", key: "ackDelayExponent", maximum: 20 },
  { id: 0x0b, kind: "number", key: "maxAckDelayMs", maximum: 2 ** 14 - 1 },
  { id: 0x0c, kind: "flag", key: "disableActiveMigration" },
  {
    id: 0x0d,
    kind: "bytes",
    key: "preferredAddress",
    minimumBytes: MAX_PREFERRED_ADDRESS_BYTES - 20,
    maximumBytes: MAX_PREFERRED_ADDRESS_BYTES,
    serverOnly: true,
  },
  { id: 0x0e, kind: "number", key: "activeConnectionIdLimit", minimum: 2 },
  {
    id: 0x0f,
    kind: "bytes",
    key: "initialSourceConnectionId",
    minimumBytes: 0,
    maximumBytes: MAX_CONNECTION_ID_BYTES,
  },
  {
    id: 0x10,
    kind: "bytes",
    key: "retrySourceConnectionId",
    minimumBytes: 0,
    maximumBytes: MAX_CONNECTION_ID_BYTES,
    serverOnly: true,
  },
  { id: 0x20, kind: "number", key: "maxDatagramFrameSize" },
  {
    id: DRAFT_SEEMANN_02.transportParameterId,
    kind: "bytes",
    key: "natTraversal",
    minimumBytes: 0,
    maximumBytes: Infinity,
  },
  {
    id: ADDRESS_DISCOVERY_PARAMETER_ID,
    kind: "bytes",
    key: "addressDiscovery",
    minimumBytes: 0,
    maximumBytes: Infinity,
  },
];

/** Some are beyond what a `number` holds. */
const ROWS_BY_ID: ReadonlyMap<bigint, Row> = new Map(ROWS.map((row) => [BigInt(row.id), row]));

/** The value of the TLS extension `quic_transport_parameters`: RFC 9000 §18. What equals its default is left out. */
export function encodeTransportParameters(parameters: TransportParameters): Uint8Array {
  const writer = new Writer(new Uint8Array(512));
  for (const row of ROWS) {
    switch (row.kind) {
      case "number": {
        const value = parameters[row.key];
        if (value === DEFAULT_TRANSPORT_PARAMETERS[row.key]) break;
        writeVarint(writer, row.id);
        writeVarint(writer, varintBytes(value));
        writeVarint(writer, value);
        break;
      }
      case "flag":
        if (!parameters[row.key]) break;
        writeVarint(writer, row.id);
        writeVarint(writer, 0);
        break;
      case "bytes": {
        const value = parameters[row.key];
        if (value === undefined) break;
        writeVarint62(writer, BigInt(row.id));
        writeVarint(writer, value.length);
        writer.bytes(value);
        break;
      }
    }
  }
  return writer.written().slice();
}

/**
 * Reads what the peer declared. Unknown parameters are passed over (RFC 9000 §7.4.2).
 *
 * @param sender Whose parameters they are: a client must not send what only a server knows.
 * @throws {TransportError} TRANSPORT_PARAMETER_ERROR for a value out of range, a duplicate, a malformed encoding.
 */
export function decodeTransportParameters(bytes: Uint8Array, sender: Role): TransportParameters {
  try {
    return decode(new Reader(bytes), sender);
  } catch (error) {
    if (error instanceof TruncatedError) throw invalid("the bytes end inside a parameter");
    throw error;
  }
}

function decode(reader: Reader, sender: Role): TransportParameters {
  const parameters: { -readonly [K in keyof TransportParameters]: TransportParameters[K] } = {
    ...DEFAULT_TRANSPORT_PARAMETERS,
  };
  const seen = new Set<bigint>();
  while (reader.remaining > 0) {
    const id = readVarint62(reader);
    const value = reader.sub(readVarint(reader));
    const row = ROWS_BY_ID.get(id);
    // RFC 9000 §7.4: an endpoint MUST NOT send a parameter more than once, whether we know it or not.
    if (seen.has(id)) throw invalid(`${row?.key ?? `0x${id.toString(16)}`} is there twice`);
    seen.add(id);
    if (row === undefined) continue;
    switch (row.kind) {
      case "number": {
        const { minimum = 0, maximum = Infinity } = row;
        const exact = readVarint62(value);
        // Compared as it is, so that 2^60 + 1 streams show; kept saturated like every other varint.
        if (exact < minimum || exact > maximum) throw invalid(`${row.key} is ${exact}`);
        parameters[row.key] = Math.min(Number(exact), Number.MAX_SAFE_INTEGER);
        break;
      }
      case "flag":
        parameters[row.key] = true;
        break;
      case "bytes":
        if (row.serverOnly && sender === "client") throw invalid(`a client sent ${row.key}`);
        if (value.remaining < row.minimumBytes || value.remaining > row.maximumBytes) {
          throw invalid(`${row.key} has ${value.remaining} bytes`);
        }
        parameters[row.key] = value.rest().slice();
        break;
    }
    if (value.remaining > 0) throw invalid(`${row.key} has a byte too many`);
  }
  return parameters;
}

function invalid(fact: string): TransportError {
  return new TransportError("TRANSPORT_PARAMETER_ERROR", `Cannot take the transport parameters: ${fact}`);
}
