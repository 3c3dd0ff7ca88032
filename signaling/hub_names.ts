/**
 * What a hub is called: the `host[:port]` that records and offers are bound to, and the STUN server that goes with it.
 *
 * @module
 */

/** UDP port of a STUN server (RFC 8489 §18.6), where a hub's own is looked for unless it says otherwise. */
export const DEFAULT_STUN_PORT = 3478;

/** `HOST:PORT` of the STUN server by convention: on the hub's own host. */
export function conventionalStunServer(hub: string): string {
  return `${hostOf(hub)}:${DEFAULT_STUN_PORT}`;
}

/** A STUN server as a hub names it, with the hub's own host where it names none. */
export function resolveStunServer(server: string, hub: string): string {
  return server.startsWith(":") ? hostOf(hub) + server : server;
}

function hostOf(hub: string): string {
  const colon = hub.lastIndexOf(":");
  return colon > hub.lastIndexOf("]") ? hub.slice(0, colon) : hub;
}
