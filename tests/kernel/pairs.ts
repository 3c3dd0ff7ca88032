/**
 * Pairs of NATs: those that hole punching gets through, and those that it does not.
 *
 * @module
 */

import type { NatKind } from "./namespaces.ts";

/** Caller and listener that reach each other: spec of hole punching with probes from both sides. */
export const CONNECTED: readonly (readonly [NatKind, NatKind])[] = [
  ["EIM+EIF", "EIM+EIF"],
  ["EIM+ADF", "EIM+ADF"],
  ["EIM+APDF", "EIM+APDF"],
  ["APDM+APDF", "EIM+EIF"],
  ["EIM+EIF", "APDM+APDF"],
  ["APDM+APDF", "EIM+ADF"],
];

/** Both ports of one side, or of both, are unknown to the other until it is too late. */
export const NOT_CONNECTED: readonly (readonly [NatKind, NatKind])[] = [
  ["EIM+APDF", "APDM+APDF"],
  ["APDM+APDF", "APDM+APDF"],
];
