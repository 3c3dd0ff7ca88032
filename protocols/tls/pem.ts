/**
 * Certificates and keys in text form: PEM (RFC 7468).
 *
 * @module
 */

/**
 * The bytes of every block with that label, in their order.
 *
 * @param label `CERTIFICATE` for a chain, `PRIVATE KEY` for PKCS #8.
 * @throws {TypeError} If a block is not base64.
 */
export function decodePem(text: string, label: "CERTIFICATE" | "PRIVATE KEY"): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (const [, body] of text.matchAll(PATTERNS[label])) {
    try {
      blocks.push(Uint8Array.from(atob((body ?? "").replace(/\s+/g, "")), (character) => character.charCodeAt(0)));
    } catch (cause) {
      throw new TypeError(`Cannot read ${label}: a block is not base64`, { cause });
    }
  }
  return blocks;
}

const PATTERNS = {
  "CERTIFICATE": /-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g,
  "PRIVATE KEY": /-----BEGIN PRIVATE KEY-----([^-]*)-----END PRIVATE KEY-----/g,
} as const;
