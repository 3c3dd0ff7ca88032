/**
 * Where NAT traversal and the paths of the connection meet: connection IDs of probes, what a found path becomes, and what
 * comes in from addresses that are nobody's path yet (draft-seemann-quic-nat-traversal-02 §4.3, RFC 9000 §9).
 *
 * @module
 */

import type { ConnectionParts } from "./connection_parts.ts";
import { addProvenPath, addWayBack, leavePath } from "./migration.ts";
import { Path } from "./path.ts";
import type { PathKey } from "./path.ts";
import type { Probe } from "./nat_traversal/traversal.ts";

/** Number of a path that is none of the connection's. */
const STRANGER_ID = -1;

/** Probed paths have connection IDs of the peer under numbers that no path of the connection has. */
function numberOf(probedPathId: number): number {
  return STRANGER_ID - 1 - probedPathId;
}

/** Whether a path is not one of the connection's: only probes are heard there, and NAT traversal answers them. */
export function isStranger(path: Path): boolean {
  return path.id === STRANGER_ID;
}

/**
 * What a packet of probing frames from an unknown address comes in on.
 *
 * @returns `undefined` if none is expected from there.
 */
export function strangerAt(parts: ConnectionParts, { base, remote }: PathKey, now: number): Path | undefined {
  if (parts.extensions?.traversal?.acceptsFrom(base, now) !== true) return undefined;
  return new Path(STRANGER_ID, { base, remote }, { isValidated: false });
}

/** The next probe, with the connection ID that it goes to. */
export function nextProbe(
  parts: ConnectionParts,
  now: number,
): { readonly probe: Probe; readonly connectionId: Uint8Array } | undefined {
  const { extensions, remoteIds, counters, paths } = parts;
  const traversal = extensions?.traversal;
  if (traversal === undefined) return undefined;
  // Each turn of the loop uses up a probe, of which there are as many as paths are probed.
  for (;;) {
    // RFC 9000 §9.5: IDs without length do not tell paths apart, so nothing is sent on any but the one in use.
    const hasFreshId = remoteIds.hasSpare && !remoteIds.isEmpty;
    const probe = traversal.pollProbe(now, { hasFreshId, receivedBytes: counters.receivedBytes });
    if (probe === undefined) return undefined;
    const number = numberOf(probe.id);
    const path = paths.find(probe.base, probe.remote);
    if (path !== undefined && remoteIds.of(number) === undefined) remoteIds.share(number, path.id);
    remoteIds.claim(number);
    const connectionId = remoteIds.of(number);
    // The peer may have taken back the ID that the path had: what was due on it is lost, like a datagram.
    if (connectionId !== undefined) return { probe, connectionId };
  }
}

/** A path of the connection that has been probed: it goes on with the connection ID and the proof that it has. */
export function adoptProbedPath(parts: ConnectionParts, path: Path): void {
  const traversal = parts.extensions?.traversal;
  const id = traversal?.probedPathId(path);
  if (traversal === undefined || id === undefined) return;
  // One that the path has already stays: the peer knows it there.
  if (parts.remoteIds.of(path.id) === undefined) parts.remoteIds.share(path.id, numberOf(id));
  if (traversal.isProven(path)) path.markValidated();
  path.rttMs ??= traversal.rttMsOf(path);
}

/** The path in use may be this very one, if the client was faster with its move than with its answer. */
function adoptWayBack(parts: ConnectionParts, found: PathKey & { readonly rttMs: number }, now: number): void {
  const path = addProvenPath(parts, found, now);
  adoptProbedPath(parts, path);
  addWayBack(parts, path, now);
}

/** Passes on what NAT traversal has to tell; to be called after everything that it was told. */
export function readTraversal(parts: ConnectionParts, now: number): void {
  const traversal = parts.extensions?.traversal;
  if (traversal === undefined) return;
  // RFC 9000 §9: nobody moves before the handshake is confirmed, so nobody is told of a path to move to.
  if (parts.state.isConfirmed) {
    for (let event = traversal.pollEvent(); event !== undefined; event = traversal.pollEvent()) {
      if (event.type === "pathFound") adoptProbedPath(parts, addProvenPath(parts, event, now));
      else if (event.type === "wayBackFound") adoptWayBack(parts, event, now);
      else if (event.type === "pathFailed") leavePath(parts, event, now);
      parts.events.push(event);
    }
  }
  for (let id = traversal.pollReleased(); id !== undefined; id = traversal.pollReleased()) {
    parts.remoteIds.release(numberOf(id));
  }
}
