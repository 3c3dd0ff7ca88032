/**
 * A base of ours is gone, and every path on it with it: a changed address, a cable that was pulled. A client goes on from
 * another base (RFC 9000 §9.2). A server cannot move (RFC 9000 §9): it asks on the paths used before, as when the one in use
 * is silent, and a client that takes part in NAT traversal comes there.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { claimConnectionId, forget, migrate, openPath, repeatOldest, startValidation } from "./migration.ts";
import type { Path } from "./path.ts";
import { finish } from "./termination.ts";

/** RFC 9000 §20.1. */
const NO_VIABLE_PATH = 0x10;

/**
 * Leaves `gone`. May be called again while the path in use is there: there was no base to go to, or no connection ID.
 *
 * @param left Bases to go on from, most preferred first.
 */
export function leaveBase(parts: ConnectionParts, gone: Base, left: readonly Base[], now: number): void {
  const { paths, role, state } = parts;
  if (!state.isOpen) return;
  paths.loseBase(gone);
  if (role === "client") {
    if (paths.active.base === gone) moveOn(parts, left, now);
    if (paths.active.base === gone) {
      // RFC 9000 §9: nobody moves before the handshake is confirmed, and the peer's word that it is goes to where we were.
      if (left.length > 0 && state.isEstablished && !state.isConfirmed) {
        const reason = "The network has changed before the peer confirmed the handshake; try again";
        finish(parts, { by: "transport", code: NO_VIABLE_PATH, reason });
      }
      // Otherwise what is known of the peer stays: it is all there is to go on with when there is another base.
      return;
    }
    for (const path of paths.previous) if (path.base === gone) keepWayBack(parts, path, left, now);
  }
  for (const path of paths.all) if (path.base === gone) forget(parts, path);
  if (role === "server" && paths.active.base === gone) {
    parts.epoch.askedElsewhereAt = now;
    for (const path of paths.previous) if (!path.isValidating) startValidation(parts, path, now);
  }
}

/**
 * The same remote address first. With NAT traversal, those used before it: what leads there opened no NAT of the peer's for
 * an address that is new, and a relay needs none.
 */
function moveOn(parts: ConnectionParts, left: readonly Base[], now: number): void {
  const { paths: { active, previous }, extensions } = parts;
  const earlier = previous.map(({ remote }) => remote);
  const remotes = extensions?.traversal === undefined ? [active.remote, ...earlier] : [...earlier, active.remote];
  for (const remote of remotes) {
    const base = baseFor(remote, left);
    if (base === undefined || !migrate(parts, { base, remote }, now)) continue;
    repeatOldest(parts);
    return;
  }
}

/** The path in use is on another base, and the way back was on this one: it is opened anew, and proved. */
function keepWayBack(parts: ConnectionParts, path: Path, left: readonly Base[], now: number): void {
  const base = baseFor(path.remote, left);
  if (base === undefined) return;
  const key = { base, remote: path.remote };
  const replacement = parts.paths.find(base, path.remote) ?? openPath(parts, key);
  if (replacement === undefined || replacement === parts.paths.active) return;
  parts.paths.replacePrevious(path, replacement);
  replacement.abandonAt = undefined;
  if (claimConnectionId(parts, replacement)) startValidation(parts, replacement, now);
}

function baseFor(remote: Address, left: readonly Base[]): Base | undefined {
  return left.find(({ local }) => local.family === remote.family);
}
