/**
 * Self-signed X.509 certificates for tests (RFC 5280 §4.1, RFC 8410 for Ed25519): a leaf that is not a CA, for `localhost`
 * and 127.0.0.1, made anew each time, so that no private key is kept in the repository.
 *
 * @module
 */

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { ascii, bitString, integer, octetString, oid, sequence, tlv, toPem, utcTime, utf8 } from "./der.ts";

/** A certificate with its key, in every form a peer wants it. */
export interface TestCertificate {
  readonly der: Uint8Array<ArrayBuffer>;
  readonly pem: string;
  /** PKCS #8. */
  readonly keyPem: string;
  readonly key: KeyObject;
  /** SHA-256 of `der`: what a pin holds. */
  readonly sha256: Uint8Array<ArrayBuffer>;
}

/** Makes a certificate valid from a day ago for `validDays`. */
export function selfSignedCertificate(
  algorithm: "Ed25519" | "P-256",
  options: { validDays?: number } = {},
): TestCertificate {
  const { privateKey, publicKey } = algorithm === "Ed25519"
    ? generateKeyPairSync("ed25519")
    : generateKeyPairSync("ec", { namedCurve: "P-256" });
  // id-Ed25519 (RFC 8410 §3) and ecdsa-with-SHA256 (RFC 5758 §3.2), both without parameters.
  const signatureAlgorithm = sequence(
    algorithm === "Ed25519" ? oid(0x2b, 0x65, 0x70) : oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02),
  );
  const name = sequence(tlv(0x31, sequence(oid(0x55, 0x04, 0x03), utf8("localhost"))));
  const from = Date.now() - 86_400_000;
  const to = from + (options.validDays ?? 10) * 86_400_000;
  const certificate = sequence(
    tlv(0xa0, integer([2])), // v3
    integer([0x40, ...randomBytes(8)]),
    signatureAlgorithm,
    name,
    sequence(utcTime(from), utcTime(to)),
    name,
    new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
    tlv(0xa3, sequence(...extensions())),
  );
  const signature = sign(algorithm === "Ed25519" ? null : "sha256", certificate, privateKey);
  const der = sequence(certificate, signatureAlgorithm, bitString(signature));
  return {
    der,
    pem: toPem("CERTIFICATE", der),
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    key: privateKey,
    sha256: new Uint8Array(createHash("sha256").update(der).digest()),
  };
}

function extensions(): Uint8Array[] {
  const critical = tlv(0x01, Uint8Array.of(0xff));
  const names = sequence(tlv(0x82, ascii("localhost")), tlv(0x87, Uint8Array.of(127, 0, 0, 1)));
  return [
    sequence(oid(0x55, 0x1d, 0x13), critical, octetString(sequence())), // basicConstraints: not a CA
    sequence(oid(0x55, 0x1d, 0x0f), critical, octetString(tlv(0x03, Uint8Array.of(7, 0x80)))), // digitalSignature
    sequence(oid(0x55, 0x1d, 0x11), octetString(names)), // subjectAltName
  ];
}
