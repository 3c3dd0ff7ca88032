/**
 * A self-signed certificate for `localhost` of each kind of key that can sign a handshake (RFC 8446 §4.2.3), valid about now.
 *
 * @module
 */

import { SigningKey } from "../../protocols/crypto/signature.ts";
import { x509Credential } from "../../protocols/tls/certificates.ts";
import type { Credential } from "../../protocols/tls/certificates.ts";
import type { TestCertificate } from "./certificate.ts";
import { chainKey, CLIENT_AUTH, dnsName, issue, SERVER_AUTH } from "./certificate_chain.ts";

/** The kinds of keys. */
export const KEY_KINDS = ["Ed25519", "P-256", "P-384", "RSA"] as const;

/** A kind of key. */
export type KeyKindName = typeof KEY_KINDS[number];

const DAY_MS = 86_400_000;

/** A leaf that is not a CA, for servers and clients. */
export function certificateOf(kind: KeyKindName): TestCertificate {
  const key = chainKey(kind);
  const issued = issue({
    name: "localhost",
    key,
    names: [dnsName("localhost")],
    basicConstraints: { isCa: false },
    keyUsage: 0x80,
    extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH],
    notBefore: Date.now() - DAY_MS,
    notAfter: Date.now() + DAY_MS,
  });
  return { der: issued.der, pem: issued.pem, keyPem: issued.keyPem, key: key.privateKey, sha256: issued.sha256 };
}

/** What presents it. */
export function credentialOf(certificate: TestCertificate): Credential {
  const pkcs8 = new Uint8Array(certificate.key.export({ type: "pkcs8", format: "der" }));
  return x509Credential([certificate.der], SigningKey.fromPkcs8(pkcs8));
}
