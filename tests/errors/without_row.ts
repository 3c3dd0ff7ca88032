/**
 * What has no row in the table of errors although an RFC says that it ends a connection, or that it may.
 *
 * @module
 */

/** A rule, and why nobody is seen to break it. */
export interface RuleWithoutRow {
  readonly where: string;
  readonly rule: string;
  readonly why: string;
}

const NO_0RTT = "0-RTT is not built: no ticket is kept, and 0-RTT packets are dropped unopened";
const NO_PSK =
  "pre-shared keys and resumption are not built, and none is offered; what a server sends of them unasked is " +
  "unsupported_extension";
const OURS = "not a breach of the peer's, but our own limit";

/** Rules with MUST. */
export const RULES_WITHOUT_ROW: readonly RuleWithoutRow[] = [
  {
    where: "RFC 9000 §7.4.1",
    rule: "transport parameters lower than those that 0-RTT remembered",
    why: NO_0RTT,
  },
  { where: "RFC 9000 §12.3", rule: "packet number 2^62 - 1 is used up", why: `${OURS}; out of reach` },
  { where: "RFC 9000 §17.2.3, RFC 9001 §8.3", rule: "CRYPTO or EndOfEarlyData in 0-RTT", why: NO_0RTT },
  {
    where: "RFC 9000 §19.16",
    rule: "RETIRE_CONNECTION_ID to an end whose own ID is empty",
    why: "our ends have none that is empty",
  },
  { where: "RFC 9221 §3", rule: "max_datagram_frame_size lower than 0-RTT remembered", why: NO_0RTT },
  { where: "RFC 8446 §4.2.10, §4.2.11", rule: "early_data and pre_shared_key: modes, binders, selection", why: NO_PSK },
  {
    where: "RFC 8446 §4.6.2",
    rule: "authentication after the handshake",
    why: "QUIC forbids it (RFC 9001 §4.4), which has a row",
  },
  {
    where: "RFC 8446 §5",
    rule: "bad_record_mac, record_overflow, change_cipher_spec",
    why: "QUIC has no records: a packet that does not open is dropped (RFC 9001 §5.5)",
  },
  {
    where: "RFC 8446 §4.4.2.2, §6.2",
    rule: "bad_certificate and the other alerts about chains",
    why: "named by whoever answers `verifyPeer`: the rows with a refusal show that what it names is sent " +
      "(`tests/protocols/tls/x509/`, `tests/interop/certificate_chains_test.ts`)",
  },
  {
    where: "RFC 8446 §6, RFC 6066 §3, §8",
    rule: "close_notify, user_canceled, insufficient_security, inappropriate_fallback, unrecognized_name, " +
      "bad_certificate_status_response, unknown_psk_identity",
    why: "we never send them: QUIC closes with CONNECTION_CLOSE, no server name is refused, no status is asked for",
  },
];

/** What an RFC lets us close on, or drop, and we do not close on. */
export const TAKEN_OR_DROPPED: readonly RuleWithoutRow[] = [
  { where: "RFC 9000 §4.5", rule: "data beyond the final size of a stream that is over", why: "passed over" },
  { where: "RFC 9000 §8.2.3", rule: "PATH_RESPONSE that nobody asked for", why: "passed over" },
  { where: "RFC 9000 §12.4", rule: "a frame type in more bytes than it takes", why: "read like any other" },
  { where: "RFC 9000 §14.1", rule: "an Initial of a client in less than 1200 bytes", why: "dropped, and counted" },
  { where: "RFC 9000 §17.2.2", rule: "an Initial of a server with a token", why: "dropped, and counted" },
  { where: "RFC 9000 §17.2.5.2", rule: "a Retry that is forged, late, or empty", why: "dropped, and counted" },
  { where: "RFC 9000 §13.4.2", rule: "counts of ECN that cannot be", why: "read and not kept: we send no ECN" },
];
