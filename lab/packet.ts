/**
 * A packet of the virtual network: a UDP datagram or a segment of a stream, with the addresses it carries at this moment
 * (a NAT passes on another packet with the same number).
 *
 * @module
 */

import type { Address } from "../protocols/core/address.ts";

/** What every packet has. */
export interface PacketHeader {
  /** Number of the packet in the network, from 1; translated and duplicated packets keep it. */
  readonly id: number;
  readonly source: Address;
  readonly destination: Address;
  /** Size on the wire with IP and transport headers, in bytes. */
  readonly bytes: number;
}

/** A UDP datagram; the payload is owned by the network and never written. */
export interface UdpPacket extends PacketHeader {
  readonly protocol: "udp";
  readonly payload: Uint8Array;
}

/** What a segment of a stream does. */
export type SegmentType = "SYN" | "SYN-ACK" | "DATA" | "ACK" | "FIN" | "RST";

/** A segment of a stream: numbers count segments, not bytes. */
export interface TcpPacket extends PacketHeader {
  readonly protocol: "tcp";
  readonly type: SegmentType;
  /** Number of a DATA or FIN segment in its direction, from 0. */
  readonly sequence: number;
  /** The lowest number the sender has not received: everything before is acknowledged. */
  readonly acknowledged: number;
  readonly payload: Uint8Array;
}

/** What travels on a link. */
export type Packet = UdpPacket | TcpPacket;

/** Bytes of IP and UDP headers: RFC 791 §3.1, RFC 8200 §3, RFC 768. */
export function udpHeaderBytes(family: 4 | 6): number {
  return family === 4 ? 28 : 48;
}

/** Bytes of IP and TCP headers with the timestamp option every system sends: RFC 9293 §3.1, RFC 7323 §3. */
export function tcpHeaderBytes(family: 4 | 6): number {
  return family === 4 ? 52 : 72;
}
