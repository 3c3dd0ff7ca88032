/**
 * Makes the parts of a connection from what its endpoint knows: defaults, limits and transport parameters come together
 * here: RFC 9000 §7.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import type { Base } from "../core/machine.ts";
import type { Random } from "../core/random.ts";
import type { AeadBackend } from "../crypto/aead.ts";
import type { TlsSettings, TransportSettings } from "./config.ts";
import { NewReno } from "./congestion.ts";
import { LocalConnectionIds, MAX_LOCAL_CONNECTION_IDS } from "./connection_ids.ts";
import type { ConnectionIdRegistry } from "./connection_ids.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { ConnectionState } from "./connection_state.ts";
import { Datagrams } from "./datagrams.ts";
import type { DropReason } from "./events.ts";
import { Extensions, TRAVERSAL_CONNECTION_IDS } from "./extensions.ts";
import { Fifo } from "./fifo.ts";
import { Handshake } from "./handshake.ts";
import { Idle } from "./idle.ts";
import { KeyUpdate } from "./key_update.ts";
import { LossDetection } from "./loss_detection.ts";
import { Mtu } from "./mtu.ts";
import { Pacer } from "./pacer.ts";
import type { ProbeBudget } from "./nat_traversal/probe_budget.ts";
import { PacketSpace } from "./packet_space.ts";
import { Paths } from "./paths.ts";
import { encodePreferredAddress } from "./preferred_address.ts";
import type { PreferredAddresses } from "./preferred_address.ts";
import { ACTIVE_CONNECTION_ID_LIMIT, RemoteConnectionIds } from "./remote_connection_ids.ts";
import { Rtt } from "./rtt.ts";
import type { Role } from "./stream_id.ts";
import { Streams } from "./streams.ts";
import { Timers } from "./timers.ts";
import { DEFAULT_TRANSPORT_PARAMETERS, encodeTransportParameters } from "./transport_parameters.ts";
import type { TransportParameters } from "./transport_parameters.ts";

/** The endpoint as a connection sees it. */
export interface ConnectionHost extends ConnectionIdRegistry {
  /** The connection may have something to send, an event, or another deadline. */
  wake(): void;
  /** On a server: what the client is given for its next connection; `undefined` for nothing. RFC 9000 §8.1.3. */
  newToken(remote: Address): Uint8Array | undefined;
  /** Counts something that was passed over. */
  drop(reason: DropReason): void;
}

/** What a connection is made from; for {@linkcode QuicEndpoint} only. */
export interface ConnectionSetup {
  readonly role: Role;
  readonly base: Base;
  readonly remote: Address;
  readonly tls: TlsSettings;
  readonly transport: TransportSettings;
  readonly aead: AeadBackend;
  readonly random: Random;
  readonly host: ConnectionHost;
  /** Our first connection ID, already routed here. */
  readonly local: Uint8Array;
  /** Destination Connection ID of the client's first Initial: drawn on a client, received on a server. */
  readonly originalDestinationId: Uint8Array;
  /** On a server: Source Connection ID of the client's first Initial. */
  readonly peerSourceId?: Uint8Array;
  /** On a server whose Retry the client followed: Destination Connection ID of the Initial before it, RFC 9000 §7.3. */
  readonly beforeRetryId?: Uint8Array;
  /** On a server: whether a token has shown that the client gets what is sent to its address, RFC 9000 §8.1. */
  readonly isAddressProven?: boolean;
  readonly initialRttMs?: number;
  readonly maxUnansweredDatagrams?: number;
  /** Of the endpoint, for probes of NAT traversal. */
  readonly probeBudget: ProbeBudget;
  /** UDP payload of datagrams with an Initial packet. */
  readonly initialDatagramBytes: number;
  /** On a server: where it would rather be reached. */
  readonly preferredAddress?: PreferredAddresses;
  /** On a client: for its Initials; kept. */
  readonly token?: Uint8Array;
}

/** All parts of a connection that has not said anything yet. @throws {TypeError|RangeError} If TLS cannot start so. */
export function makeParts(setup: ConnectionSetup): ConnectionParts {
  const { host, role, transport, random } = setup;
  const timers = new Timers();
  const rtt = new Rtt(setup.initialRttMs);
  const loss = new LossDetection({ role, rtt });
  const spaces = {
    Initial: new PacketSpace("Initial", 0),
    Handshake: new PacketSpace("Handshake", 0),
    Application: new PacketSpace("Application", transport.maxAckDelayMs),
  };
  const idle = new Idle(timers, {
    timeoutMs: transport.idleTimeoutMs,
    keepAliveMs: transport.keepAliveMs,
    probeTimeoutMs: () => loss.ptoMs,
  });
  const { natTraversal, addressDiscovery } = transport;
  const extensions = natTraversal === undefined && addressDiscovery === undefined
    ? undefined
    : new Extensions({ role, natTraversal, addressDiscovery, random, budget: setup.probeBudget });
  const localIds = new LocalConnectionIds(
    setup.host,
    setup.local,
    natTraversal === undefined ? MAX_LOCAL_CONNECTION_IDS : TRAVERSAL_CONNECTION_IDS,
  );
  const preferredAddress = setup.preferredAddress === undefined
    ? undefined
    : encodePreferredAddress(setup.preferredAddress, localIds.issuePreferred());
  const parameters = { ...extensions?.parameters, ...(preferredAddress === undefined ? {} : { preferredAddress }) };
  const tls = { ...setup.tls, role, transportParameters: ourTransportParameters(setup, parameters) };
  return {
    role,
    settings: transport,
    random,
    origin: {
      originalDestinationId: setup.originalDestinationId,
      sourceId: setup.local,
      peerSourceId: setup.peerSourceId,
      retrySourceId: undefined,
      token: setup.token ?? new Uint8Array(0),
    },
    state: new ConnectionState(),
    paths: new Paths(setup.base, setup.remote, role === "client" || setup.isAddressProven === true),
    localIds,
    remoteIds: new RemoteConnectionIds(setup.peerSourceId ?? setup.originalDestinationId, remoteIdLimit(transport)),
    spaces,
    handshake: new Handshake({ role, tls, aead: setup.aead, random, spaces }),
    keyUpdate: new KeyUpdate(spaces.Application),
    rtt,
    loss,
    congestion: new NewReno(setup.initialDatagramBytes),
    pacer: new Pacer(setup.initialDatagramBytes),
    mtu: new Mtu(setup.initialDatagramBytes, transport.maxUdpPayloadBytes),
    streams: new Streams(role, {
      connectionWindow: {
        windowBytes: transport.connectionWindowBytes,
        maxWindowBytes: transport.maxConnectionWindowBytes,
      },
      streamWindow: { windowBytes: transport.streamWindowBytes, maxWindowBytes: transport.maxStreamWindowBytes },
      maxBidirectionalStreams: transport.maxBidirectionalStreams,
      maxUnidirectionalStreams: transport.maxUnidirectionalStreams,
    }),
    datagrams: new Datagrams(),
    timers,
    idle,
    extensions,
    pending: { isHandshakeDoneDue: false, newToken: undefined, isPingDue: false, isCloseDue: false },
    earlyDial: { remainingDatagrams: setup.maxUnansweredDatagrams ?? Infinity },
    epoch: { id: 0, askedElsewhereAt: -Infinity, keptOpenAt: -Infinity },
    counters: {
      sentBytes: 0,
      sentDatagrams: 0,
      sentPackets: 0,
      receivedBytes: 0,
      receivedDatagrams: 0,
      receivedPackets: 0,
      lostPackets: 0,
    },
    events: new Fifo(),
    makeNewToken: (remote: Address): Uint8Array | undefined => host.newToken(remote),
    drop: (reason: DropReason): void => host.drop(reason),
  };
}

/** Each path that is probed has an ID of its own: RFC 9000 §9.5. */
function remoteIdLimit({ natTraversal }: TransportSettings): number {
  return natTraversal === undefined ? ACTIVE_CONNECTION_ID_LIMIT : TRAVERSAL_CONNECTION_IDS;
}

function ourTransportParameters(setup: ConnectionSetup, others: Partial<TransportParameters>): Uint8Array {
  const { transport, role, local } = setup;
  return encodeTransportParameters({
    ...DEFAULT_TRANSPORT_PARAMETERS,
    ...(role === "server"
      ? {
        originalDestinationConnectionId: setup.beforeRetryId ?? setup.originalDestinationId,
        ...(setup.beforeRetryId === undefined ? {} : { retrySourceConnectionId: setup.originalDestinationId }),
        statelessResetToken: setup.host.tokenOf(local),
      }
      : {}),
    maxIdleTimeoutMs: transport.idleTimeoutMs,
    initialMaxData: transport.connectionWindowBytes,
    initialMaxStreamDataBidiLocal: transport.streamWindowBytes,
    initialMaxStreamDataBidiRemote: transport.streamWindowBytes,
    initialMaxStreamDataUni: transport.streamWindowBytes,
    initialMaxStreamsBidi: transport.maxBidirectionalStreams,
    initialMaxStreamsUni: transport.maxUnidirectionalStreams,
    maxAckDelayMs: transport.maxAckDelayMs,
    disableActiveMigration: transport.disableActiveMigration,
    activeConnectionIdLimit: remoteIdLimit(transport),
    initialSourceConnectionId: local,
    maxDatagramFrameSize: transport.maxDatagramFrameBytes,
    ...others,
  });
}
