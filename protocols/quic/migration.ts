/**
 * Moving a connection to another path, because the peer did or because we want to, and proving that a path works:
 * RFC 9000 §8.2, §9.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { usePathMtu } from "./establishment.ts";
import type { Path, PathKey } from "./path.ts";
import { decodePreferredAddress, preferredFrom } from "./preferred_address.ts";
import { INITIAL_RTT_MS } from "./rtt.ts";
import { finish } from "./termination.ts";

/** RFC 9000 §8.2.4: how many probe timeouts validation may take. */
const VALIDATION_PROBE_TIMEOUTS = 3;
/** How many probe timeouts a path that was left is kept: what was sent there may still be under way, to its connection ID. */
const ABANDON_PROBE_TIMEOUTS = 3;
/** Packets with the oldest data in flight that leave at once on a path that the connection goes back to. */
const REPEATED_PACKETS = 2;
/** How long a path is kept on which the peer was heard and which it does not use: probing and moving take seconds. */
export const UNUSED_PATH_MS = 30_000;

/**
 * Opens a path if it is new, and proves it: RFC 9000 §9.1.
 *
 * @returns Whether challenges leave now; not before the handshake is confirmed, not where the peer does not want to be
 * reached from elsewhere, and not without a connection ID for the path.
 */
export function probePath(
  parts: ConnectionParts,
  { base, remote }: PathKey,
  now: number,
  isWayBack = false,
): boolean {
  if (!mayOpenPaths(parts, remote)) return false;
  const path = parts.paths.find(base, remote) ?? openPath(parts, { base, remote });
  if (path === undefined || !claimConnectionId(parts, path)) return false;
  path.isAsked = true;
  path.isWayBack = isWayBack;
  path.abandonAt = undefined;
  startValidation(parts, path, now);
  return true;
}

/**
 * A client moves: RFC 9000 §9.2.
 *
 * @returns Whether it did. The server's address has to be a proven one: the path's own, or that of another path.
 */
export function migrate(parts: ConnectionParts, { base, remote }: PathKey, now: number): boolean {
  const { paths } = parts;
  if (!mayOpenPaths(parts, remote)) return false;
  const known = paths.find(base, remote);
  if (known === paths.active) return true;
  // RFC 9000 §9, §21.5.3: nothing but probes goes where nobody has shown to be.
  const isProvenRemote = remote === paths.active.remote ||
    paths.all.some((path) => path.remote === remote && path.isValidated);
  if (!isProvenRemote) return false;
  const path = known ?? openPath(parts, { base, remote });
  if (path === undefined || !claimConnectionId(parts, path)) return false;
  const isProven = path.isValidated;
  moveTo(parts, path, now);
  if (isProven) leavePrevious(parts, now);
  else if (!path.isValidating) startValidation(parts, path, now);
  // RFC 9000 §9.2: what is not a probe tells the server where we are.
  parts.pending.isPingDue = true;
  return true;
}

/** A client that knows of a better address of its server proves it, and moves there when it has answered: RFC 9000 §9.6. */
export function goToPreferredAddress(parts: ConnectionParts, now: number): void {
  const { handshake: { peerParameters }, paths: { active, all } } = parts;
  // HANDSHAKE_DONE may come more than once.
  if (peerParameters?.preferredAddress === undefined || all.some((path) => path.isPreferred)) return;
  const { base } = active;
  const remote = preferredFrom(decodePreferredAddress(peerParameters.preferredAddress), base, active.remote);
  if (remote === undefined || !probePath(parts, { base, remote }, now)) return;
  const path = parts.paths.find(base, remote);
  if (path !== undefined) path.isPreferred = true;
}

/** Forgets a path that is not in use and retires its connection ID: RFC 9000 §5.1.2. */
export function abandonPath(parts: ConnectionParts, { base, remote }: PathKey): void {
  const path = parts.paths.find(base, remote);
  if (path !== undefined) forget(parts, path);
}

/** A path that NAT traversal has found, ready to be moved to for a while. */
export function addProvenPath(
  parts: ConnectionParts,
  { base, remote, rttMs }: PathKey & { readonly rttMs: number },
  now: number,
): Path {
  let path = parts.paths.find(base, remote);
  if (path === undefined) {
    makeRoom(parts);
    path = parts.paths.add(base, remote, { isOurs: true });
  }
  if (path !== parts.paths.active) path.abandonAt = now + UNUSED_PATH_MS;
  path.isFound = true;
  path.rttMs = rttMs;
  return path;
}

/** A path through a relay is proven that was not in use: the connection goes back there when no other is left. */
export function addWayBack(parts: ConnectionParts, path: Path, now: number): void {
  path.abandonAt = undefined;
  // It has just been used, and need not be kept open for a while.
  parts.epoch.keptOpenAt = Math.max(parts.epoch.keptOpenAt, now);
  parts.paths.addPrevious(path);
}

/** A path turned out to be of no use: if it is in use, the connection goes back to where it was before. */
export function leavePath(parts: ConnectionParts, { base, remote }: PathKey, now: number): void {
  const path = parts.paths.find(base, remote);
  if (path === undefined) return;
  if (path === parts.paths.active) goBack(parts, now);
  path.isAsked = false;
  forget(parts, path);
}

/** A path on which the peer was heard for the first time. */
export function addPeerPath(parts: ConnectionParts, { base, remote }: PathKey, now: number): Path {
  makeRoom(parts);
  const path = parts.paths.add(base, remote, { isOurs: false });
  path.abandonAt = now + UNUSED_PATH_MS;
  return path;
}

/**
 * Has a path use a connection ID of the peer that no other path uses: RFC 9000 §9.5. Only where the peer shows by using its
 * old one that it knows of no move, a NAT having moved it, ours stays as well.
 *
 * @returns Whether it has one: without, nothing can be said on the path.
 */
export function claimConnectionId(parts: ConnectionParts, path: Path): boolean {
  const { remoteIds, paths: { active } } = parts;
  const isMovedByNat = !path.isOurs && path.base === active.base &&
    path.usedSequenceNumber === active.usedSequenceNumber;
  if (isMovedByNat && remoteIds.of(path.id) === undefined) remoteIds.share(path.id, active.id);
  return remoteIds.claim(path.id);
}

/** The peer retires an ID of ours: it has given up the path that it used it on, and ours for that path is free too. */
export function onPeerRetired(parts: ConnectionParts, sequenceNumber: number): void {
  const { active, all, previous } = parts.paths;
  for (const path of all) {
    if (path === active || path.isOurs || path.usedSequenceNumber !== sequenceNumber) continue;
    if (!previous.includes(path)) forget(parts, path);
  }
}

/** The client's newest packet came over another path: RFC 9000 §9.3. */
export function followPeer(parts: ConnectionParts, path: Path, now: number): void {
  const { paths, remoteIds } = parts;
  const previous = paths.active;
  // It was moved by a NAT and now moves by itself.
  const isOwnWill = path.usedSequenceNumber !== previous.usedSequenceNumber;
  if (isOwnWill && remoteIds.isShared(path.id, previous.id)) remoteIds.renew(path.id);
  // RFC 9000 §9.5: without an ID for the path there is no way to respond; the client, staying there, gives us one.
  if (!claimConnectionId(parts, path)) return;
  const { traversal } = parts.extensions ?? {};
  if (traversal?.isProven(path) === true) {
    path.markValidated();
    path.rttMs ??= traversal.rttMsOf(path);
  }
  const isProven = path.isValidated;
  const isReturn = paths.previous.includes(path);
  moveTo(parts, path, now);
  if (isReturn) repeatOldest(parts);
  if (isProven) leavePrevious(parts, now);
  else if (!path.isValidating) startValidation(parts, path, now);
  // RFC 9000 §9.3.3: somebody may have copied packets from off the path; the peer then answers on the old one. Where it has
  // shown before that it is here, asking once is enough.
  if (!previous.isValidating) startValidation(parts, previous, now, { isRepeated: !isProven });
}

/**
 * A client goes back to a proven path that it used before, as the one in use is silent.
 *
 * @returns Whether it did: not without a connection ID for it.
 */
export function moveBack(parts: ConnectionParts, path: Path, now: number): boolean {
  if (!claimConnectionId(parts, path)) return false;
  const silent = parts.paths.active;
  moveTo(parts, path, now);
  if (!path.isValidated && !path.isValidating) startValidation(parts, path, now);
  // What is still on its way there is taken for a while; then the path is as unknown as any other. But one that nobody would
  // find again, as that through the relay, is where to go back to when this one is silent, too.
  if (silent.isFound || !silent.isValidated) {
    parts.paths.disqualify(silent);
    abandonLater(parts, silent, now);
  }
  repeatOldest(parts);
  parts.pending.isPingDue = true;
  return true;
}

/** A PATH_RESPONSE came in: RFC 9000 §8.2.3. On which path does not matter. */
export function validatePath(parts: ConnectionParts, data: Uint8Array, now: number): void {
  const { paths } = parts;
  for (const path of paths.all) {
    const wasValidated = path.isValidated;
    if (!path.onResponse(data, now)) continue;
    const isActive = path === paths.active;
    if (isActive) {
      // RFC 9002 §6.2.2: no sample, but better than what is assumed.
      if (path.rttMs !== undefined) parts.rtt.provide(path.rttMs);
      leavePrevious(parts, now);
    }
    if (path.isAsked || (isActive && !wasValidated)) {
      path.isAsked = false;
      parts.events.push({ type: "pathValidated", base: path.base, remote: path.remote, rttMs: path.rttMs });
    }
    if (path.isWayBack && parts.extensions?.traversal !== undefined) addWayBack(parts, path, now);
    if (path.isPreferred && !isActive && !wasValidated) migrate(parts, path, now);
    return;
  }
}

/** The timer `path` rang. */
export function onPathTimeout(parts: ConnectionParts, now: number): void {
  const { paths } = parts;
  for (const path of paths.all) {
    if (path.onTimeout(now)) {
      onValidationFailed(parts, path, now);
      if (!parts.state.isOpen) return;
    }
    if (path.abandonAt !== undefined && path.abandonAt <= now) {
      path.abandonAt = undefined;
      forget(parts, path);
    }
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

function mayOpenPaths(parts: ConnectionParts, remote: Address): boolean {
  const { handshake, remoteIds, role, state } = parts;
  // RFC 9000 §9: not before the handshake is confirmed; §9.5: not towards a peer whose IDs cannot tell paths apart.
  if (!state.isConfirmed || remoteIds.isEmpty) return false;
  if (role === "server") return true;
  const { disableActiveMigration = false, preferredAddress } = handshake.peerParameters ?? {};
  if (!disableActiveMigration) return true;
  // RFC 9000 §18.2: that is asked for the address of the handshake, and not for the preferred one.
  if (preferredAddress === undefined) return false;
  const { ipv4, ipv6 } = decodePreferredAddress(preferredAddress);
  return remote === ipv4 || remote === ipv6;
}

/** A path of our own that is new. @returns `undefined` if there is no connection ID for it. */
export function openPath(parts: ConnectionParts, { base, remote }: PathKey): Path | undefined {
  if (!parts.remoteIds.hasSpare) return undefined;
  makeRoom(parts);
  return parts.paths.add(base, remote, { isOurs: true });
}

function makeRoom(parts: ConnectionParts): void {
  const { superfluous } = parts.paths;
  if (superfluous !== undefined) forget(parts, superfluous);
}

/** Forgets a path that is not in use; its connection ID is retired. */
export function forget(parts: ConnectionParts, path: Path): void {
  if (!parts.paths.remove(path)) return;
  parts.remoteIds.release(path.id);
  if (path.isAsked) parts.events.push({ type: "pathFailed", base: path.base, remote: path.remote });
}

/** Asks the peer on the path: RFC 9000 §8.2. @param options `isRepeated`: until it answers, as long as that may take. */
export function startValidation(
  parts: ConnectionParts,
  path: Path,
  now: number,
  { isRepeated }: { readonly isRepeated: boolean } = { isRepeated: true },
): void {
  const timeoutMs = VALIDATION_PROBE_TIMEOUTS * Math.max(parts.loss.ptoMs, 3 * INITIAL_RTT_MS);
  path.startValidation({ intervalMs: isRepeated ? parts.loss.ptoMs : timeoutMs, timeoutMs }, now);
}

function onValidationFailed(parts: ConnectionParts, path: Path, now: number): void {
  const { paths } = parts;
  const { isAsked } = path;
  path.isAsked = false;
  // One that was proven before and is only asked again stays what it was: the idle timeout is the judge of silence.
  if (path.isValidated) {
    if (isAsked) parts.events.push({ type: "pathFailed", base: path.base, remote: path.remote });
    return;
  }
  if (path === paths.active) {
    if (!goBack(parts, now)) {
      // RFC 9000 §8.2.4: a client whose base is gone waits for a path to become available; the idle timeout ends that.
      if (parts.role === "client") return startValidation(parts, path, now);
      // RFC 9000 §9.3.2: without a path there is nobody to tell.
      return finish(parts, { by: "transport", code: 0x10, reason: "The peer does not answer on its new path" });
    }
    path.isAsked = true;
  } else {
    path.isAsked = isAsked;
    // The way back of a client that has come to another base: it may work later, and there is no other.
    if (paths.previous.includes(path)) return;
  }
  forget(parts, path);
}

/** RFC 9000 §9.3.2. @returns Whether there was a path to go back to. */
function goBack(parts: ConnectionParts, now: number): boolean {
  const { paths, remoteIds } = parts;
  const failed = paths.active;
  if (!paths.goBack()) return false;
  const path = paths.active;
  // The peer may have taken back the ID meanwhile; better the same one twice than none.
  if (!remoteIds.claim(path.id)) remoteIds.share(path.id, failed.id);
  remoteIds.use(path.id);
  path.abandonAt = undefined;
  changePath(parts, failed, now);
  // The server follows what is not a probe.
  if (parts.role === "client") parts.pending.isPingDue = true;
  return true;
}

function moveTo(parts: ConnectionParts, path: Path, now: number): void {
  const { extensions, paths, remoteIds } = parts;
  const previous = paths.active;
  // The way back through a relay, on a base that is new: the direct path may be found before it is proven.
  const isWayBack = extensions?.traversal !== undefined && previous.isOurs && previous.isValidating;
  abandonLater(parts, paths.use(path, isWayBack), now);
  remoteIds.use(path.id);
  path.abandonAt = undefined;
  path.isAsked = false;
  path.usedSince = now;
  changePath(parts, previous, now);
}

/** The path that was left did not work: what it carried last is repeated, as at a probe timeout (RFC 9002 §6.2.4). */
export function repeatOldest({ loss, mtu, spaces, streams }: ConnectionParts): void {
  if (!loss.hasAckElicitingInFlight) return;
  spaces.Application.requestProbes(REPEATED_PACKETS);
  streams.probe(mtu.currentBytes);
}

/** The path in use is proven: there is no need to go back, unless it is one that NATs on the way may close again. */
function leavePrevious(parts: ConnectionParts, now: number): void {
  if (parts.extensions?.traversal !== undefined) return;
  for (const path of parts.paths.forgetPrevious()) abandonLater(parts, path, now);
}

function abandonLater(parts: ConnectionParts, path: Path | undefined, now: number): void {
  if (path !== undefined) path.abandonAt = now + ABANDON_PROBE_TIMEOUTS * Math.max(parts.loss.ptoMs, path.rttMs ?? 0);
}

/** RFC 9000 §9.4: what was learnt of the old path does not hold on the new one, unless only the port differs. */
function changePath(parts: ConnectionParts, previous: Path, now: number): void {
  const path = parts.paths.active;
  const isSamePlace = path.base === previous.base && path.remote.host === previous.remote.host;
  if (!isSamePlace) {
    if (parts.rtt.firstSampleAt !== undefined) previous.rttMs = parts.rtt.smoothedMs;
    const id = ++parts.epoch.id;
    parts.congestion.reset();
    parts.pacer.reset();
    // RFC 9002 §6.2.2: what its validation has measured is the best guess, and no sample.
    parts.rtt.reset(path.rttMs ?? INITIAL_RTT_MS);
    parts.loss.onPathChanged(id, now);
  } else if (previous.mtu !== undefined) path.mtu ??= previous.mtu;
  usePathMtu(parts);
  parts.events.push({ type: "pathChanged", base: path.base, remote: path.remote });
}
