/**
 * A certificate for a server that has none: X.509 v3 (RFC 5280 §4.1) with an Ed25519 key (RFC 8410), signed by itself.
 * Clients know it by its SHA-256 alone, so that it says as little as a certificate can.
 *
 * @module
 */

import { concatBytes, equalBytes } from "../protocols/core/bytes.ts";
import { type Random, randomBytes } from "../protocols/core/random.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { sha256 } from "../protocols/crypto/hash.ts";
import type { Credential } from "../protocols/tls/certificates.ts";
import { subjectPublicKeyInfo } from "../protocols/tls/x509.ts";
import { encodeText } from "../signaling/signed.ts";

/** Ten years: a pin is exact, and there is nobody to renew it. */
const LIFETIME_MS = 3650 * 86_400_000;
/** For clients whose clock is behind. */
const BEFORE_MS = 86_400_000;

/** A certificate, and what to pin it by. */
export interface SelfSigned {
  readonly credential: Credential;
  /** SHA-256 of the certificate in DER. */
  readonly sha256: Uint8Array;
}

/**
 * Makes a certificate.
 *
 * @param name What stands for subject, issuer and host name.
 * @param epochMs The present, milliseconds since 1970.
 * @param key Whose it is. Default: a fresh one.
 */
export function makeSelfSigned(
  name: string,
  random: Random,
  epochMs: number,
  key: Ed25519PrivateKey = Ed25519PrivateKey.generate(random),
): SelfSigned {
  const algorithm = sequence(element(0x06, Uint8Array.of(0x2b, 0x65, 0x70))); // id-Ed25519, RFC 8410 §3
  const commonName = sequence(
    element(0x31, sequence(element(0x06, Uint8Array.of(0x55, 0x04, 0x03)), element(0x0c, encodeText(name)))),
  );
  const serial = randomBytes(random, 16);
  serial[0] = (serial[0]! & 0x3f) | 0x40; // positive, and of one length: RFC 5280 §4.1.2.2
  const body = sequence(
    element(0xa0, element(0x02, Uint8Array.of(2))), // version 3
    element(0x02, serial),
    algorithm,
    commonName,
    sequence(time(epochMs - BEFORE_MS), time(epochMs + LIFETIME_MS)),
    commonName,
    key.publicKey.toSpki(),
    element(0xa3, sequence(subjectAlternativeName(name))),
  );
  return selfSigned(sequence(body, algorithm, element(0x03, concatBytes(Uint8Array.of(0), key.sign(body)))), key);
}

/** A certificate that was made before, for that key; `undefined` if it is another's, or none. */
export function ownCertificate(certificate: Uint8Array, key: Ed25519PrivateKey): SelfSigned | undefined {
  const spki = subjectPublicKeyInfo(certificate);
  return spki !== undefined && equalBytes(spki, key.publicKey.toSpki()) ? selfSigned(certificate, key) : undefined;
}

function selfSigned(certificate: Uint8Array, key: Ed25519PrivateKey): SelfSigned {
  return {
    credential: {
      certificateType: "X509",
      certificates: [certificate],
      signatureSchemes: ["ed25519"],
      sign: (_scheme, input): Uint8Array => key.sign(input),
    },
    sha256: sha256(certificate),
  };
}

/** RFC 5280 §4.2.1.6: id-ce-subjectAltName with one dNSName. */
function subjectAlternativeName(name: string): Uint8Array {
  return sequence(
    element(0x06, Uint8Array.of(0x55, 0x1d, 0x11)),
    element(0x04, sequence(element(0x82, encodeText(name)))),
  );
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime from then on. */
function time(epochMs: number): Uint8Array {
  const { year, rest } = calendar(epochMs);
  return year < 2050
    ? element(0x17, encodeText(`${digits(year % 100)}${rest}`))
    : element(0x18, encodeText(`${year}${rest}`));
}

/** The civil date of an instant, by counting days in eras of 400 years; `rest` is MMDDHHMMSSZ. */
function calendar(epochMs: number): { year: number; rest: string } {
  const seconds = Math.floor(epochMs / 1000);
  // Years begin in March, so that the leap day is the last.
  const days = Math.floor(seconds / 86_400) + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  return { year, rest: `${[month, day, ...clock].map(digits).join("")}Z` };
}

function digits(value: number): string {
  return String(value).padStart(2, "0");
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x30, ...parts);
}

/** Tag, length in as few bytes as can be (X.690 §10.1), contents. */
function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const contents = concatBytes(...parts);
  const { length } = contents;
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.from(header), contents);
}
