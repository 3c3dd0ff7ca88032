/**
 * The relay as `serve` opens it: its sockets, its certificate, who may use it, and its metrics.
 *
 * @module
 */

import type { Host } from "../io/host.ts";
import { resolveOwnAddress } from "../io/resolve.ts";
import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import type { Base } from "../protocols/core/machine.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import { SigningKey } from "../protocols/crypto/signature.ts";
import { type Credential, x509Credential } from "../protocols/tls/certificates.ts";
import { decodePem } from "../protocols/tls/pem.ts";
import type { HubGate } from "./hub_connection.ts";
import { stunPlaces } from "./listen_addresses.ts";
import { countersOf, type Metric } from "./metrics.ts";
import { relaySecretOf } from "./named_relays.ts";
import { Relay } from "./relay.ts";
import { issueRelayToken } from "./relay_token.ts";
import { makeRelayState, type RelayState } from "./relay_state.ts";

/** What of the options of `serve` concerns the relay. */
export interface RelayServiceOptions {
  readonly host: Host;
  readonly epochMs: number;
  readonly relay?: string;
  readonly relayToken?: string;
  readonly token?: string;
  readonly relaySecret?: string;
  readonly relayAnyone?: boolean;
  readonly relayState?: RelayState;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** The hub that the relay carries messages for. */
  readonly gate?: HubGate;
}

/** A relay that runs, as its service tells of it. */
export interface RelayService {
  /** Where it listens. */
  readonly addresses: readonly Address[];
  /** SHA-256 of its certificate in DER: what clients pin. */
  readonly certificateSha256: Uint8Array;
  /** Whether it asks for nothing: on loopback only. */
  readonly isOpen: boolean;
  /** A token for a registered Ed25519 key of 32 bytes, for some minutes from `now` (monotonic ms). */
  issueToken(publicKey: Uint8Array, now: number): string;
}

/** The same, as the service runs it. */
export interface OpenRelay extends RelayService {
  readonly machine: Relay;
  /** Closes its sockets. */
  close(): void;
}

/**
 * Where the relay listens that was asked for, if one was.
 *
 * @throws {TypeError} If the address is not `HOST:PORT`.
 * @throws {Error} If the name is not known, or everybody could use the relay.
 */
export async function relayPlaces(options: RelayServiceOptions): Promise<readonly Address[] | undefined> {
  const { host, relay } = options;
  if (relay === undefined) return undefined;
  // A port is bound beside the socket that its tunnel comes to, so that each address has its own, as STUN has.
  const { addresses } = await stunPlaces(host, [relay], await resolveOwnAddress(relay));
  if (addresses.some((address) => scopeOf(address) === "unspecified")) {
    throw new Error(`Cannot open a relay on ${relay}: this machine's addresses are not known; give one of them`);
  }
  if (!isOnLoopback(addresses) && !isGuarded(options) && options.relayAnyone !== true) {
    throw new Error(
      `Cannot open a relay on ${relay}: everybody could use it; give --relay-token, or a loopback address, or --relay-anyone if that is meant`,
    );
  }
  return addresses;
}

/**
 * Opens a relay on those addresses.
 *
 * @throws {TypeError} If the certificate is not what it should be.
 * @throws {Error} If an address cannot be bound.
 */
export function openRelay(options: RelayServiceOptions, addresses: readonly Address[]): OpenRelay {
  const { host, epochMs, tls } = options;
  const token = tokenOf(options);
  const state = options.relayState ?? makeRelayState(host.random, epochMs + host.now());
  const certificate = tls === undefined ? state.certificate : givenCertificate(tls);
  const bases = bindAll(host, addresses);
  const secret = options.relaySecret === undefined ? state.tokenSecret : relaySecretOf(options.relaySecret);
  const isOpen = isOnLoopback(addresses) && !isGuarded(options);
  const machine = new Relay({
    bases,
    binder: host,
    random: host.random,
    credential: certificate.credential,
    resetKey: state.resetKey,
    portSecret: state.portSecret,
    access: { secret, isOpen, ...(token === undefined ? {} : { token }) },
    ...(options.gate === undefined ? {} : { gate: options.gate }),
    otherHosts: host.interfaces().map(({ address }) => address.host),
    epochMs,
  });
  return {
    machine,
    addresses: bases.map((base) => base.local),
    certificateSha256: certificate.sha256,
    isOpen,
    issueToken: (publicKey, now) => issueRelayToken(secret, publicKey, epochMs + now),
    close: () => {
      machine.close();
      for (const base of bases) host.close(base);
    },
  };
}

function tokenOf({ relayToken, token }: RelayServiceOptions): string | undefined {
  return relayToken ?? token;
}

/** Whether users have to show something that not everybody has. */
function isGuarded(options: RelayServiceOptions): boolean {
  return tokenOf(options) !== undefined || options.relaySecret !== undefined;
}

function isOnLoopback(addresses: readonly Address[]): boolean {
  return addresses.every((address) => scopeOf(address) === "loopback");
}

/** What a relay counts; nothing without one. */
export function relayMetrics(relay: Relay | undefined): Metric[] {
  if (relay === undefined) return [];
  const { connections, ports, keptPorts } = relay.sizes;
  const { bytes } = relay;
  const drops = new Map([...relay.drops].map(([reason, count]) => [`dropped_${reason.replaceAll(" ", "_")}`, count]));
  return [
    { name: "traverse_relay_connections", type: "gauge", help: "Connections to the relay.", value: connections },
    { name: "traverse_relay_ports", type: "gauge", help: "Ports that are bound.", value: ports },
    { name: "traverse_relay_kept_ports", type: "gauge", help: "Ports that wait for their key.", value: keptPorts },
    {
      name: "traverse_relay_signals",
      type: "gauge",
      help: "Clients of the hub by way of the relay.",
      value: relay.signalCount,
    },
    {
      name: "traverse_relay_bytes_in_total",
      type: "counter",
      help: "UDP payload that came to ports.",
      value: bytes.in,
    },
    {
      name: "traverse_relay_bytes_out_total",
      type: "counter",
      help: "UDP payload that left by ports.",
      value: bytes.out,
    },
    ...countersOf("relay", new Map<string, number>([...relay.counters, ...drops]), "Relay"),
  ];
}

function givenCertificate(tls: { readonly cert: string; readonly key: string }): {
  readonly credential: Credential;
  readonly sha256: Uint8Array;
} {
  const chain = decodePem(tls.cert, "CERTIFICATE");
  const [key] = decodePem(tls.key, "PRIVATE KEY");
  const [leaf] = chain;
  if (leaf === undefined || key === undefined) {
    throw new TypeError("Cannot open a relay: there is no certificate, or no key in PKCS #8");
  }
  return { credential: x509Credential(chain, SigningKey.fromPkcs8(key)), sha256: sha256(leaf) };
}

function bindAll(host: Host, addresses: readonly Address[]): Base[] {
  const bases: Base[] = [];
  for (const address of addresses) {
    try {
      bases.push(host.bind(address));
    } catch (cause) {
      for (const base of bases) host.close(base);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot listen on UDP ${address}: ${reason}`, { cause });
    }
  }
  return bases;
}
