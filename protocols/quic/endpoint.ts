/**
 * A QUIC endpoint: routes datagrams to connections by connection ID, admits new ones, answers what belongs to none:
 * RFC 9000 §5.2, §6, §10.3, §14.1. It owns the list of connections with something to send and the heap of deadlines.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { toHex } from "../core/bytes.ts";
import { DeadlineHeap } from "../core/deadline_heap.ts";
import type { DeadlineEntry } from "../core/deadline_heap.ts";
import { MAX_RUN_DATAGRAMS } from "../core/machine.ts";
import type { Datagram, Machine } from "../core/machine.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { Writer } from "../core/writer.ts";
import { AddressValidator } from "./address_validation.ts";
import { AdmissionList } from "./admissions.ts";
import { checkTransportSettings, MAX_TOKEN_BYTES, MAX_UDP_PAYLOAD_BYTES } from "./config.ts";
import type { ConnectOptions, EndpointConfig } from "./config.ts";
import { QuicConnection } from "./connection.ts";
import type { ConnectionHost, ConnectionSetup } from "./connection_setup.ts";
import type { DropReason, EndpointEvent } from "./events.ts";
import { Fifo } from "./fifo.ts";
import { HalfOpenHandshakes, provenSource } from "./half_open.ts";
import { ProbeBudget } from "./nat_traversal/probe_budget.ts";
import { CONNECTION_ID_BYTES, MIN_INITIAL_DATAGRAM_BYTES, PacketHeader, writeVersionNegotiation } from "./packet.ts";
import { MAX_PATHS } from "./paths.ts";
import { MIN_STATELESS_RESET_BYTES } from "./receive.ts";
import { Routes } from "./routes.ts";

/** RFC 9000 §7.2: least length of the connection ID that a client draws. */
const MIN_INITIAL_CONNECTION_ID_BYTES = 8;
/** Answers that belong to no connection and wait to be sent; one more is not given. */
const MAX_STATELESS_ANSWERS = 32;
/** Stateless resets per second: RFC 9000 §10.3.3 and §21.11 want them limited. */
const MAX_RESETS_PER_SECOND = 20;
/** RFC 9000 §10.3: what is too short to be answered with something shorter is not answered. */
const MIN_RESETTABLE_BYTES: number = MIN_STATELESS_RESET_BYTES + 1;
/** Length of the resets we send: like a small packet, and shorter than what they answer. */
const MAX_RESET_BYTES = 42;

/** A connection in the endpoint's tables. */
class Entry implements ConnectionHost {
  readonly #endpoint: EntryOwner;
  connection: QuicConnection | undefined;
  deadline: DeadlineEntry<Entry> | undefined;
  /** Waits in the list of connections with something to send. */
  isReady = false;
  /** Waits in the list of connections with events. */
  isEventful = false;
  /** Counts towards the limit of handshakes: until its own is complete, or nothing is left of it. */
  isHalfOpen = false;
  /** Whose share of them it counts towards, if the address was proven when it began. */
  source: string | undefined;
  /** On a server: key of the client's first connection ID in the table of Initials. */
  initialKey: string | undefined;
  /** Addresses it is found by when a stateless reset comes in. */
  readonly remotes = new Set<Address>();

  constructor(endpoint: EntryOwner) {
    this.#endpoint = endpoint;
  }

  issue(): Uint8Array {
    return this.#endpoint.issue(this);
  }

  tokenOf(connectionId: Uint8Array): Uint8Array {
    return this.#endpoint.tokenOf(connectionId);
  }

  retire(connectionId: Uint8Array): void {
    this.#endpoint.retire(connectionId);
  }

  wake(): void {
    this.#endpoint.wake(this);
  }

  newToken(remote: Address): Uint8Array | undefined {
    return this.#endpoint.newToken(remote);
  }

  drop(reason: DropReason): void {
    this.#endpoint.drop(reason);
  }
}

/** What an entry asks of its endpoint. */
interface EntryOwner {
  issue(entry: Entry): Uint8Array;
  tokenOf(connectionId: Uint8Array): Uint8Array;
  retire(connectionId: Uint8Array): void;
  wake(entry: Entry): void;
  newToken(remote: Address): Uint8Array | undefined;
  drop(reason: DropReason): void;
}

/**
 * Both roles, on any number of bases.
 *
 * The machine is driven as {@linkcode Machine} says; after a command of a connection it has to be drained too. Datagrams
 * of `pollTransmit` may be runs: all of them are in one buffer that the next call fills anew.
 */
export class QuicEndpoint implements Machine<EndpointEvent> {
  readonly #config: EndpointConfig;
  readonly #random: Random;
  readonly #probeBudget: ProbeBudget;
  readonly #routes: Routes<Entry>;
  readonly #owner: EntryOwner;
  readonly #entries = new Set<Entry>();
  /**
   * Connections by the hexadecimal of the ID that their client drew: for as long as they last, because an Initial that was
   * delayed or copied must not begin another one.
   */
  readonly #initials = new Map<string, Entry>();
  readonly #byRemote = new Map<Address, Set<Entry>>();
  readonly #admissions: AdmissionList;
  readonly #validator: AddressValidator;
  readonly #drops = new Map<DropReason, number>();
  // Each entry is in each list at most once.
  readonly #ready = new Fifo<Entry>();
  readonly #eventful = new Fifo<Entry>();
  readonly #incoming = new Fifo<EndpointEvent>();
  readonly #deadlines = new DeadlineHeap<Entry>();
  readonly #answers = new Fifo<Datagram>();
  readonly #sendBuffer = new Uint8Array(MAX_RUN_DATAGRAMS * MAX_UDP_PAYLOAD_BYTES);
  readonly #receiveBuffer = new Uint8Array(65_536);
  readonly #header = new PacketHeader();
  readonly #halfOpen: HalfOpenHandshakes;
  /** When the latest datagram came in. */
  #receivedAt = 0;
  #resetsFrom = -Infinity;
  #resets = 0;

  /**
   * Makes an endpoint without connections. It asks nothing of the network until it is polled.
   *
   * @param config Complete: spread `DEFAULT_ENDPOINT_CONFIG` and say what differs.
   * @throws {RangeError} If a setting cannot work.
   */
  constructor(config: EndpointConfig, random: Random) {
    if (config.server !== undefined) checkTransportSettings(config.server.transport);
    if (config.server?.tunnelTransport !== undefined) checkTransportSettings(config.server.tunnelTransport);
    if (config.resetKey !== undefined && config.resetKey.length < 16) {
      throw new RangeError(`Cannot use resetKey: it has ${config.resetKey.length} bytes, not 16`);
    }
    this.#config = config;
    this.#random = random;
    this.#probeBudget = config.probeBudget ?? new ProbeBudget();
    this.#routes = new Routes(random, config.resetKey ?? randomBytes(random, 32));
    const { maxAdmittedAddresses: maxAddresses, maxAdmittedTokens: maxTokens } = config;
    this.#halfOpen = new HalfOpenHandshakes(config.maxHalfOpenConnections);
    this.#admissions = new AdmissionList({ maxAddresses, maxTokens }, random);
    this.#validator = new AddressValidator(config.server?.addressValidation, config.aead, random);
    this.#owner = {
      issue: (entry) => this.#routes.issue(entry),
      tokenOf: (connectionId) => this.#routes.tokenOf(connectionId),
      retire: (connectionId) => this.#routes.retire(connectionId),
      wake: (entry) => this.#wake(entry),
      newToken: (remote) => this.#validator.newToken(remote, this.#receivedAt),
      drop: (reason) => this.#drop(reason),
    };
  }

  /** What was passed over, and how often, by reason. */
  get drops(): ReadonlyMap<DropReason, number> {
    return this.#drops;
  }

  /** Connections that are not gone yet: closing and draining ones count. */
  get connectionCount(): number {
    return this.#entries.size;
  }

  /** They, in the order they were made. */
  *connections(): Iterable<QuicConnection> {
    for (const { connection } of this.#entries) if (connection !== undefined) yield connection;
  }

  /** Sizes of all tables: each is 0 when there is no connection. */
  get tableSizes(): Readonly<Record<string, number>> {
    return {
      connections: this.#entries.size,
      routes: this.#routes.count,
      initials: this.#initials.size,
      remotes: this.#byRemote.size,
      halfOpen: this.#halfOpen.count,
      halfOpenSources: this.#halfOpen.sources,
      deadlines: this.#deadlines.size,
      ready: this.#ready.count,
      eventful: this.#eventful.count,
      answers: this.#answers.count,
    };
  }

  /**
   * Starts a connection to a server; its first datagram waits to be sent.
   *
   * @throws {TypeError|RangeError} If the options cannot work.
   */
  connect(options: ConnectOptions, now: number): QuicConnection {
    checkTransportSettings(options.transport);
    const entry = new Entry(this.#owner);
    const { base, remote, tls, transport, initialRttMs, maxUnansweredDatagrams, token } = options;
    if (token !== undefined && token.length > MAX_TOKEN_BYTES) {
      throw new RangeError(`Cannot use a token of ${token.length} bytes: at most ${MAX_TOKEN_BYTES} fit`);
    }
    return this.#create(entry, {
      role: "client",
      base,
      remote,
      tls,
      transport,
      originalDestinationId: randomBytes(this.#random, CONNECTION_ID_BYTES),
      initialDatagramBytes: transport.initialDatagramBytes,
      ...(token === undefined ? {} : { token: token.slice() }),
      ...(initialRttMs === undefined ? {} : { initialRttMs }),
      ...(maxUnansweredDatagrams === undefined ? {} : { maxUnansweredDatagrams }),
    }, now);
  }

  /** Lets an address create connections until `untilMs` (monotonic), where the config says `admission: "listed"`. */
  admit(remote: Address, untilMs: number): void {
    this.#admissions.addAddress(remote, untilMs);
  }

  /** Takes `admit` back. Connections that exist go on. */
  unadmit(remote: Address): void {
    this.#admissions.removeAddress(remote);
  }

  /**
   * As `admit`, for whoever brings this token (`connect({ token })`). It proves no address: what the client is sent before
   * it has answered stays limited by what it sent.
   *
   * @throws {RangeError} If it has not 1 to 256 bytes.
   */
  admitToken(token: Uint8Array, untilMs: number): void {
    this.#admissions.addToken(token, untilMs);
  }

  /** Takes `admitToken` back. Connections that exist go on. */
  unadmitToken(token: Uint8Array): void {
    this.#admissions.removeToken(token);
  }

  handleDatagram(datagram: Datagram, now: number): void {
    const { payload, segmentBytes = payload.length } = datagram;
    this.#receivedAt = now;
    if (payload.length === 0) return this.#drop("empty datagram");
    // A datagram of UDP always fits the buffer; what does not is none, nor is a run of empty ones.
    if (segmentBytes < 1 || Math.min(segmentBytes, payload.length) > this.#receiveBuffer.length) {
      return this.#drop("not a datagram");
    }
    for (let start = 0; start < payload.length; start += segmentBytes) {
      const end = Math.min(payload.length, start + segmentBytes);
      // Opened in place, so in our own buffer: the datagram is only lent.
      this.#receiveBuffer.set(payload.subarray(start, end));
      this.#handleSegment(end - start, datagram, now);
    }
  }

  handleTimeout(now: number): void {
    for (let first = this.#deadlines.first(); first !== undefined && first.at <= now; first = this.#deadlines.first()) {
      const entry = first.owner;
      this.#deadlines.set(first, undefined);
      entry.connection?.handleTimeout(now);
      this.#wake(entry);
    }
  }

  pollTransmit(now: number): Datagram | undefined {
    const answer = this.#answers.shift();
    if (answer !== undefined) return answer;
    for (let entry = this.#ready.peek(); entry !== undefined; entry = this.#ready.peek()) {
      this.#ready.shift();
      const transmission = entry.connection?.transmit(this.#sendBuffer, now);
      if (transmission === undefined) {
        entry.isReady = false;
        this.#settle(entry);
        continue;
      }
      // Others first, then this one again.
      this.#ready.push(entry);
      const { path, lengthBytes, segmentBytes } = transmission;
      const payload = this.#sendBuffer.subarray(0, lengthBytes);
      return segmentBytes === undefined
        ? { base: path.base, remote: path.remote, payload }
        : { base: path.base, remote: path.remote, payload, segmentBytes };
    }
    return undefined;
  }

  pollEvent(): EndpointEvent | undefined {
    const incoming = this.#incoming.shift();
    if (incoming !== undefined) return incoming;
    for (let entry = this.#eventful.peek(); entry !== undefined; entry = this.#eventful.peek()) {
      const { connection } = entry;
      const event = connection?.pollEvent();
      if (connection !== undefined && event !== undefined) {
        if (event.type === "pathChanged") this.#addRemote(entry, event.remote);
        return { type: "connection", connection, event };
      }
      this.#eventful.shift();
      entry.isEventful = false;
    }
    return undefined;
  }

  pollTimeout(): number | undefined {
    return this.#deadlines.first()?.at;
  }

  /** One datagram, in the receive buffer. */
  #handleSegment(lengthBytes: number, from: Datagram, now: number): void {
    const buffer = this.#receiveBuffer;
    const isLong = (buffer[0]! & 0x80) !== 0;
    if (!isLong && lengthBytes > CONNECTION_ID_BYTES) {
      const entry = this.#routes.find(buffer, 1);
      if (entry !== undefined) return this.#deliver(entry, lengthBytes, from, now);
    }
    const header = this.#header;
    const fault = header.read(buffer, 0, lengthBytes);
    if (fault === "unknown version") return this.#answerVersion(header, lengthBytes, from, now);
    if (fault !== undefined) return this.#drop(fault);
    if (!isLong) return this.#handleUnrouted(lengthBytes, from, now);
    const id = header.destinationConnectionId;
    const entry = id.length === CONNECTION_ID_BYTES ? this.#routes.find(buffer, 6) : undefined;
    const found = entry ?? (this.#initials.size === 0 ? undefined : this.#initials.get(toHex(id)));
    if (found !== undefined) return this.#deliver(found, lengthBytes, from, now);
    if (header.type !== "Initial") return this.#drop("no connection");
    this.#accept(header, lengthBytes, from, now);
  }

  #deliver(entry: Entry, lengthBytes: number, from: Datagram, now: number): void {
    entry.connection?.handleDatagram(this.#receiveBuffer, 0, lengthBytes, from, now);
    this.#wake(entry);
  }

  /** An Initial of nobody we know: RFC 9000 §5.2.2. */
  #accept(header: PacketHeader, lengthBytes: number, from: Datagram, now: number): void {
    const { server, maxConnections } = this.#config;
    if (server === undefined) return this.#drop("not a server");
    const isTokenKnown = this.#admissions.hasToken(header.token, now);
    const isAdmitted = isTokenKnown || this.#isAdmitted(from.remote, now);
    if (!isAdmitted && header.token.length === 0) return this.#drop("not admitted");
    if (lengthBytes < MIN_INITIAL_DATAGRAM_BYTES) return this.#drop("Initial is too small"); // RFC 9000 §14.1
    if (header.destinationConnectionId.length < MIN_INITIAL_CONNECTION_ID_BYTES) {
      return this.#drop("Initial connection ID is too short");
    }
    if (this.#entries.size >= maxConnections) return this.#drop("too many connections");
    const isUnderLoad = this.#halfOpen.isUnderLoad(now);
    const verdict = this.#validator.judge(header, from.remote, { isAdmitted, isTokenKnown, isUnderLoad }, now);
    if (verdict.type === "retry") {
      this.#drop("Retry sent");
      return this.#answer({ base: from.base, remote: from.remote, payload: verdict.packet });
    }
    if (!verdict.isAdmitted) return this.#drop("not admitted");
    // RFC 9000 §8.1.3 has such a client told, which takes a connection: not while there are too many of them.
    if (verdict.isInvalid && isUnderLoad) return this.#drop("token is invalid");
    const source = verdict.isAddressProven ? provenSource(from.remote) : undefined;
    if (!this.#halfOpen.hasPlace(source)) return this.#drop("too many handshakes");
    const entry = new Entry(this.#owner);
    entry.source = source;
    const originalDestinationId = header.destinationConnectionId.slice();
    const { token, isAddressProven, beforeRetryId, isInvalid } = verdict;
    const { tunnelTransport = server.transport } = server;
    const transport = from.base.kind === "tunnel" ? tunnelTransport : server.transport;
    const connection = this.#create(entry, {
      role: "server",
      base: from.base,
      remote: from.remote,
      tls: server.tls,
      transport,
      originalDestinationId,
      // What has come through one way is taken to come through the other.
      initialDatagramBytes: Math.min(lengthBytes, transport.initialDatagramBytes),
      ...(server.preferredAddress === undefined ? {} : { preferredAddress: server.preferredAddress }),
      peerSourceId: header.sourceConnectionId.slice(),
      isAddressProven,
      ...(beforeRetryId === undefined ? {} : { beforeRetryId }),
    }, now);
    entry.initialKey = toHex(originalDestinationId);
    this.#initials.set(entry.initialKey, entry);
    connection.handleDatagram(this.#receiveBuffer, 0, lengthBytes, from, now);
    if (connection.stats.receivedPackets === 0) {
      // Anybody can send something that looks like an Initial; nothing is said and nothing remembered.
      this.#drop("Initial does not open");
      this.#halfOpen.onUnopened(now);
      connection.abandon();
      while (connection.pollEvent() !== undefined);
      this.#remove(entry);
      return;
    }
    if (isInvalid) {
      this.#drop("token is invalid");
      // RFC 9000 §8.1.2: told at once, or the client would wait in vain.
      connection.refuseToken(now);
      while (connection.pollEvent() !== undefined);
      return;
    }
    this.#incoming.push({ type: "incoming", connection, token });
  }

  #create(
    entry: Entry,
    setup: Omit<ConnectionSetup, "aead" | "random" | "host" | "local" | "probeBudget">,
    now: number,
  ): QuicConnection {
    const local = this.#routes.issue(entry);
    try {
      const { aead } = this.#config;
      entry.connection = new QuicConnection(
        { ...setup, aead, random: this.#random, host: entry, local, probeBudget: this.#probeBudget },
        now,
      );
    } catch (error) {
      this.#routes.retire(local);
      throw error;
    }
    entry.deadline = this.#deadlines.entry(entry);
    this.#entries.add(entry);
    this.#addRemote(entry, setup.remote);
    if (setup.role === "server") {
      entry.isHalfOpen = true;
      this.#halfOpen.begin(entry.source);
    }
    this.#wake(entry);
    return entry.connection;
  }

  /** A short header packet with an ID that is not ours: perhaps a stateless reset, RFC 9000 §10.3. */
  #handleUnrouted(lengthBytes: number, from: Datagram, now: number): void {
    const candidates = this.#byRemote.get(from.remote);
    if (candidates !== undefined && lengthBytes >= MIN_STATELESS_RESET_BYTES) {
      for (const entry of candidates) {
        if (entry.connection?.handleStatelessReset(this.#receiveBuffer, lengthBytes)) {
          this.#wake(entry);
          return;
        }
      }
    }
    this.#drop("no connection");
    if (lengthBytes < MIN_RESETTABLE_BYTES || !this.#isAdmitted(from.remote, now)) return;
    if (now - this.#resetsFrom >= 1000) {
      this.#resetsFrom = now;
      this.#resets = 0;
    }
    if (++this.#resets > MAX_RESETS_PER_SECOND) return;
    const payload = randomBytes(this.#random, Math.min(lengthBytes - 1, MAX_RESET_BYTES));
    payload[0] = 0x40 | (payload[0]! & 0x3f);
    const token = this.#routes.tokenOf(this.#receiveBuffer.subarray(1, 1 + CONNECTION_ID_BYTES));
    payload.set(token, payload.length - token.length);
    this.#answer({ base: from.base, remote: from.remote, payload });
  }

  /** RFC 9000 §6.1: who speaks another version is told which one we speak. */
  #answerVersion(header: PacketHeader, lengthBytes: number, from: Datagram, now: number): void {
    this.#drop("unknown version");
    if (this.#config.server === undefined || lengthBytes < MIN_INITIAL_DATAGRAM_BYTES) return;
    if (!this.#isAdmitted(from.remote, now)) return;
    const writer = new Writer(new Uint8Array(1 + 4 + 256 + 256 + 4));
    writeVersionNegotiation(writer, header, randomBytes(this.#random, 1)[0]!);
    this.#answer({ base: from.base, remote: from.remote, payload: writer.written() });
  }

  #answer(datagram: Datagram): void {
    if (this.#answers.count < MAX_STATELESS_ANSWERS) this.#answers.push(datagram);
  }

  #isAdmitted(remote: Address, now: number): boolean {
    return this.#config.admission === "open" || this.#admissions.hasAddress(remote, now);
  }

  #wake(entry: Entry): void {
    if (!entry.isReady) {
      entry.isReady = true;
      this.#ready.push(entry);
    }
    if (!entry.isEventful) {
      entry.isEventful = true;
      this.#eventful.push(entry);
    }
  }

  /** The connection has nothing to send: its deadline is taken up, and what it does not need any more let go. */
  #settle(entry: Entry): void {
    const { connection, deadline } = entry;
    if (connection === undefined || deadline === undefined) return;
    // What fails before counts until it is forgotten: it takes as much room as one that goes on.
    if (connection.isEstablished) this.#endHalfOpen(entry);
    if (connection.state === "drained") this.#remove(entry);
    else this.#deadlines.set(deadline, connection.pollTimeout());
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry);
    if (entry.deadline !== undefined) this.#deadlines.set(entry.deadline, undefined);
    entry.deadline = undefined;
    this.#endHalfOpen(entry);
    if (entry.initialKey !== undefined) this.#initials.delete(entry.initialKey);
    entry.initialKey = undefined;
    for (const remote of entry.remotes) this.#removeRemote(entry, remote);
  }

  #endHalfOpen(entry: Entry): void {
    if (!entry.isHalfOpen) return;
    entry.isHalfOpen = false;
    this.#halfOpen.end(entry.source);
  }

  #removeRemote(entry: Entry, remote: Address): void {
    const entries = this.#byRemote.get(remote);
    entries?.delete(entry);
    if (entries?.size === 0) this.#byRemote.delete(remote);
    entry.remotes.delete(remote);
  }

  #addRemote(entry: Entry, remote: Address): void {
    if (!this.#entries.has(entry)) return;
    // Of a connection that moves on and on the latest are enough.
    for (const oldest of entry.remotes) {
      if (entry.remotes.size < MAX_PATHS) break;
      this.#removeRemote(entry, oldest);
    }
    let entries = this.#byRemote.get(remote);
    if (entries === undefined) this.#byRemote.set(remote, entries = new Set());
    entries.add(entry);
    entry.remotes.add(remote);
  }

  #drop(reason: DropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }
}
