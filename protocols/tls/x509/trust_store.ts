/**
 * The authorities that are trusted: RFC 5280 §6.1.1 (d), kept as the certificates they give of themselves.
 *
 * @module
 */

import { equalBytes, toHex } from "../../core/bytes.ts";
import { readX509Certificate, type X509Certificate } from "./certificate.ts";

/** Authorities, by their name. */
export class TrustStore {
  readonly #bySubject = new Map<string, X509Certificate[]>();

  /**
   * @param certificates DER.
   * @param others Whom to trust besides.
   * @throws {TypeError} If one is not a certificate.
   */
  constructor(certificates: Iterable<Uint8Array>, others?: TrustStore) {
    for (const certificate of others?.all() ?? []) this.#add(certificate);
    for (const der of certificates) this.#add(read(der));
  }

  /** All of them. */
  all(): readonly X509Certificate[] {
    return [...this.#bySubject.values()].flat();
  }

  /** Those that have the name of a certificate's issuer. */
  issuersOf({ issuer }: X509Certificate): readonly X509Certificate[] {
    return this.#bySubject.get(toHex(issuer)) ?? [];
  }

  /** Whether this very certificate is trusted. */
  has({ subject, der }: X509Certificate): boolean {
    return this.#bySubject.get(toHex(subject))?.some((known) => equalBytes(known.der, der)) ?? false;
  }

  #add(certificate: X509Certificate): void {
    const key = toHex(certificate.subject);
    const same = this.#bySubject.get(key);
    if (same === undefined) this.#bySubject.set(key, [certificate]);
    else same.push(certificate);
  }
}

function read(der: Uint8Array): X509Certificate {
  try {
    return readX509Certificate(der);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot trust a certificate: it is not X.509 in DER: ${reason}`, { cause });
  }
}
