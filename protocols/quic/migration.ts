/**
 * Moving a connection to another path because the peer did, and proving that the peer is there: RFC 9000 §8.2, §9.
 *
 * @module
 */

import type { ConnectionParts } from "./connection_parts.ts";
import type { Path } from "./path.ts";
import { useDatagramSize } from "./establishment.ts";
import { INITIAL_RTT_MS } from "./rtt.ts";
import { finish } from "./termination.ts";

/** RFC 9000 §8.2.4: how many probe timeouts validation may take. */
const VALIDATION_PROBE_TIMEOUTS = 3;

/**
 * The peer's newest packet came over another path: RFC 9000 §9.3.
 *
 * @param usedSequenceNumber Of the connection ID of ours that the packet was addressed to.
 */
export function migrate(parts: ConnectionParts, path: Path, usedSequenceNumber: number, now: number): void {
  const previous = parts.paths.active;
  parts.paths.migrate(path);
  // RFC 9000 §9.5: a peer that moved by its own will has taken a fresh ID, and gets one; after a NAT's doing the old one
  // stays, as the peer knows of nothing.
  if (usedSequenceNumber > parts.epoch.peerUsesSequenceNumber) {
    parts.epoch.peerUsesSequenceNumber = usedSequenceNumber;
    parts.remoteIds.advance();
  }
  if (!path.isValidated && !path.isValidating) startValidation(parts, path, now);
  // RFC 9000 §9.3.3: somebody may have copied packets from off the path; the peer then answers on the old one.
  if (!previous.isValidating) startValidation(parts, previous, now);
  changePath(parts, previous);
}

/** A PATH_RESPONSE came in: RFC 9000 §8.2.3. On which path does not matter. */
export function validatePath(parts: ConnectionParts, data: Uint8Array): void {
  for (const path of parts.paths.all) {
    const wasValidated = path.isValidated;
    if (!path.onResponse(data)) continue;
    parts.paths.onValidated(path);
    if (path === parts.paths.active && !wasValidated) {
      parts.events.push({ type: "pathValidated", base: path.base, remote: path.remote });
    }
    return;
  }
}

/** The timer `path` rang. */
export function onPathTimeout(parts: ConnectionParts, now: number): void {
  for (const path of parts.paths.all) {
    if (!path.onTimeout(now)) continue;
    const previous = parts.paths.active;
    if (!parts.paths.onValidationFailed(path)) {
      // RFC 9000 §9.3.2: without a path there is nobody to tell.
      return finish(parts, { by: "transport", code: 0x10, reason: "The peer does not answer on its new path" });
    }
    if (parts.paths.active !== previous) changePath(parts, previous);
  }
}

/** When the timer `path` has to ring. */
export function pathTimeoutAt(parts: ConnectionParts): number | undefined {
  let first: number | undefined;
  for (const path of parts.paths.all) {
    const at = path.timeoutAt;
    if (at !== undefined && (first === undefined || at < first)) first = at;
  }
  return first;
}

function startValidation(parts: ConnectionParts, path: Path, now: number): void {
  const intervalMs = Math.max(parts.loss.ptoMs, 3 * INITIAL_RTT_MS);
  path.startValidation({ intervalMs: parts.loss.ptoMs, timeoutMs: VALIDATION_PROBE_TIMEOUTS * intervalMs }, now);
}

/** RFC 9000 §9.4: what was learnt of the old path does not hold on the new one, unless only the port differs. */
function changePath(parts: ConnectionParts, previous: Path): void {
  const path = parts.paths.active;
  const isSamePlace = path.base === previous.base && path.remote.host === previous.remote.host;
  if (!isSamePlace) {
    const id = ++parts.epoch.id;
    parts.congestion.reset();
    parts.pacer.reset();
    parts.rtt.reset();
    parts.loss.onPathChanged(id);
  }
  useDatagramSize(parts);
  parts.events.push({ type: "pathChanged", base: path.base, remote: path.remote });
}
