/**
 * Dialling: from a resolved set of plugins to a session. The public `dial` in `mod.ts` turns names into values and calls
 * this one.
 *
 * @module
 */

import type { CandidateProvider } from "../candidates/provider.ts";
import type { Host } from "../io/host.ts";
import type { Address } from "../protocols/core/address.ts";
import type { Base } from "../protocols/core/machine.ts";
import type { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import type { PairReport } from "../protocols/ice/types.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../protocols/quic/config.ts";
import type { TransportSettings } from "../protocols/quic/config.ts";
import type { Signaling } from "../signaling/channel.ts";
import type { NamedRelay } from "../signaling/machines.ts";
import type { Sealing } from "./backends.ts";
import { NodeBases } from "./bases.ts";
import type { ChainVerifier } from "./chain_verifier.ts";
import { Runner } from "./runner.ts";
import type { Session } from "./session.ts";
import { DEFAULT_RELAY_POLICY } from "./traversal.ts";
import type { Node, RelayPolicy, Target, Traversal, TraversalEvent } from "./traversal.ts";

/** The Ta we propose: RFC 8445 §14.2 lets an implementation go down to 5 ms between transactions. */
export const DEFAULT_TA_MS = 5;

/** A call fails within 10 s, with the reason: most of that is for the checks, which give up after 9 s. */
export const DEFAULT_DIAL_TIMEOUT_MS = 9_200;

/** QUIC keeps the NAT mapping of a session alive: below the 30 s after which many NATs forget (RFC 9000 §10.1.2). */
const KEEP_ALIVE_MS = 15_000;

/** What both directions need, resolved. */
export interface NodeOptions {
  readonly host: Host;
  readonly identity: Ed25519PrivateKey;
  readonly transport: Traversal;
  readonly providers: readonly CandidateProvider[];
  readonly signaling: Signaling | undefined;
  /** STUN servers as `HOST:PORT`, asked from the start. */
  readonly stunServers: readonly string[];
  readonly resolve: (server: string) => Promise<readonly Address[]>;
  /** Relays whose addresses are to be found, from the start. */
  readonly relays?: readonly NamedRelay[];
  /** See `Node.verifyChain`. */
  readonly verifyChain?: ChainVerifier;
  readonly protocol: string;
  readonly sealing?: Sealing;
  /** Default {@linkcode DEFAULT_RELAY_POLICY}. */
  readonly relayPolicy?: RelayPolicy;
  /** Loopback and nothing else. */
  readonly loopback: boolean;
  readonly quic?: Partial<TransportSettings>;
  /** See `Node.postQuantum`. */
  readonly postQuantum?: boolean;
  readonly keyLog: boolean;
  readonly taMs?: number;
  readonly dialTimeoutMs?: number;
  readonly onEvent?: (event: TraversalEvent) => void;
  readonly signal?: AbortSignal;
}

/** Why `dial` rejected, as data. */
export class DialError extends Error {
  /** Tells it from other errors. */
  override readonly name = "DialError";
  /** The failure's name, such as `unknown`, `denied`, `unreachablePeer`. */
  readonly reason: string;
  /** With `otherKey`: the key that was asked for, or pinned, in base58; `ID:` and the key ID where a ticket has no more. */
  readonly expected: string | undefined;
  /** With `otherKey`: the key that came instead. Base58. */
  readonly actual: string | undefined;
  /** What was tried, where anything was. */
  readonly report: readonly PairReport[];

  /** Made by `dial` from the last event of a call. */
  constructor(event: TraversalEvent & { readonly type: "failed" }) {
    super(event.message);
    this.reason = event.reason;
    this.expected = event.expected;
    this.actual = event.actual;
    this.report = event.report;
  }
}

/** Makes the node that a traversal works on. */
export function makeNode(options: NodeOptions, bases: readonly Base[], now: number): Node {
  return {
    random: options.host.random,
    now,
    identity: options.identity,
    bases,
    providers: options.providers,
    expectsServers: options.stunServers.length > 0,
    protocol: options.protocol,
    ...(options.sealing === undefined ? {} : { sealing: options.sealing }),
    relayPolicy: options.relayPolicy ?? DEFAULT_RELAY_POLICY,
    taMs: options.taMs ?? DEFAULT_TA_MS,
    dialTimeoutMs: options.dialTimeoutMs ?? DEFAULT_DIAL_TIMEOUT_MS,
    ...(options.verifyChain === undefined ? {} : { verifyChain: options.verifyChain }),
    allowLoopback: options.loopback,
    quic: { ...DEFAULT_TRANSPORT_SETTINGS, keepAliveMs: KEEP_ALIVE_MS, ...options.quic },
    postQuantum: options.postQuantum ?? false,
    keyLog: options.keyLog,
  };
}

/**
 * Calls one peer.
 *
 * @returns The session. It owns the sockets: they close when it has ended.
 * @throws {DialError} If the call came to nothing.
 * @throws The signal's reason, if it was aborted.
 */
export async function dialWith(options: NodeOptions, target: Omit<Target, "patient">): Promise<Session> {
  const { host, signal } = options;
  signal?.throwIfAborted();
  const now = host.now();
  const patient = options.signaling?.dialogue === "paste";
  const bases = new NodeBases(host, { loopbackOnly: options.loopback });
  const { promise, resolve, reject } = Promise.withResolvers<Session>();
  const released = Promise.withResolvers<void>();
  const machine = options.transport.dial({ ...target, patient }, makeNode(options, bases.all, now));
  const runner = new Runner({
    host,
    machine,
    bases,
    signaling: options.signaling,
    resolve: options.resolve,
    sessionReleased: () => released.promise,
    onEvent: (event, self) => {
      options.onEvent?.(event);
      if (event.type === "session") resolve(self.session(event));
      if (event.type === "failed") reject(new DialError(event));
    },
  });
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const release = (): void => {
    runner.stop();
    bases.close();
    host.setAlarm(undefined);
    released.resolve();
  };
  try {
    runner.drain();
    void runner.addStunServers(options.stunServers);
    const session = await promise;
    runner.closeChannel();
    void session.closed.then(() => runner.released()).then(release);
    return session;
  } catch (error) {
    // Aborted in the very moment it succeeded: the peer is told.
    machine.close(0, "aborted", host.now());
    runner.drain();
    release();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
