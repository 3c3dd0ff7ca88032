/**
 * What differs between dialects of NAT traversal by QUIC, as data: codepoints, frame layouts, who sends what, and the form of
 * the transport parameter. A dialect is one file of tables; the engine knows none by name, and a frame is read by the
 * dialect that was negotiated, never by its type alone.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import type { Reader } from "../../core/reader.ts";
import type { Writer } from "../../core/writer.ts";
import { TransportError } from "../errors.ts";
import type { Role } from "../stream_id.ts";
import { readVarint, varintBytes, writeVarint } from "../varint.ts";
import { addressFieldBytes, readAddress, writeAddress } from "./address_field.ts";

/** The server names an address of its own. */
export interface AddAddressFrame {
  readonly type: "ADD_ADDRESS";
  readonly sequenceNumber: number;
  readonly address: Address;
}

/** The server takes an address back. */
export interface RemoveAddressFrame {
  readonly type: "REMOVE_ADDRESS";
  readonly sequenceNumber: number;
}

/** The client asks the server to send to `address` from the address with that sequence number. */
export interface PunchMeNowFrame {
  readonly type: "PUNCH_ME_NOW";
  readonly round: number;
  readonly pairedWithSequenceNumber: number;
  readonly address: Address;
}

/** A frame of the extension, by the name it has in draft-seemann-quic-nat-traversal-02. */
export type TraversalFrame = AddAddressFrame | RemoveAddressFrame | PunchMeNowFrame;

/** A field of a frame: all but `address` are varints. */
export type FrameField = "sequenceNumber" | "round" | "pairedWithSequenceNumber" | "address";

/** How a frame looks. */
export interface FrameLayout {
  readonly name: TraversalFrame["type"];
  /** The only type, or those of IPv4 and IPv6. */
  readonly types: readonly [number] | readonly [number, number];
  /** Who sends it: from the other end it is a PROTOCOL_VIOLATION. */
  readonly sender: Role;
  /** In wire order. */
  readonly fields: readonly FrameField[];
}

/** What a transport parameter's value is: nothing, or one varint of at least 1. */
export type ParameterForm = "empty" | "limit";

/** A dialect. */
export interface Dialect {
  /** The draft it is from. */
  readonly name: string;
  readonly transportParameterId: bigint;
  readonly parameterForms: Readonly<Record<Role, ParameterForm>>;
  readonly frames: readonly FrameLayout[];
}

/** What a transport parameter said. */
export interface TraversalParameter {
  /** How many requests the sender takes in a round; `undefined` where the form has none. */
  readonly concurrencyLimit: number | undefined;
}

/**
 * The value of our transport parameter.
 *
 * @param concurrencyLimit At least 1; not said in a form without one.
 */
export function encodeParameter(dialect: Dialect, sender: Role, concurrencyLimit: number, writer: Writer): void {
  if (dialect.parameterForms[sender] === "limit") writeVarint(writer, concurrencyLimit);
}

/** @throws {TransportError} TRANSPORT_PARAMETER_ERROR if the value has not the form of that sender. */
export function decodeParameter(dialect: Dialect, sender: Role, value: Reader): TraversalParameter {
  let concurrencyLimit: number | undefined;
  if (dialect.parameterForms[sender] === "limit") {
    // A reader that ends first, or that goes on, holds something other than a varint.
    if (value.remaining === 0 || value.remaining !== 1 << (value.peek() >> 6)) throw invalid("it is not one varint");
    concurrencyLimit = readVarint(value);
    if (concurrencyLimit === 0) throw invalid("a limit of 0");
  } else if (value.remaining > 0) {
    throw invalid("it is not empty");
  }
  return { concurrencyLimit };
}

/** The layout of a frame type, if the dialect has one. */
export function layoutOf(dialect: Dialect, type: number): FrameLayout | undefined {
  return dialect.frames.find(({ types }) => types.some((known) => known === type));
}

/**
 * Reads a frame behind its type.
 *
 * @param layout What {@linkcode layoutOf} has for `type`.
 * @throws {TransportError} PROTOCOL_VIOLATION if it is not for this sender to send.
 * @throws {TruncatedError} If the bytes end first.
 */
export function decodeTraversalFrame(
  layout: FrameLayout,
  type: number,
  reader: Reader,
  sender: Role,
): TraversalFrame {
  if (layout.sender !== sender) {
    throw new TransportError("PROTOCOL_VIOLATION", `${layout.name} from a ${sender}`, { frameType: type });
  }
  const family = type === layout.types[0] ? 4 : 6;
  const values = { sequenceNumber: 0, round: 0, pairedWithSequenceNumber: 0 };
  let address: Address | undefined;
  for (const field of layout.fields) {
    if (field === "address") address = readAddress(reader, family);
    else values[field] = readVarint(reader);
  }
  const { sequenceNumber, round, pairedWithSequenceNumber } = values;
  if (layout.name === "REMOVE_ADDRESS") return { type: layout.name, sequenceNumber };
  if (address === undefined) throw new Error(`Layout of ${layout.name} has no address`);
  if (layout.name === "ADD_ADDRESS") return { type: layout.name, sequenceNumber, address };
  return { type: layout.name, round, pairedWithSequenceNumber, address };
}

/** Writes a frame with its type. */
export function encodeTraversalFrame(dialect: Dialect, frame: TraversalFrame, writer: Writer): void {
  const layout = layoutByName(dialect, frame.type);
  writeVarint(writer, typeOf(layout, frame));
  for (const field of layout.fields) {
    if (field !== "address") writeVarint(writer, numberOf(frame, field));
    else if (frame.type !== "REMOVE_ADDRESS") writeAddress(writer, frame.address);
  }
}

/** What {@linkcode encodeTraversalFrame} takes. */
export function traversalFrameBytes(dialect: Dialect, frame: TraversalFrame): number {
  const layout = layoutByName(dialect, frame.type);
  let bytes = varintBytes(typeOf(layout, frame));
  for (const field of layout.fields) {
    if (field !== "address") bytes += varintBytes(numberOf(frame, field));
    else if (frame.type !== "REMOVE_ADDRESS") bytes += addressFieldBytes(frame.address);
  }
  return bytes;
}

function layoutByName(dialect: Dialect, name: TraversalFrame["type"]): FrameLayout {
  const layout = dialect.frames.find((other) => other.name === name);
  if (layout === undefined) throw new Error(`Dialect ${dialect.name} has no ${name}`);
  return layout;
}

function typeOf({ types }: FrameLayout, frame: TraversalFrame): number {
  return (frame.type !== "REMOVE_ADDRESS" && frame.address.family === 6 ? types[1] : undefined) ?? types[0];
}

function numberOf(frame: TraversalFrame, field: Exclude<FrameField, "address">): number {
  switch (field) {
    case "sequenceNumber":
      return frame.type === "PUNCH_ME_NOW" ? 0 : frame.sequenceNumber;
    case "round":
      return frame.type === "PUNCH_ME_NOW" ? frame.round : 0;
    case "pairedWithSequenceNumber":
      return frame.type === "PUNCH_ME_NOW" ? frame.pairedWithSequenceNumber : 0;
  }
}

function invalid(fact: string): TransportError {
  return new TransportError("TRANSPORT_PARAMETER_ERROR", `Cannot take the parameter of NAT traversal: ${fact}`);
}
