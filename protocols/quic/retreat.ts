/**
 * Back to a path that is known to work, when the direct one that NAT traversal has found goes silent. NATs forget, and
 * neither end is told. Only the client moves (RFC 9000 §9):
 *
 * - a client whose data is not acknowledged does so at its second probe timeout;
 * - a server, at its second probe timeout, asks on the paths used before; a client that is asked there, while the path in
 *   use does not work in both directions, moves. Whether its own packets get through it knows by acknowledgements only.
 *
 * The second probe timeout of a packet that is sent alone comes three probe timeouts after it. As every further packet puts
 * it off (RFC 9002 §6.2.1), that time is counted here from the oldest packet that is not acknowledged.
 *
 * Then a direct path is looked for anew. Until it is needed, the client keeps the way back open through its own NAT, as often
 * as it keeps the connection alive. Without NAT traversal nothing of this happens: paths that were left are forgotten.
 *
 * @module
 */

import type { ConnectionParts } from "./connection_parts.ts";
import { moveBack, startValidation } from "./migration.ts";
import type { Path } from "./path.ts";

/** A probe timeout, and a second one of twice its length. */
const RETREAT_PROBE_TIMEOUTS = 3;
/** How many probe timeouts after a move the server may still ask on the old path because of it: RFC 9000 §9.3.3. */
const GRACE_PROBE_TIMEOUTS = 3;
/** How many probe timeouts ago a packet must have left at most, whose acknowledgement shows that the peer hears us. */
const ANSWERED_PROBE_TIMEOUTS = 2;

/** When `onRetreatTimeout` has something to do. */
export function retreatTimeoutAt(parts: ConnectionParts): number | undefined {
  const { extensions, paths, state } = parts;
  if (extensions?.traversal === undefined || paths.previous.length === 0 || !state.isConfirmed) return undefined;
  const silentAt = retreatAt(parts);
  const keepOpenAt = nextKeepOpenAt(parts);
  return silentAt === undefined ? keepOpenAt : Math.min(silentAt, keepOpenAt ?? Infinity);
}

/** When the path in use has been silent for too long; `undefined` if nothing waits for an answer. */
function retreatAt({ epoch, loss }: ConnectionParts): number | undefined {
  const { unansweredSince } = loss;
  if (unansweredSince === undefined) return undefined;
  return Math.max(unansweredSince, epoch.askedElsewhereAt) + RETREAT_PROBE_TIMEOUTS * loss.ptoMs;
}

/** Does what is to be done then; early calls are harmless. */
export function onRetreatTimeout(parts: ConnectionParts, now: number): void {
  const { epoch, paths, role } = parts;
  if (now >= (nextKeepOpenAt(parts) ?? Infinity)) {
    epoch.keptOpenAt = now;
    for (const path of paths.previous) {
      if (path.isValidated) path.keepAlive();
      else if (!path.isValidating) startValidation(parts, path, now);
    }
  }
  if (now < (retreatAt(parts) ?? Infinity)) return;
  if (role === "server") {
    epoch.askedElsewhereAt = now;
    for (const path of paths.previous) if (!path.isValidating) startValidation(parts, path, now);
  } else if (paths.fallback !== undefined) {
    retreat(parts, paths.fallback, now);
  }
}

/** `undefined` on a server, which is not behind the NAT of the relayed path, and where nothing is kept alive. */
function nextKeepOpenAt({ epoch, paths, role, settings: { keepAliveMs } }: ConnectionParts): number | undefined {
  if (role === "server" || keepAliveMs === undefined) return undefined;
  return Math.max(epoch.keptOpenAt, paths.active.usedSince) + keepAliveMs;
}

/** PATH_CHALLENGE came in on a path that is not in use. */
export function onChallengeElsewhere(parts: ConnectionParts, path: Path, now: number): void {
  const { extensions, loss, paths, role } = parts;
  if (extensions?.traversal === undefined || role === "server" || !paths.previous.includes(path)) return;
  const { active } = paths;
  const { ptoMs } = loss;
  if (now - active.usedSince < GRACE_PROBE_TIMEOUTS * ptoMs) return;
  const isHeard = now - active.heardAt < ptoMs;
  const isAnswered = now - loss.newestAckedSentAt < ANSWERED_PROBE_TIMEOUTS * ptoMs;
  if (!isHeard || !isAnswered) retreat(parts, path, now);
}

function retreat(parts: ConnectionParts, path: Path, now: number): void {
  if (!moveBack(parts, path, now)) return;
  parts.loss.resetBackoff();
  parts.extensions?.traversal?.restart(now);
}
