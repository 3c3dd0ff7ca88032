/**
 * Which errors of sending say that this host has no way to a remote address.
 *
 * An ICMP message can be forged by anyone who knows both addresses, so what only ICMP brings, such as "connection refused",
 * is not among them (RFC 8445 §7.2.5.2.4 allows to act on ICMP, RFC 9000 §14.2.1 warns).
 *
 * @module
 */

const NO_WAY: ReadonlySet<string> = new Set([
  // The system's names.
  ...["ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL", "EPERM", "EACCES"],
  // The runtime's classes, where it gives no more than that.
  ...["NetworkUnreachable", "HostUnreachable", "AddrNotAvailable", "PermissionDenied", "NotCapable"],
]);

/** Whether an error of this name is our own host's refusal to send there. */
export function isNoWay(code: string): boolean {
  return NO_WAY.has(code);
}
