/**
 * Who judges the certificates of servers that have real names: the authorities of the runtime, and those of the user
 * (design decision 8).
 *
 * @module
 */

import type { Verdict } from "../protocols/tls/events.ts";
import { decodePem } from "../protocols/tls/pem.ts";
import { verifyChain } from "../protocols/tls/x509/path.ts";
import { TrustStore } from "../protocols/tls/x509/trust_store.ts";

/** Whom a verifier believes. */
export interface ChainVerifierOptions {
  /** Wall-clock milliseconds since 1970 at monotonic instant 0; asked each time. */
  readonly host: { readonly epochMs: number };
  /** PEM, and what is to be said of them where none of them will do; asked for when the first chain comes. */
  readonly authorities: () => { readonly certificates: readonly string[]; readonly note?: string };
  /** Authorities besides, PEM, each text with one certificate or several. */
  readonly caCerts?: readonly string[];
}

/** What `Node.verifyChain` is. */
export type ChainVerifier = (certificates: readonly Uint8Array[], host: string, now: number) => Verdict;

/**
 * Makes one.
 *
 * @throws {TypeError} If a text of `caCerts` has no certificate, or something else in its place.
 */
export function chainVerifier({ host, authorities, caCerts = [] }: ChainVerifierOptions): ChainVerifier {
  const own = caCerts.flatMap((pem) => {
    const certificates = decodePem(pem, "CERTIFICATE");
    if (certificates.length === 0) throw new TypeError("Cannot trust an authority: there is no certificate in PEM");
    return certificates;
  });
  // Read now, so that whoever gave them is told.
  const trustOfUser = new TrustStore(own);
  let trust: TrustStore | undefined;
  let note: string | undefined;
  return (certificates, name, now) => {
    if (trust === undefined) {
      const system = authorities();
      trust = new TrustStore(system.certificates.flatMap((pem) => decodePem(pem, "CERTIFICATE")), trustOfUser);
      note = system.note;
    }
    const verdict = verifyChain(certificates, { host: name, epochMs: host.epochMs + now, trust });
    if (verdict.accepted || verdict.alert !== "unknown_ca" || note === undefined) return verdict;
    return { ...verdict, reason: `${verdict.reason ?? verdict.alert}; ${note}` };
  };
}
