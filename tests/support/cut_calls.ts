/**
 * Calls of each transport in which one side stops without a word after so many packets.
 *
 * @module
 */

import type { VirtualHost, VirtualNetwork } from "../../lab/mod.ts";
import type { TraversalEvent } from "../../transports/traversal.ts";
import { AutoWorld, CALL_AT as AUTO_CALL_AT } from "./auto_world.ts";
import { CALL_AT as NATIVE_CALL_AT, NativeWorld } from "./native_world.ts";
import { CALL_AT, World } from "./virtual_world.ts";

/**
 * Longest that anybody waits for a peer that has stopped: the idle timeout of 30 s, which begins anew with the first PING that
 * finds nobody there (RFC 9000 §10.1, §10.1.2), up to 15 s later.
 */
export const MAX_END_MS = 46_000;

/** What a peer shows. */
interface CutPeer {
  readonly happened: readonly { readonly at: number; readonly event: TraversalEvent }[];
  readonly machine: { readonly tableSizes: Readonly<Record<string, number>> };
  close(): void;
}

interface CutWorld {
  readonly net: VirtualNetwork;
  readonly a: VirtualHost;
  readonly b: VirtualHost;
  /** Hub, STUN server, relay: whatever there is. */
  readonly server: VirtualHost;
  readonly callAt: number;
  readonly listener: CutPeer;
  dial(): CutPeer;
  readonly isAnswered: () => boolean;
}

/** What a call has in tables while it is under way. */
const CALL_TABLES = ["calls", "handshakes", "halfOpen", "sessions", "usernames"];

/** By name, a world in which `a` calls `b`. */
export const CUT_WORLDS: Readonly<Record<string, (seed: number) => CutWorld>> = {
  "ice-then-quic": (seed) => {
    const world = new World({ seed, trace: { keepEvents: true } });
    const listener = world.listen();
    return {
      ...{ net: world.net, a: world.a, b: world.b, server: world.server, callAt: CALL_AT, listener },
      dial: () => world.dial(),
      isAnswered: () => world.echo.returned === "hello",
    };
  },
  "quic-native": (seed) => {
    const world = new NativeWorld({ seed, trace: { keepEvents: true } });
    return {
      ...{ net: world.net, a: world.a, b: world.b, server: world.relay.host, callAt: NATIVE_CALL_AT },
      listener: world.listener,
      dial: () => world.dial(),
      isAnswered: () => world.returned === "hello",
    };
  },
  "auto": (seed) => {
    const world = new AutoWorld({ seed, trace: { keepEvents: true } });
    return {
      ...{ net: world.net, a: world.a, b: world.b, server: world.relayHosts[0]!, callAt: AUTO_CALL_AT },
      listener: world.listener,
      dial: () => world.dial(),
      isAnswered: () => world.echo.returned === "hello",
    };
  },
};

/** How a call ended for the side that went on. */
export interface CutOutcome {
  /** Whether the side that stops has sent fewer packets than it was to; then there is nothing behind it to cut. */
  readonly isWhole: boolean;
  readonly isAnswered: boolean;
  /** Whether the request was answered in the end. */
  readonly isAnsweredLater: boolean;
  /** From when the other stopped, until this side said that it is over; `undefined` if it never did. */
  readonly endMs: number | undefined;
  /** What it said. */
  readonly message: string | undefined;
  /** Tables of calls that are not empty then, before anything is closed. */
  readonly held: readonly string[];
  /** Tables that are not empty once it is closed. */
  readonly left: readonly string[];
}

/** Calls, and cuts the power of one side, or of the server between them, when it has sent `packets` packets since. */
export function cutCall(transport: string, side: "caller" | "listener" | "server", packets: number): CutOutcome {
  const world = CUT_WORLDS[transport]?.(7);
  if (world === undefined) throw new RangeError(`There is no world for ${transport}`);
  const { net, callAt } = world;
  net.run({ until: callAt });
  const host = { caller: world.a, listener: world.b, server: world.server }[side];
  let [read, sent] = [net.trace.events.length, 0];
  const hasSent = (): boolean => {
    const { events } = net.trace;
    for (; read < events.length; read++) if (events[read]!.type === "sent" && events[read]!.where === host.name) sent++;
    return sent >= packets;
  };
  const caller = world.dial();
  const other = side === "caller" ? world.listener : caller;
  net.run({ until: callAt + 3000, stopWhen: hasSent });
  const isWhole = !hasSent();
  const isAnswered = world.isAnswered();
  host.hasPower = false;
  const cutAt = net.now;
  net.run({ until: cutAt + MAX_END_MS });
  const end = other.happened.find(({ event }) => messageOf(event) !== undefined);
  const isAnsweredLater = world.isAnswered();
  const held = notEmpty(other).filter((table) => CALL_TABLES.includes(table));
  other.close();
  net.run({ until: net.now + 60_000 });
  return {
    isWhole,
    isAnswered,
    isAnsweredLater,
    endMs: end === undefined ? undefined : end.at - cutAt,
    message: end === undefined ? undefined : messageOf(end.event),
    held,
    left: notEmpty(other),
  };
}

function notEmpty({ machine }: CutPeer): string[] {
  return Object.entries(machine.tableSizes).filter(([, size]) => size > 0).map(([table]) => table);
}

function messageOf(event: TraversalEvent): string | undefined {
  if (event.type === "failed") return event.message;
  return event.type === "connection" && event.event.type === "closed"
    ? `closed by ${event.event.by}: ${event.event.reason}`
    : undefined;
}
