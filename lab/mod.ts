/**
 * The virtual network as a library: hosts, links and NATs in virtual time, from one seed.
 *
 * Machines run on a {@linkcode VirtualHost} with the same `Driver` as on real sockets. Here two peers are 155 ms apart, each
 * 77.5 ms from a server, and each behind a NAT of its own:
 *
 * ```ts
 * import { VirtualNetwork } from "./mod.ts";
 *
 * const net = new VirtualNetwork({ seed: 1 });
 * const server = net.host("server");
 * const [a, b] = ["a", "b"].map((name) =>
 *   net.host(name, { behind: net.nat({ mapping: "EIM", filtering: "ADF" }), rttToCoreMs: 77.5 })
 * );
 * // new Driver(machine, a, onEvent); a.bind(a.address(0)); driver.drain(); …
 * net.run({ until: 1000 });
 * ```
 *
 * @module
 */

export { type ScheduledEvent, VirtualClock } from "./clock.ts";
export { type FirewallOptions, VirtualFirewall } from "./firewall.ts";
export {
  type DeadEnd,
  type FailureOptions,
  type InterfaceOptions,
  VirtualHost,
  type VirtualHostOptions,
  type VirtualInterface,
} from "./host.ts";
export { Link, type LinkOptions } from "./link.ts";
export { type NatBehaviour, type NatFiltering, type NatMapping, type NatMappingView, type NatOptions } from "./nat.ts";
export { VirtualNat } from "./nat.ts";
export type { PortAllocation } from "./nat_ports.ts";
export {
  type AttachmentOptions,
  type HostOptions,
  MAX_EVENTS,
  type RunOptions,
  VirtualNetwork,
  type VirtualNetworkOptions,
} from "./network.ts";
export {
  type ChannelHandler,
  MAX_MESSAGE_BYTES,
  openChannel,
  serveChannels,
  type VirtualChannel,
} from "./message_channel.ts";
export { type DrivenMachine, MessageDriver, serveMessages } from "./message_driver.ts";
export type { Packet, TcpPacket, UdpPacket } from "./packet.ts";
export { SeededRandom } from "./random.ts";
export { type CloseReason, type StreamHandler, VirtualStream } from "./stream.ts";
export { type Accept, type StreamListener, StreamStack } from "./stream_stack.ts";
export type { AccessOptions, Subnet } from "./subnet.ts";
export { type DropReason, type PacketEvent, Trace, type TraceOptions } from "./trace.ts";
