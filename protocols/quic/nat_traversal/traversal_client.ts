/**
 * The client's end of NAT traversal (draft-seemann-quic-nat-traversal-02 §4.2, §4.3): it hears the server's addresses, pairs
 * them with its own, asks the server for probes in rounds, probes at the same time, and says which path has been found.
 *
 * A round is formed when there is something to ask and something is polled, so that all that came in one datagram counts. It
 * takes up new pairs as long as the server's limit allows; beyond that, pairs wait for the next round, which cancels what the
 * server does for this one and therefore does not begin too soon.
 *
 * @module
 */

import type { Address } from "../../core/address.ts";
import type { LocalCandidate } from "../../core/candidate.ts";
import type { Base } from "../../core/machine.ts";
import type { Writer } from "../../core/writer.ts";
import { Fifo } from "../fifo.ts";
import { encodeTraversalFrame, traversalFrameBytes } from "./dialect.ts";
import type { Dialect, PunchMeNowFrame, TraversalFrame } from "./dialect.ts";
import { PairTable } from "./pair_table.ts";
import type { Pair } from "./pair_table.ts";
import { compareRanks } from "./pairing.ts";
import type { PairRank } from "./pairing.ts";
import { ConnectionBudget } from "./probe_budget.ts";
import type { ProbedPath } from "./probed_path.ts";
import { Prober } from "./prober.ts";
import type {
  NatTraversal,
  PathKey,
  Probe,
  ProbeLeave,
  TraversalCounts,
  TraversalEvent,
  TraversalSetup,
} from "./traversal.ts";

/** Requests in a round, whatever the server allows: each may need a connection ID of the server's. */
export const MAX_REQUESTS = 16;
/** From one round to the next if pairs wait for their turn: eight of nine probes have left, the server's begin later. */
export const MIN_ROUND_MS = 2500;
/** How long after its last request a round is open: the whole schedule of probes of both ends, and a way there and back. */
export const ROUND_MS = 7000;
/**
 * From the end of the first round without a path to the second, and of any other to the next: as often as the budget of a
 * target allows a whole schedule of probes.
 */
export const FIRST_PAUSE_MS = 5000;
export const PAUSE_MS = 60_000;
/** Paths that are remembered to have disappointed; one more forgets the oldest. */
const MAX_DOUBTFUL_PATHS = 64;
/** A path is clearly faster than another if it takes less than this share of its time, and is this much less. */
const FASTER_SHARE = 0.8;
const FASTER_BY_MS = 5;

interface Request {
  readonly pair: Pair;
  readonly frame: PunchMeNowFrame;
  /** Whether it has been sent before, and was lost. */
  readonly isRepeated: boolean;
}

/** The round under way. */
interface Round {
  readonly number: number;
  readonly startedAt: number;
  /** Pairs that were asked for. */
  readonly pairs: Set<Pair>;
  /** Requests to be sent, be it again. */
  due: Request[];
  endsAt: number;
}

interface Found {
  readonly path: ProbedPath;
  readonly rank: PairRank;
  readonly rttMs: number;
}

/** The client's end. */
export class TraversalClient implements NatTraversal {
  readonly #dialect: Dialect;
  readonly #limit: number;
  readonly #prober: Prober;
  readonly #table: PairTable;
  readonly #events = new Fifo<TraversalEvent>();
  #round: Round | undefined;
  #roundNumber = 0;
  /** No round begins before; `undefined` if none has failed. */
  #nextRoundAt: number | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #best: Found | undefined;
  /** Paths that have answered small datagrams, and not those of 1200 bytes. */
  #doubtful: PathKey[] = [];
  /** Pairs may have become new, or wanted. */
  #isNewsDue = false;
  #isStopped = false;
  #ignored = 0;

  constructor(setup: TraversalSetup) {
    this.#dialect = setup.dialect;
    this.#limit = Math.min(setup.concurrencyLimit, MAX_REQUESTS);
    this.#prober = new Prober(setup.random, new ConnectionBudget(setup.budget, false));
    this.#table = new PairTable(setup.rules);
  }

  /** The best path that is known to work. */
  get best(): (PathKey & { readonly rttMs: number }) | undefined {
    const best = this.#best;
    return best === undefined ? undefined : { base: best.path.base, remote: best.path.remote, rttMs: best.rttMs };
  }

  /** Number of the latest round; 0 before the first. */
  get round(): number {
    return this.#roundNumber;
  }

  addCandidate(candidate: LocalCandidate, now: number): void {
    if (this.#table.addLocal(candidate)) this.#onNews(now);
  }

  removeCandidate(base: Base, address: Address): void {
    this.#table.removeLocals((candidate) => candidate.base === base && candidate.address === address);
    this.#withdraw();
    this.#isNewsDue = true;
  }

  removeBase(base: Base, now: number): void {
    this.#table.removeLocals((candidate) => candidate.base === base);
    this.#withdraw();
    this.#prober.close((path) => path.base === base);
    const best = this.#best;
    if (best?.path.base !== base) return;
    this.#events.push({ type: "pathFailed", base, remote: best.path.remote });
    this.restart(now);
  }

  /** Requests of a client leave behind its own Finished, so there is nothing to wait for. */
  enable(): void {}

  restart(now: number): void {
    // Whoever moved to a path that then went silent is not sent there again before it has shown that it carries 1200 bytes.
    if (this.#best?.path.state.name === "sizing") this.#doubt(this.#best.path);
    this.#best = undefined;
    this.#round = undefined;
    this.#prober.close(() => true);
    this.#nextRoundAt = now;
    this.#pauseMs = FIRST_PAUSE_MS;
    for (const pair of this.#table.pairs) pair.timesAsked = 0;
  }

  stop(): void {
    this.#isStopped = true;
    this.#round = undefined;
    this.#prober.close(() => true);
  }

  onFrame(frame: TraversalFrame, now: number): void {
    switch (frame.type) {
      case "ADD_ADDRESS":
        if (this.#table.addRemote(frame.sequenceNumber, frame.address)) {
          this.#withdraw();
          this.#onNews(now);
        }
        break;
      case "REMOVE_ADDRESS": {
        const address = this.#table.removeRemote(frame.sequenceNumber);
        if (address === undefined) break;
        this.#withdraw();
        // What has answered goes on: the server may have withdrawn a name of the address, not the address.
        if (!this.#table.hasRemote(address)) {
          this.#prober.close((path) => path.remote === address && !path.isAnswered);
        }
        break;
      }
      case "PUNCH_ME_NOW":
        // Its direction was checked where it was read.
        this.#ignored++;
        break;
    }
  }

  hasFrame(now: number): boolean {
    this.#advance(now);
    return (this.#round?.due.length ?? 0) > 0;
  }

  writeFrame(writer: Writer, now: number): TraversalFrame | undefined {
    this.#advance(now);
    const round = this.#round;
    const request = round?.due[0];
    if (round === undefined || request === undefined) return undefined;
    if (traversalFrameBytes(this.#dialect, request.frame) > writer.remaining) return undefined;
    encodeTraversalFrame(this.#dialect, request.frame, writer);
    round.due.shift();
    round.endsAt = now + ROUND_MS;
    // Section 4.2 of the draft: path validation of the pair starts at once.
    const path = this.#prober.open(request.pair.local.base, request.pair.remote, now);
    if (!request.isRepeated && path?.isAnswered === false) path.restart(now);
    return request.frame;
  }

  onFrameLost(frame: TraversalFrame): void {
    const round = this.#round;
    // The draft does not say; a request is repeated as long as it means something.
    if (frame.type !== "PUNCH_ME_NOW" || round?.number !== frame.round) return;
    for (const pair of round.pairs) {
      if (pair.local.address !== frame.address || pair.sequenceNumber !== frame.pairedWithSequenceNumber) continue;
      round.due.push({ pair, frame: requestFor(pair, round.number), isRepeated: true });
      break;
    }
    this.#withdraw();
  }

  pollProbe(now: number, leave: ProbeLeave): Probe | undefined {
    if (this.#isStopped) return undefined;
    this.#advance(now);
    return this.#prober.poll(now, leave);
  }

  pollReleased(): number | undefined {
    return this.#prober.pollReleased();
  }

  onChallenge({ base, remote }: PathKey, data: Uint8Array, bytes: number, now: number): void {
    if (this.#isStopped) return;
    // Whether or not the server has named the address: an answer from there has shown a way.
    this.#prober.open(base, remote, now)?.onChallenge(data, bytes, now);
  }

  onResponse(path: PathKey, data: Uint8Array, bytes: number, now: number): boolean {
    const outcome = this.#prober.onResponse(path, data, bytes, now);
    if (outcome === "strays" && this.acceptsFrom(path.base, now)) this.#prober.open(path.base, path.remote, now);
    this.#readReports(now);
    return outcome !== undefined;
  }

  onUnreachable(path: PathKey, now: number): void {
    this.#prober.onUnreachable(path);
    this.#readReports(now);
  }

  acceptsFrom(base: Base, now: number): boolean {
    const round = this.#round;
    return round !== undefined && now < round.endsAt && base.kind === "socket" && this.#table.hasBase(base);
  }

  isProven({ base, remote }: PathKey): boolean {
    return this.#prober.find(base, remote)?.isAnswered === true;
  }

  rttMsOf({ base, remote }: PathKey): number | undefined {
    return this.#prober.find(base, remote)?.rttMs;
  }

  probedPathId({ base, remote }: PathKey): number | undefined {
    return this.#prober.find(base, remote)?.id;
  }

  pollEvent(): TraversalEvent | undefined {
    return this.#events.shift();
  }

  get timeoutAt(): number | undefined {
    if (this.#isStopped) return undefined;
    const roundAt = this.#round?.endsAt;
    return earliest(this.#prober.timeoutAt, earliest(roundAt, this.#nextRoundAt));
  }

  onTimeout(now: number): void {
    if (this.#isStopped) return;
    this.#prober.onTimeout(now);
    this.#readReports(now);
    this.#advance(now);
  }

  get counts(): TraversalCounts {
    const { probesSent, probeBytesSent, probesWithheld } = this.#prober;
    return {
      probesSent,
      probeBytesSent,
      probesWithheld,
      addressesRefused: this.#table.refused,
      framesIgnored: this.#ignored + this.#table.ignored,
    };
  }

  /** Ends the round that is over, begins the one that is due, and fills the one under way. */
  #advance(now: number): void {
    if (this.#isStopped) return;
    const round = this.#round;
    if (round !== undefined && now >= round.endsAt) this.#onRoundEnd(round, now);
    if (this.#nextRoundAt !== undefined && now >= this.#nextRoundAt) this.#beginRound(now);
    if (this.#isNewsDue && this.#round !== undefined) this.#fill(this.#round, now);
  }

  #beginRound(now: number): void {
    this.#nextRoundAt = undefined;
    if (!this.#table.pairs.some((pair) => this.#isWanted(pair))) return;
    const number = ++this.#roundNumber;
    this.#round = { number, startedAt: now, pairs: new Set(), due: [], endsAt: now + ROUND_MS };
    this.#isNewsDue = true;
  }

  /** Section 4.2 of the draft: pairs are asked for as they appear, up to the server's limit. */
  #fill(round: Round, now: number): void {
    this.#isNewsDue = false;
    const fresh = this.#table.pairs.filter((pair) => !round.pairs.has(pair) && this.#isWanted(pair));
    // Those that had no turn yet come first; the sort is stable, so the order of the table decides the rest.
    fresh.sort((a, b) => a.timesAsked - b.timesAsked);
    const room = Math.max(0, this.#limit - round.pairs.size);
    for (const pair of fresh.slice(0, room)) {
      pair.timesAsked++;
      round.pairs.add(pair);
      round.due.push({ pair, frame: requestFor(pair, round.number), isRepeated: false });
      round.endsAt = now + ROUND_MS;
    }
    if (fresh.slice(room).some(({ timesAsked }) => timesAsked === 0)) {
      this.#nextRoundAt = Math.max(now, round.startedAt + MIN_ROUND_MS);
    }
  }

  /** Without a path every pair is; with one, those not tried that promise a better one by what their addresses are. */
  #isWanted(pair: Pair): boolean {
    const best = this.#best;
    return best === undefined || (pair.timesAsked === 0 && compareRanks(pair.rank, best.rank) < 0);
  }

  /** The candidates of either side have changed. A pause after failure is for those who have nothing new to try. */
  #onNews(now: number): void {
    if (this.#isStopped) return;
    this.#isNewsDue = true;
    if (this.#round === undefined) this.#nextRoundAt = now;
  }

  /** Takes back what is not to be asked any more. */
  #withdraw(): void {
    const round = this.#round;
    if (round === undefined) return;
    const pairs = this.#table.pairs;
    const best = this.#best;
    round.due = round.due.filter(({ pair }) =>
      pairs.includes(pair) && (best === undefined || compareRanks(pair.rank, best.rank) < 0)
    );
  }

  #onRoundEnd(round: Round, now: number): void {
    this.#round = undefined;
    const best = this.#best;
    this.#prober.close((path) => !path.isAnswered || (best?.path.state.name === "sized" && path !== best.path));
    if (best !== undefined) return;
    const nextAt = now + this.#pauseMs;
    this.#pauseMs = PAUSE_MS;
    this.#nextRoundAt = nextAt;
    this.#events.push({ type: "roundFailed", round: round.number, nextAt });
  }

  #readReports(now: number): void {
    for (let report = this.#prober.pollReport(); report !== undefined; report = this.#prober.pollReport()) {
      const { path, change } = report;
      if (change === "failed") this.#onFailed(path, now);
      else this.#onAnswered(path);
      if (change === "sized") this.#onSized(path);
    }
  }

  #onAnswered(path: ProbedPath): void {
    const { state, base, remote } = path;
    if ((state.name !== "sizing" && state.name !== "sized") || this.#best?.path === path) return;
    if (state.name === "sizing" && this.#isDoubtful(path)) return;
    const found = { path, rank: this.#table.rankOf(base, remote), rttMs: state.rttMs };
    if (this.#best !== undefined && !isBetter(found, this.#best)) return;
    this.#best = found;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#events.push({ type: "pathFound", base, remote, rttMs: found.rttMs });
    // What could only be worse is left alone.
    this.#prober.close((other) =>
      other.state.name === "probing" && compareRanks(this.#table.rankOf(other.base, other.remote), found.rank) > 0
    );
    this.#withdraw();
  }

  #onSized({ base, remote }: PathKey): void {
    this.#doubtful = this.#doubtful.filter((other) => other.base !== base || other.remote !== remote);
    this.#events.push({ type: "pathSized", base, remote });
    const best = this.#best?.path;
    if (this.#round === undefined && best?.base === base && best.remote === remote) {
      this.#prober.close((other) => other !== best);
    }
  }

  #doubt({ base, remote }: PathKey): void {
    if (this.#isDoubtful({ base, remote })) return;
    if (this.#doubtful.length >= MAX_DOUBTFUL_PATHS) this.#doubtful.shift();
    this.#doubtful.push({ base, remote });
  }

  #isDoubtful({ base, remote }: PathKey): boolean {
    return this.#doubtful.some((other) => other.base === base && other.remote === remote);
  }

  #onFailed(path: ProbedPath, now: number): void {
    if (path.state.name === "failed" && path.state.reason === "too narrow") this.#doubt(path);
    if (this.#best?.path !== path) return;
    this.#events.push({ type: "pathFailed", base: path.base, remote: path.remote });
    this.#best = undefined;
    for (const other of this.#prober.paths) if (other.isAnswered) this.#onAnswered(other);
    if (this.#best !== undefined) return;
    this.#isNewsDue = true;
    if (this.#round === undefined) this.#nextRoundAt ??= now + this.#pauseMs;
  }
}

function requestFor({ local, sequenceNumber }: Pair, round: number): PunchMeNowFrame {
  return { type: "PUNCH_ME_NOW", round, pairedWithSequenceNumber: sequenceNumber, address: local.address };
}

/** Whether the connection should rather use `a`: the priority of its pair, then the time there and back. */
function isBetter(a: Found, b: Found): boolean {
  if (isFaster(b, a)) return false;
  return isFaster(a, b) || compareRanks(a.rank, b.rank) < 0;
}

function isFaster(a: Found, b: Found): boolean {
  return a.rttMs < FASTER_SHARE * b.rttMs && a.rttMs < b.rttMs - FASTER_BY_MS;
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}
