/**
 * Traverse: peer-to-peer QUIC through NATs.
 *
 * @module
 */

export type { Address } from "./protocols/core/address.ts";
export { addressOf, parseAddress } from "./protocols/core/address.ts";
