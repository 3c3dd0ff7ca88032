/**
 * QUIC and the TLS inside it, as transports of others are given it by `mod.ts`: names from many rooms, and nothing of its own.
 *
 * @module
 */

export type { ScopeRules } from "../protocols/core/address_scope.ts";
export type { Aead, AeadBackend, AeadLimits, AeadName, HeaderProtection } from "../protocols/crypto/aead.ts";
export type { AddressDiscoveryRole } from "../protocols/quic/address_discovery.ts";
export { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../protocols/quic/config.ts";
export type { AddressValidation, ConnectOptions, EndpointConfig } from "../protocols/quic/config.ts";
export type { ServerConfig, TlsSettings } from "../protocols/quic/config.ts";
export type { PreferredAddresses } from "../protocols/quic/preferred_address.ts";
export type { QuicConnection } from "../protocols/quic/connection.ts";
export type {
  CloseFrame,
  CloseReason,
  CloseSource,
  State as ConnectionState,
} from "../protocols/quic/connection_state.ts";
export type { ConnectionStats } from "../protocols/quic/connection_stats.ts";
export { QuicEndpoint } from "../protocols/quic/endpoint.ts";
export type { ConnectionEvent, DropReason, EndpointEvent } from "../protocols/quic/events.ts";
export type { NatTraversalSettings } from "../protocols/quic/extensions.ts";
export type { ProbeBudget, ProbeLimits } from "../protocols/quic/nat_traversal/probe_budget.ts";
export type {
  TraversalCounts,
  TraversalEvent as NatTraversalEvent,
} from "../protocols/quic/nat_traversal/traversal.ts";
export type { Directionality, Role } from "../protocols/quic/stream_id.ts";
export { ALERT_CODES } from "../protocols/tls/alerts.ts";
export type { AlertName } from "../protocols/tls/alerts.ts";
export type { CertificateType, Credential } from "../protocols/tls/certificates.ts";
export type { CipherSuiteName } from "../protocols/tls/cipher_suites.ts";
export type { TlsConfig } from "../protocols/tls/config.ts";
export type { KeyLogLabel, Verdict } from "../protocols/tls/events.ts";
export type { NamedGroupName } from "../protocols/tls/named_groups.ts";
export type { PeerIdentity as TlsPeerIdentity, PeerPolicy } from "../protocols/tls/peer_policy.ts";
export type { SignatureScheme } from "../protocols/tls/signature_schemes.ts";
export { tlsSettings } from "./tls_settings.ts";
