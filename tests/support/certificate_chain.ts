/**
 * Chains of certificates for tests (RFC 5280): authorities and what they issue, each right unless told otherwise.
 *
 * @module
 */

import { constants, createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { ascii, bitString, integer, octetString, oid, sequence, tlv, toPem, utcTime, utf8 } from "./der.ts";

/** The present of these chains: all are valid for a day before and after. */
export const CHAIN_EPOCH_MS: number = Date.UTC(2026, 10, 22, 12);

const DAY_MS = 86_400_000;

/** A key and how it signs certificates. */
export interface ChainKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly algorithm: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** A certificate with its key: it can issue others. */
export interface Issued {
  readonly der: Uint8Array<ArrayBuffer>;
  readonly pem: string;
  /** PKCS #8. */
  readonly keyPem: string;
  readonly key: ChainKey;
  readonly subject: Uint8Array;
  readonly sha256: Uint8Array<ArrayBuffer>;
}

/** What a certificate is to say. */
export interface CertificateRequest {
  /** The common name; `""`: no name at all. */
  readonly name?: string;
  /** Who issues it; absent: itself. */
  readonly issuer?: Issued;
  readonly key?: ChainKey;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** subjectAltName: elements of GeneralName, see `dnsName` and the like. */
  readonly names?: readonly Uint8Array[];
  /** The contents of basicConstraints; `"none"`: no such extension. */
  readonly basicConstraints?: { readonly isCa: boolean; readonly pathLen?: number } | "none";
  /** The first byte of the bits; digitalSignature is 0x80, keyCertSign 0x04. */
  readonly keyUsage?: number;
  readonly extendedKeyUsage?: readonly Uint8Array[];
  readonly nameConstraints?: { readonly permitted?: readonly Uint8Array[]; readonly excluded?: readonly Uint8Array[] };
  /** Extensions besides. */
  readonly extensions?: readonly Uint8Array[];
  /** Does something to the signature. */
  readonly damage?: (signature: Uint8Array) => Uint8Array;
}

export const SERVER_AUTH: Uint8Array<ArrayBuffer> = oid(0x2b, 6, 1, 5, 5, 7, 3, 1);
export const CLIENT_AUTH: Uint8Array<ArrayBuffer> = oid(0x2b, 6, 1, 5, 5, 7, 3, 2);

/** GeneralName: dNSName. */
export function dnsName(name: string): Uint8Array<ArrayBuffer> {
  return tlv(0x82, ascii(name));
}

/** GeneralName: iPAddress, or a network of address and mask. */
export function ipAddress(...bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  return tlv(0x87, Uint8Array.from(bytes));
}

/** GeneralName: rfc822Name. */
export function emailName(name: string): Uint8Array<ArrayBuffer> {
  return tlv(0x81, ascii(name));
}

/** GeneralName: directoryName with one common name. */
export function directoryName(name: string): Uint8Array<ArrayBuffer> {
  return tlv(0xa4, nameOf(name));
}

/** A critical extension that nobody knows. */
export function unknownExtension(isCritical: boolean): Uint8Array<ArrayBuffer> {
  return extension([0x2b, 6, 1, 4, 1, 0x83, 0x7f, 1], isCritical, sequence());
}

/** A new key of a kind, which signs as that kind does by default. */
export function chainKey(kind: "P-256" | "P-384" | "Ed25519" | "RSA" | "RSA-PSS" | "RSA-1024" = "P-256"): ChainKey {
  switch (kind) {
    case "P-256":
    case "P-384": {
      const pair = generateKeyPairSync("ec", { namedCurve: kind });
      const digest = kind === "P-256" ? "sha256" : "sha384";
      const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, kind === "P-256" ? 2 : 3));
      return { ...pair, algorithm, sign: (message) => sign(digest, message, pair.privateKey) };
    }
    case "Ed25519": {
      const pair = generateKeyPairSync("ed25519");
      return { ...pair, algorithm: sequence(ED25519), sign: (message) => sign(null, message, pair.privateKey) };
    }
    case "RSA-PSS": {
      const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const key = { key: pair.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
      return { ...pair, algorithm: PSS_SHA256, sign: (message) => sign("sha256", message, key) };
    }
    default: {
      const pair = generateKeyPairSync("rsa", { modulusLength: kind === "RSA" ? 2048 : 1024 });
      const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b), tlv(0x05));
      return { ...pair, algorithm, sign: (message) => sign("sha256", message, pair.privateKey) };
    }
  }
}

const ED25519 = oid(0x2b, 0x65, 0x70);
const SHA256 = sequence(oid(0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1));
/** RFC 4055 §3.1. */
const PSS_SHA256 = sequence(
  oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0a),
  sequence(
    tlv(0xa0, SHA256),
    tlv(0xa1, sequence(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8), SHA256)),
    tlv(0xa2, integer([32])),
  ),
);

/** An authority. */
export function authority(name: string, request: CertificateRequest = {}): Issued {
  return issue({ name, basicConstraints: { isCa: true }, keyUsage: 0x06, ...request });
}

/** A server's certificate. */
export function server(issuer: Issued, request: CertificateRequest = {}): Issued {
  return issue({
    name: "",
    issuer,
    names: [dnsName("relay.example.org")],
    basicConstraints: { isCa: false },
    keyUsage: 0x80,
    extendedKeyUsage: [SERVER_AUTH],
    ...request,
  });
}

/** Makes a certificate. */
export function issue(request: CertificateRequest): Issued {
  const key = request.key ?? chainKey();
  const issuerKey = request.issuer?.key ?? key;
  const subject = nameOf(request.name ?? "somebody");
  const tbs = sequence(
    tlv(0xa0, integer([2])), // v3
    integer([0x40, ...randomBytes(8)]),
    issuerKey.algorithm,
    request.issuer?.subject ?? subject,
    sequence(
      utcTime(request.notBefore ?? CHAIN_EPOCH_MS - DAY_MS),
      utcTime(request.notAfter ?? CHAIN_EPOCH_MS + DAY_MS),
    ),
    subject,
    new Uint8Array(key.publicKey.export({ type: "spki", format: "der" })),
    tlv(0xa3, sequence(...extensionsOf(request))),
  );
  const signature = new Uint8Array(issuerKey.sign(tbs));
  const der = sequence(tbs, issuerKey.algorithm, bitString(request.damage?.(signature) ?? signature));
  return {
    der,
    pem: toPem("CERTIFICATE", der),
    keyPem: key.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    key,
    subject,
    sha256: new Uint8Array(createHash("sha256").update(der).digest()),
  };
}

function nameOf(name: string): Uint8Array<ArrayBuffer> {
  return name === "" ? sequence() : sequence(tlv(0x31, sequence(oid(0x55, 4, 3), utf8(name))));
}

function extensionsOf(request: CertificateRequest): Uint8Array[] {
  const { basicConstraints = "none", keyUsage, extendedKeyUsage, names, nameConstraints } = request;
  const list: Uint8Array[] = [];
  if (basicConstraints !== "none") {
    const { isCa, pathLen } = basicConstraints;
    const parts = [
      ...isCa ? [tlv(0x01, Uint8Array.of(0xff))] : [],
      ...pathLen === undefined ? [] : [integer([pathLen])],
    ];
    list.push(extension([0x55, 0x1d, 0x13], true, sequence(...parts)));
  }
  if (keyUsage !== undefined) {
    const unused = Math.log2(keyUsage & -keyUsage);
    list.push(extension([0x55, 0x1d, 0x0f], true, tlv(0x03, Uint8Array.of(unused, keyUsage))));
  }
  if (extendedKeyUsage !== undefined) list.push(extension([0x55, 0x1d, 0x25], false, sequence(...extendedKeyUsage)));
  // RFC 5280 §4.2.1.6: critical where the subject is empty.
  if (names !== undefined) list.push(extension([0x55, 0x1d, 0x11], request.name === "", sequence(...names)));
  if (nameConstraints !== undefined) {
    const { permitted = [], excluded = [] } = nameConstraints;
    const parts = [
      ...permitted.length === 0 ? [] : [tlv(0xa0, ...permitted.map((base) => sequence(base)))],
      ...excluded.length === 0 ? [] : [tlv(0xa1, ...excluded.map((base) => sequence(base)))],
    ];
    list.push(extension([0x55, 0x1d, 0x1e], true, sequence(...parts)));
  }
  return [...list, ...request.extensions ?? []];
}

function extension(id: readonly number[], isCritical: boolean, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const critical = isCritical ? [tlv(0x01, Uint8Array.of(0xff))] : [];
  return sequence(oid(...id), ...critical, octetString(value));
}
