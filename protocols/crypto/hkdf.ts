/**
 * HKDF (RFC 5869) and the labelled expansion of TLS 1.3 (RFC 8446 §7.1).
 *
 * @module
 */

import { HASH_BYTES, hmac } from "./hash.ts";
import type { HashName } from "./hash.ts";

const LABEL_PREFIX = "tls13 ";
const NO_CONTEXT = new Uint8Array(0);

/** HKDF-Extract (RFC 5869 §2.2): a pseudorandom key as long as the hash. */
export function hkdfExtract(name: HashName, salt: Uint8Array, inputKeyMaterial: Uint8Array): Uint8Array {
  return hmac(name, salt, inputKeyMaterial);
}

/**
 * HKDF-Expand (RFC 5869 §2.3).
 *
 * @param lengthBytes At most 255 digests.
 * @throws {RangeError} If more is asked for.
 */
export function hkdfExpand(name: HashName, key: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array {
  const digestBytes = HASH_BYTES[name];
  const blocks = Math.ceil(lengthBytes / digestBytes);
  if (blocks > 255) throw new RangeError(`Cannot expand to ${lengthBytes} bytes: at most ${255 * digestBytes}`);
  const counter = new Uint8Array(1);
  const output = new Uint8Array(blocks * digestBytes);
  for (let block = 0; block < blocks; block++) {
    const at = block * digestBytes;
    counter[0] = block + 1;
    output.set(hmac(name, key, output.subarray(Math.max(0, at - digestBytes), at), info, counter), at);
  }
  return output.subarray(0, lengthBytes);
}

/**
 * HKDF-Expand-Label (RFC 8446 §7.1).
 *
 * @param label Without the "tls13 " in front; ASCII.
 * @param context At most 255 bytes.
 */
export function hkdfExpandLabel(
  name: HashName,
  secret: Uint8Array,
  label: string,
  context: Uint8Array = NO_CONTEXT,
  lengthBytes: number = HASH_BYTES[name],
): Uint8Array {
  return hkdfExpand(name, secret, encodeHkdfLabel(label, context, lengthBytes), lengthBytes);
}

/** The `HkdfLabel` structure of RFC 8446 §7.1. */
function encodeHkdfLabel(label: string, context: Uint8Array, lengthBytes: number): Uint8Array {
  const labelBytes = LABEL_PREFIX.length + label.length;
  if (labelBytes > 255 || context.length > 255) throw new RangeError("Cannot expand: label or context over 255 bytes");
  const info = new Uint8Array(4 + labelBytes + context.length);
  info[0] = lengthBytes >>> 8;
  info[1] = lengthBytes;
  info[2] = labelBytes;
  let at = 3;
  for (let i = 0; i < LABEL_PREFIX.length; i++) info[at++] = LABEL_PREFIX.charCodeAt(i);
  for (let i = 0; i < label.length; i++) info[at++] = label.charCodeAt(i);
  info[at++] = context.length;
  info.set(context, at);
  return info;
}
