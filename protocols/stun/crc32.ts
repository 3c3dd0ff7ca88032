/**
 * CRC-32 as FINGERPRINT uses it (RFC 8489 §14.7, ITU-T V.42): a checksum, no protection.
 *
 * @module
 */

const TABLE = /* @__PURE__ */ makeTable();

/** CRC-32 of `bytes[0, end)`. */
export function crc32(bytes: Uint8Array, end: number = bytes.length): number {
  let crc = 0xffffffff;
  for (let i = 0; i < end; i++) crc = TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320;
    table[byte] = crc;
  }
  return table;
}
