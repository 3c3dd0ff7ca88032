/**
 * The interfaces of this machine, as far as the permissions allow, on any runtime. Under Deno addresses need
 * `--allow-sys=networkInterfaces`. Which interface leads out is in Linux's routing table, which Deno shows to `--allow-all`
 * only; without it every interface that is neither loopback nor link-local counts as leading out. (The other way, asking the
 * kernel through a connected socket, is not open: Deno's sockets do not connect, and its `node:dgram` only pretends to.)
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { platform } from "node:process";
import { addressOf } from "../protocols/core/address.ts";
import type { NetworkInterface } from "./host.ts";

/** The interfaces, and what is missing. */
export interface InterfaceReport {
  readonly interfaces: readonly NetworkInterface[];
  /** One sentence for each thing that could not be found out, with the flag that would help. */
  readonly missing: readonly string[];
}

/** Reads the interfaces. Never throws: without permission there are none, and `missing` says so. */
export function readInterfaces(): InterfaceReport {
  let found: ReturnType<typeof networkInterfaces>;
  try {
    found = networkInterfaces();
  } catch (error) {
    const isForbidden = error instanceof Error && error.name === "NotCapable";
    const reason = isForbidden ? "allow it with --allow-sys=networkInterfaces" : `${error}`;
    return { interfaces: [], missing: [`Cannot list network interfaces: ${reason}`] };
  }
  const routed = { IPv4: readDefaultRoutes("IPv4"), IPv6: readDefaultRoutes("IPv6") };
  const interfaces: NetworkInterface[] = [];
  const addresses = Object.entries(found).flatMap(([name, infos]) => (infos ?? []).map((info) => ({ name, info })));
  for (const { name, info } of addresses) {
    const { family, address } = info;
    const isLinkLocal = /^(?:fe[89ab]|169\.254\.)/i.test(address);
    const isLoopback = address === "::1" || address.startsWith("127.");
    // Windows knows zones by number, others by name as well.
    const zone = isLinkLocal && info.family === "IPv6" ? `%${platform === "win32" ? info.scopeid : name}` : "";
    interfaces.push({
      name,
      address: addressOf(address + zone, 0),
      isLoopback,
      hasDefaultRoute: !isLoopback && !isLinkLocal && (routed[family]?.has(name) ?? true),
    });
  }
  const missing = routed.IPv4 === undefined
    ? ["Cannot tell which interfaces lead to the Internet: the routing table is not readable"]
    : [];
  return { interfaces, missing };
}

/** Names of the interfaces that a default route goes through; `undefined` where that cannot be read. */
function readDefaultRoutes(family: "IPv4" | "IPv6"): ReadonlySet<string> | undefined {
  if (platform !== "linux") return undefined;
  try {
    return family === "IPv4"
      ? parseIpv4Routes(readFileSync("/proc/net/route", "utf8"))
      : parseIpv6Routes(readFileSync("/proc/net/ipv6_route", "utf8"));
  } catch {
    return undefined;
  }
}

const RTF_UP = 0x1;
const RTF_REJECT = 0x200;

/** Columns: interface, destination, gateway, flags, …, mask at 7; all in hexadecimal. */
export function parseIpv4Routes(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const line of text.split("\n").slice(1)) {
    const [name, destination, , flags, , , , mask] = line.split("\t");
    if (name === undefined || destination !== "00000000" || mask !== "00000000") continue;
    if (isUsable(flags)) names.add(name);
  }
  return names;
}

/** Columns: destination, its prefix length, source, its prefix length, next hop, metric, counts, flags, interface. */
export function parseIpv6Routes(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const line of text.split("\n")) {
    const [destination, prefixLength, , , , , , , flags, name] = line.trim().split(/\s+/);
    if (name === undefined || prefixLength !== "00" || !/^0{32}$/.test(destination ?? "")) continue;
    if (name !== "lo" && isUsable(flags)) names.add(name);
  }
  return names;
}

function isUsable(flags: string | undefined): boolean {
  const bits = parseInt(flags ?? "", 16);
  return (bits & RTF_UP) !== 0 && (bits & RTF_REJECT) === 0;
}
