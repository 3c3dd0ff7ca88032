/**
 * Traverse: peer-to-peer QUIC through NATs. Two peers behind home routers get an encrypted, multiplexed connection with no
 * server in the data path.
 *
 * As a program, this module is the command line: `deno run … mod.ts --help`.
 *
 * @example Call somebody who listens
 * ```ts
 * import { dial } from "./mod.ts";
 *
 * export async function greet(ticket: string): Promise<void> {
 *   await using session = await dial({ peer: ticket, signal: AbortSignal.timeout(10_000) });
 *   const { writable } = await session.openStream();
 *   const writer = writable.getWriter();
 *   await writer.write(new TextEncoder().encode("hello"));
 *   await writer.close();
 * }
 * ```
 *
 * @module
 */

import { fixedCandidates } from "./candidates/fixed.ts";
import { hostCandidates } from "./candidates/host.ts";
import type { CandidateProvider } from "./candidates/provider.ts";
import { serverReflexive as makeServerReflexive } from "./candidates/server_reflexive.ts";
import type { ServerReflexiveOptions } from "./candidates/server_reflexive.ts";
import { main } from "./cli/main.ts";
import type { Host } from "./io/host.ts";
import { systemAuthorities } from "./io/authorities.ts";
import { resolveServer } from "./io/resolve.ts";
import { systemHost } from "./io/system_host.ts";
import { parseAddress } from "./protocols/core/address.ts";
import { randomBytes } from "./protocols/core/random.ts";
import { Ed25519PrivateKey } from "./protocols/crypto/ed25519.ts";
import type { TransportSettings } from "./protocols/quic/config.ts";
import { Hub } from "./service/hub.ts";
import { ALLOW_TICKET_ONLY } from "./signaling/admission.ts";
import type { AllowList } from "./signaling/admission.ts";
import { HubCaller } from "./signaling/caller.ts";
import { parseCallee } from "./signaling/callee.ts";
import type { Callee } from "./signaling/callee.ts";
import type { Signaling } from "./signaling/channel.ts";
import { conventionalStunServer } from "./signaling/hub_names.ts";
import { KnownPeersTable } from "./signaling/known_peers.ts";
import type { KnownPeers } from "./signaling/known_peers.ts";
import { HubListener } from "./signaling/listener.ts";
import type { CallerMachine, ListenerMachine, MachineContext, NamedRelay } from "./signaling/machines.ts";
import { MemoryHub } from "./signaling/memory.ts";
import type { MemoryClient } from "./signaling/memory.ts";
import { ticketSignaling } from "./signaling/ticket.ts";
import { RelayedListener, relayedTicketToken, SilentCaller } from "./signaling/relayed.ts";
import { TicketCaller } from "./signaling/ticket_caller.ts";
import { relaySignaling as makeRelaySignaling } from "./signaling/relay.ts";
import { TICKET_SECRET_BYTES } from "./signaling/ticket_codec.ts";
import { TicketListener } from "./signaling/ticket_listener.ts";
import { websocket as makeWebsocket } from "./signaling/websocket.ts";
import type { WebSocketSignalingOptions } from "./signaling/websocket.ts";
import { chainVerifier } from "./transports/chain_verifier.ts";
import { checkRelay, checkRelayedAddress, chooseTransport } from "./transports/choice.ts";
import { openBackends } from "./transports/backends.ts";
import type { BackendName } from "./transports/backends.ts";
import { DEFAULT_TA_MS, dialWith } from "./transports/dial.ts";
import type { NodeOptions } from "./transports/dial.ts";
import { iceThenQuic as makeIceThenQuic } from "./transports/ice_then_quic.ts";
import { Listener } from "./transports/listen.ts";
import { auto as makeAuto } from "./transports/auto.ts";
import { quicNative as makeQuicNative } from "./transports/quic_native.ts";
import { Registry } from "./transports/registry.ts";
import { namedRelays, parseRelayUrl, relayAccess, unresolvedRelays } from "./transports/relay_access.ts";
import type { Session } from "./transports/session.ts";
import { DEFAULT_RELAY_POLICY } from "./transports/traversal.ts";
import type { RelayPolicy, Traversal, TraversalEvent } from "./transports/traversal.ts";

export type { Address } from "./protocols/core/address.ts";
export { addressOf, parseAddress } from "./protocols/core/address.ts";
export type { TransportSettings } from "./protocols/quic/config.ts";
export type { AllowList } from "./signaling/admission.ts";
export { formatKey, parseKey } from "./signaling/identity.ts";
export type { KnownPeers } from "./signaling/known_peers.ts";
export type { BackendName } from "./transports/backends.ts";
export { DialError } from "./transports/dial.ts";
export type { Listener } from "./transports/listen.ts";
export { StreamResetError } from "./transports/session_streams.ts";
export type {
  BidirectionalStream,
  Session,
  SessionClosed,
  SessionDatagrams,
  SessionPath,
} from "./transports/session.ts";
export type { CallTimes, TraversalEvent, TraversalFailure } from "./transports/traversal.ts";

// The built-in plugins, and what they take.
export type { FixedCandidatesOptions } from "./candidates/fixed.ts";
export type { HostCandidatesOptions } from "./candidates/host.ts";
export type { ServerReflexiveOptions } from "./candidates/server_reflexive.ts";
export type { WebSocketSignalingOptions } from "./signaling/websocket.ts";
export { fixedCandidates, hostCandidates };

// For those who write candidate providers, or hosts.
export type { CandidateEvent, CandidateMachine, CandidateProvider } from "./candidates/provider.ts";
export type { Host, HostSink, NetworkInterface, SocketError } from "./io/host.ts";
export type { CandidateType, LocalCandidate, RemoteCandidate } from "./protocols/core/candidate.ts";
export type { Base, Datagram, Machine } from "./protocols/core/machine.ts";
export type { Random } from "./protocols/core/random.ts";

// For those who write signaling.
export type { MessageChannel, MessageMachine, Signaling, SignalingRelay } from "./signaling/channel.ts";
export { SignalingRefusedError } from "./signaling/channel.ts";

// For those who write transports: what one is, and the conversation that is ready-made.
export type { SocketErrorHandler } from "./io/driver.ts";
export type { Ed25519PrivateKey, Ed25519PublicKey } from "./protocols/crypto/ed25519.ts";
export type { PairReport, PairStateName } from "./protocols/ice/types.ts";
export { isKeyOf } from "./signaling/identity.ts";
export type { PeerIdentity } from "./signaling/identity.ts";
export type {
  Call,
  CallerEvent,
  CallerMachine,
  CallFailure,
  IceCredentials,
  ListenerEvent,
  ListenerMachine,
  NamedRelay,
  Refusal,
} from "./signaling/machines.ts";
export type {
  EstablishedSession,
  Node,
  Reception,
  RelayAccess,
  RelayChannelOptions,
  RelayedTarget,
  RelayPolicy,
  Target,
  Traversal,
  TraversalMachine,
} from "./transports/traversal.ts";

// For those who write transports: QUIC, and the TLS inside it.
export * from "./transports/quic_for_plugins.ts";

/**
 * Makes the transport `ice-then-quic`: ICE finds a path over UDP, then QUIC dials on the same socket
 * (draft-seemann-quic-nat-traversal-02 §3).
 */
export const iceThenQuic: () => Traversal = makeIceThenQuic;

/**
 * Makes the transport `quic-native`: the peers talk through a relay at once, and their QUIC connection punches its own way
 * to a direct path (draft-seemann-quic-nat-traversal-02 §4).
 */
export const quicNative: () => Traversal = makeQuicNative;

/** Makes the transport `auto`: both of them at once, on the same sockets. Sessions say by which they came about. */
export const auto: () => Traversal = makeAuto;

/**
 * Makes the candidate provider `srflx`: asks STUN servers for the address they see (RFC 8489), and keeps the mapping alive.
 *
 * @throws {RangeError} If Ta is below 5 ms or the keep-alive interval below 1 s.
 */
export const serverReflexive: (options: ServerReflexiveOptions) => CandidateProvider = makeServerReflexive;

/**
 * Makes signaling through the hub at `url`, over WebSocket (RFC 6455).
 *
 * @param url `ws:` or `wss:`; without a path, `/signal` is meant.
 * @throws {TypeError} If it is no such URL.
 * @example
 * ```ts
 * import { websocket } from "./mod.ts";
 *
 * const signaling = websocket("wss://hub.example.org");
 * console.log(signaling.url); // wss://hub.example.org/signal
 * ```
 */
export const websocket: (url: string | URL, options?: WebSocketSignalingOptions) => Signaling = makeWebsocket;

/** The ALPN unless `protocol` says else: draft-thatcher-p2p-quic-00. */
export const DEFAULT_PROTOCOL = "q2q";

/** What makers of candidate providers get. */
export interface CandidateOptions {
  /** Loopback addresses are candidates: demonstrations and tests only. */
  readonly loopback: boolean;
}

/** What makers of signaling get. */
export interface SignalingOptions {
  /** The hub's token, if it asks for one. */
  readonly token?: string;
  /** The first relay that was given, as its URL. */
  readonly via?: string;
  /** Certificates of authorities to trust besides the system's, PEM. */
  readonly caCerts?: readonly string[];
}

/** Transports by name: `auto`, `ice-then-quic`, `quic-native`, and what `register` adds. */
const transports = new Registry<Traversal, Record<never, never>>("transport");
const candidates = new Registry<CandidateProvider, CandidateOptions>("candidate provider");
const signalings = new Registry<Signaling, SignalingOptions>("signaling");

transports.register("auto", makeAuto);
transports.register("ice-then-quic", makeIceThenQuic);
transports.register("quic-native", makeQuicNative);
candidates.register("host", ({ loopback }) => hostCandidates({ allowLoopback: loopback }));
// Servers are named by `stun`, the ticket or the hub, and come in when they are known.
candidates.register("srflx", () => makeServerReflexive({ servers: [] }));
candidates.register("fixed", ({ argument }) => {
  return fixedCandidates({ addresses: argument.replace(/^fixed:/, "").split(",").map(parseAddress) });
});
signalings.register("ticket", () => ticketSignaling({ show: () => {} }));
signalings.register("memory", ({ argument }) => memory(argument));
for (const scheme of ["ws", "wss"]) {
  signalings.register(scheme, ({ argument, token, caCerts }) => {
    return makeWebsocket(argument, {
      ...(token === undefined ? {} : { token }),
      ...(caCerts === undefined ? {} : { caCerts }),
    });
  });
}
signalings.register("https", ({ argument, token }) => makeRelaySignaling(argument, { token }));
signalings.register("relay", ({ via, token }) => makeRelaySignaling(via, { token }));

/** Hubs of this process, at most: a program needs one, a test one or two. */
const MAX_MEMORY_HUBS = 1024;

const memoryHubs = new Map<string, Signaling>();

/**
 * Signaling through a hub inside this process: the same one for the same name.
 *
 * @throws {RangeError} If there are 1024 of other names.
 */
export function memory(name = "memory"): Signaling {
  const known = memoryHubs.get(name);
  if (known !== undefined) return known;
  if (memoryHubs.size >= MAX_MEMORY_HUBS) throw new RangeError(`Cannot make hub "${name}": there are too many`);
  const { host } = systemHost();
  const machine = new Hub<MemoryClient>({ stunServers: [], epochMs: host.epochMs });
  const hub = new MemoryHub(machine, { hub: name, now: () => host.now() });
  memoryHubs.set(name, hub);
  return hub;
}

/**
 * Registers a plugin by name, in place of any of that name, for `dial`, `listen` and the command line. The maker gets the
 * text that chose it as `argument`: the name itself, or `name:more`.
 */
export const register: {
  readonly transport: (name: string, make: (options: { readonly argument: string }) => Traversal) => void;
  readonly candidates: (
    name: string,
    make: (options: CandidateOptions & { readonly argument: string }) => CandidateProvider,
  ) => void;
  readonly signaling: (
    name: string,
    make: (options: SignalingOptions & { readonly argument: string }) => Signaling,
  ) => void;
} = Object.freeze({
  transport: (name, make) => transports.register(name, make),
  candidates: (name, make) => candidates.register(name, make),
  signaling: (name, make) => signalings.register(name, make),
});

/** The names of the registered plugins, built-in ones first. */
export function names(kind: "transport" | "candidates" | "signaling"): readonly string[] {
  switch (kind) {
    case "transport":
      return transports.names;
    case "candidates":
      return candidates.names;
    case "signaling":
      return signalings.names;
  }
}

/** What `dial` and `listen` have in common. Plugins are given by name or as values. */
export interface PeerOptions {
  /**
   * How the two are brought together: one; or `ice-then-quic` and `quic-native`, which together are `auto`: the first
   * connection is the session, and what the other attempt has found improves its path. @default {["auto"]}
   */
  readonly transports?: readonly (string | Traversal)[];
  /** What relays are used for, on our side; the peer has a policy of its own. @default {"until-direct"} */
  readonly relay?: RelayPolicy;
  /** Where our addresses come from: each of them is asked. @default {["host", "srflx"]} */
  readonly candidates?: readonly (string | CandidateProvider)[];
  /**
   * The hub: a `ws:` or `wss:` URL, `relay` for the one at the relay of `via`, or that relay's URL, `memory` for one inside
   * this process (`memory:NAME` for another one), `ticket` to listen without any, or a plugin. `dial` with a ticket needs
   * none: the ticket names its hub, or has none, and then the answer to hand back comes as a `ticket` event.
   */
  readonly signaling?: string | Signaling;
  /** The hub's token, if it asks for one. */
  readonly token?: string;
  /**
   * Certificates of authorities, PEM, by which a `wss:` hub and a relay with a name are believed, besides those that the
   * runtime brings and the file of DENO_CERT, if the program may read both.
   */
  readonly caCerts?: readonly string[];
  /**
   * STUN servers as `HOST:PORT`. Default: those in the ticket, else UDP 3478 on the hub's host, and none where the hub is at a
   * relay, which tells each side where its packets come from; the hub may name more.
   */
  readonly stun?: readonly string[];
  /**
   * Seed of our Ed25519 key, 32 bytes: who we are to the peer. Default: a fresh one. A ticket of a listener at a relay is
   * the same for the same key there, for as long as the relay keeps its address.
   */
  readonly key?: Uint8Array;
  /** The ALPN; both sides must say the same. @default {"q2q"} */
  readonly protocol?: string;
  /** Aborts the call, or ends listening. */
  readonly signal?: AbortSignal;
  /** Loopback and nothing else: demonstrations and tests on one machine. @default {false} */
  readonly loopback?: boolean;
  /** How connections behave; what is left out is as usual. */
  readonly quic?: Partial<TransportSettings>;
  /** Whether calls offer X25519MLKEM768 too, against quantum computers to come, in two datagrams. @default {false} */
  readonly postQuantum?: boolean;
  /**
   * What moves and seals packets. `ffi`: sockets of Linux with segmentation offload, and libcrypto, as far as they are there;
   * needs `--allow-ffi`, and is some five times as fast. `runtime`: neither. @default {"auto"} Whichever is allowed.
   */
  readonly backend?: BackendName;
  /** Sockets, clock and randomness. Default: those of this machine. */
  readonly host?: Host;
  /** Gets everything that happens, as data. */
  readonly onEvent?: (event: TraversalEvent) => void;
  /** Whether `onEvent` gets TLS secrets (`keyLog`), for decrypting captures. @default {false} */
  readonly keyLog?: boolean;
}

/** Whom to call, and how. */
export interface DialOptions extends PeerOptions {
  /** A ticket, `NAME`, or `NAME@KEY`. A bare name believes the hub once. */
  readonly peer: string;
  /** Where keys of bare names are pinned. Default: in memory, for as long as the program runs. */
  readonly known?: KnownPeers;
  /** The relay whose hub is asked with `signaling: "relay"`: `https://HOST:PORT#SHA-256`, as `serve` prints it. */
  readonly via?: string;
}

/** Who may call, and how. */
export interface ListenOptions extends PeerOptions {
  /** The name to be called by; without one, only by ticket. */
  readonly name?: string;
  /**
   * Who may call besides holders of the ticket; with `via` alone, by ticket only, who of its holders.
   *
   * @default {nobody, and all of them}
   */
  readonly allow?: AllowList;
  /** Sessions at once; a caller beyond is told `busy`. @default {1} */
  readonly maxSessions?: number;
  /**
   * Relays to be reached by before there is a direct path, as `serve` prints them: `https://HOST:PORT#SHA-256`, the digest of
   * the certificate in hexadecimal; without one its chain has to be good for the host. Without signaling the ticket is all
   * that a caller needs; with it callers ask the hub, by ticket or name. One that cannot be reached holds up no other.
   */
  readonly via?: string | NamedRelay | readonly (string | NamedRelay)[];
  /** The token of those relays that are given as mere URLs, if they ask for one. */
  readonly viaToken?: string;
}

const pinnedInMemory = new KnownPeersTable();

/**
 * Calls a peer and waits until the connection is established and both sides are authenticated.
 *
 * Needs `--allow-net` and `--allow-sys=networkInterfaces` (without it, one socket on every interface); with the runtime flag
 * `--unstable-net` packets are faster.
 *
 * @throws {TypeError} If `peer` is neither ticket nor name, a plugin has no such name, or there is no hub to ask.
 * @throws {DialError} If the call came to nothing; `reason` says why, the message also what to try.
 */
export async function dial(options: DialOptions): Promise<Session> {
  const backends = backendsOf(options);
  const { host } = backends;
  const context = machineContext(host, options);
  const callee = parseCallee(options.peer, context.epochMs + host.now());
  if (callee.kind === "relayed") {
    const { addresses, token, keyId } = callee;
    const relayed = { addresses, token, identity: { key: undefined, keyId } };
    checkRelayedAddress(options);
    const node = nodeOptions(backends, context, undefined, options.stun ?? [], options);
    return await dialWith(node, { caller: new SilentCaller(), relayed });
  }
  const signaling = signalingFor(callee, options);
  const caller = callerFor(callee, signaling, host, context, options);
  const named = options.stun ?? (callee.kind === "name" ? [] : callee.stunServers);
  const stunServers = named.length > 0 ? named : stunServersBeside(signaling);
  if (signaling.relay !== undefined) checkRelay(options);
  return await dialWith(nodeOptions(backends, context, signaling, stunServers, options), { caller });
}

/**
 * Waits for peers.
 *
 * Needs what {@linkcode dial} needs.
 *
 * @throws {TypeError} If a plugin has no such name, or neither signaling nor a relay is given.
 */
export function listen(options: ListenOptions): Listener {
  const backends = backendsOf(options);
  const { host } = backends;
  const context = machineContext(host, options);
  const via = namedRelays(options.via ?? [], options.viaToken);
  const first = via[0];
  // Those with an IP address in their URL are known at once.
  const relays = via.flatMap(({ url, token }) => relayAccess(url, token) ?? []);
  const maxSessions = options.maxSessions ?? 1;
  const signaling = signalingOf(options.signaling, options, first?.url);
  if (first !== undefined) checkRelayedAddress(options);
  if (signaling?.relay !== undefined) checkRelay(options);
  if (first !== undefined && (signaling === undefined || signaling.dialogue === "paste")) {
    if (signaling !== undefined) {
      throw new TypeError("Cannot listen by pasting and through a relay: leave signaling out, the ticket is enough");
    }
    const token = relayedTicketToken(host.random, parseRelayUrl(first.url).authority, options.key);
    const listener = new RelayedListener({ key: context.key.publicKey, token });
    const node = nodeOptions(backends, context, undefined, options.stun ?? [], options);
    return new Listener({ ...node, relays: unresolvedRelays(via) }, {
      listener,
      maxSessions,
      relays,
      ticketToken: token,
      // Without a hub the ticket is all there is to be admitted by: a list says who of its holders.
      ...(options.allow === undefined || options.allow.any || options.allow.keys.length === 0
        ? {}
        : { ticketKeys: options.allow.keys }),
    });
  }
  if (signaling === undefined) {
    throw new TypeError("Cannot listen: give signaling, the URL of a hub such as ws://hub.example:8080/signal");
  }
  const listener = listenerFor(signaling, host, context, options);
  const stunServers = options.stun ?? stunServersBeside(signaling);
  const node = nodeOptions(backends, context, signaling, stunServers, options);
  return new Listener({ ...node, relays: unresolvedRelays(via) }, { listener, maxSessions, relays });
}

function machineContext(host: Host, { key, loopback }: PeerOptions): MachineContext {
  return {
    random: host.random,
    epochMs: host.epochMs,
    key: key === undefined ? Ed25519PrivateKey.generate(host.random) : Ed25519PrivateKey.fromSeed(key),
    taMs: DEFAULT_TA_MS,
    allowLoopback: loopback ?? false,
  };
}

/** The one transport in use. */
function transportOf({ transports: chosen = ["auto"], relay }: PeerOptions): Traversal {
  const made = chosen.map((it) => typeof it === "string" ? transports.make(it, {}) : it);
  return chooseTransport(made, { both: makeAuto, policy: relay ?? DEFAULT_RELAY_POLICY, names: transports.names });
}

function signalingOf(
  given: string | Signaling | undefined,
  { token, caCerts }: PeerOptions,
  via?: string,
): Signaling | undefined {
  if (typeof given !== "string") return given;
  return signalings.make(given, {
    ...(token === undefined ? {} : { token }),
    ...(via === undefined ? {} : { via }),
    ...(caCerts === undefined ? {} : { caCerts }),
  });
}

/** The STUN server that is asked if nothing is said of any: a relay tells without being asked where packets come from. */
function stunServersBeside({ hub, relay }: Signaling): readonly string[] {
  return hub === undefined || relay !== undefined ? [] : [conventionalStunServer(hub)];
}

/** A ticket names its hub, a name needs one, and a ticket without a hub needs somebody who pastes the answer. */
function signalingFor(callee: Exclude<Callee, { readonly kind: "relayed" }>, options: DialOptions): Signaling {
  // The answer to hand back comes as a `ticket` event.
  if (callee.kind === "direct") return ticketSignaling({ show: () => {} });
  const signaling = signalingOf(options.signaling, options, options.via) ??
    (callee.kind === "hub" ? signalingOf(callee.hubUrl, options) : undefined);
  if (signaling === undefined || signaling.dialogue === "paste") {
    const name = callee.kind === "name" ? callee.name : "the peer";
    throw new TypeError(`Cannot call ${name}: give signaling, the URL of the hub where it is registered`);
  }
  return signaling;
}

function callerFor(
  callee: Exclude<Callee, { readonly kind: "relayed" }>,
  signaling: Signaling,
  host: Host,
  context: MachineContext,
  { known }: DialOptions,
): CallerMachine {
  if (callee.kind === "direct") return new TicketCaller(onWallClock(host, { ...context, ticket: callee }));
  const hub = signaling.hub ?? signaling.name;
  return new HubCaller(onWallClock(host, { ...context, hub, callee, known: known ?? pinnedInMemory }));
}

function listenerFor(
  signaling: Signaling,
  host: Host,
  context: MachineContext,
  { name, allow, stun }: ListenOptions,
): ListenerMachine {
  if (signaling.dialogue === "paste") {
    return new TicketListener(onWallClock(host, { ...context, stunServers: stun ?? [] }));
  }
  const secret = randomBytes(host.random, TICKET_SECRET_BYTES);
  return new HubListener(onWallClock(host, {
    ...context,
    hub: signaling.hub ?? signaling.name,
    allow: allow ?? ALLOW_TICKET_ONLY,
    ...(name === undefined ? {} : { name }),
    // A hub without a URL, such as one in memory, cannot be named in a ticket.
    ...(signaling.url === undefined ? {} : { ticket: { secret, hubUrl: signaling.url, stunServers: stun ?? [] } }),
  }));
}

/** Has the wall clock asked anew each time: a laptop that slept wakes up in another hour than its monotonic clock says. */
function onWallClock<T extends { readonly epochMs: number }>(host: Host, options: T): T {
  return Object.defineProperty(options, "epochMs", { get: () => host.epochMs });
}

/** Those of this machine, unless a host is given. */
function backendsOf({ backend, host, onEvent }: PeerOptions): Pick<NodeOptions, "host" | "sealing"> {
  if (host !== undefined) return { host };
  const { notes, ...opened } = openBackends(backend);
  for (const message of notes) onEvent?.({ type: "note", message });
  return { host: opened.host, sealing: opened };
}

function nodeOptions(
  backends: Pick<NodeOptions, "host" | "sealing">,
  context: MachineContext,
  signaling: Signaling | undefined,
  stunServers: readonly string[],
  options: PeerOptions,
): NodeOptions {
  const loopback = options.loopback ?? false;
  return {
    ...backends,
    identity: context.key,
    transport: transportOf(options),
    ...(options.relay === undefined ? {} : { relayPolicy: options.relay }),
    providers: (options.candidates ?? ["host", "srflx"]).map((provider) =>
      typeof provider === "string" ? candidates.make(provider, { loopback }) : provider
    ),
    signaling,
    stunServers,
    resolve: resolveServer,
    verifyChain: chainVerifier({
      host: backends.host,
      authorities: systemAuthorities,
      ...(options.caCerts === undefined ? {} : { caCerts: options.caCerts }),
    }),
    protocol: options.protocol ?? DEFAULT_PROTOCOL,
    loopback,
    postQuantum: options.postQuantum ?? false,
    keyLog: options.keyLog ?? false,
    ...(options.quic === undefined ? {} : { quic: options.quic }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
}

/**
 * Runs the command line, with whatever plugins are registered: for a program of one's own that adds some.
 *
 * @param words What follows the program's name.
 * @returns The exit code: 0 done, 1 failed, 2 wrong usage.
 */
export async function commandLine(words: readonly string[]): Promise<number> {
  return await main(words, {
    dial,
    listen,
    names,
    makeCandidates: (name, options) => candidates.make(name, options),
  });
}

if (import.meta.main) {
  if (typeof Deno === "undefined") {
    throw new Error("Cannot run the command line: it needs Deno; dial and listen do not");
  }
  Deno.exit(await commandLine(Deno.args));
}
