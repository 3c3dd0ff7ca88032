import { ok, strictEqual } from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { toHex } from "../../protocols/core/bytes.ts";
import { decodeEd25519Spki } from "../../protocols/crypto/ed25519.ts";
import { sha256 } from "../../protocols/crypto/hash.ts";
import { subjectPublicKeyInfo } from "../../protocols/tls/x509.ts";
import { makeSelfSigned } from "../../service/self_signed.ts";
import { seededRandom } from "../support/seeded_random.ts";

/** 2026-01-01T00:00:00Z. */
const NOW = 1_767_225_600_000;

Deno.test("A certificate of our own is one that others read and verify (RFC 5280 §4.1, RFC 8410)", () => {
  const { credential, sha256: digest } = makeSelfSigned("relay.test", seededRandom(1), NOW);
  const [der] = credential.certificates;
  const certificate = new X509Certificate(der!);
  strictEqual(certificate.subject, "CN=relay.test");
  strictEqual(certificate.issuer, "CN=relay.test");
  strictEqual(certificate.subjectAltName, "DNS:relay.test");
  ok(certificate.verify(certificate.publicKey));
  strictEqual(certificate.publicKey.asymmetricKeyType, "ed25519");
  strictEqual(certificate.fingerprint256.replaceAll(":", "").toLowerCase(), toHex(digest));
  strictEqual(toHex(digest), toHex(sha256(der!)));
  ok(decodeEd25519Spki(subjectPublicKeyInfo(der!)!) !== undefined);
});

Deno.test("A certificate of our own holds from a day ago for ten years, leap days and centuries included", () => {
  for (
    const [from, validFrom, validTo] of [
      [NOW, "2025-12-31T00:00:00.000Z", "2035-12-30T00:00:00.000Z"],
      // 2028 is a leap year; from 2050 on dates are written in another form.
      [Date.UTC(2028, 1, 29, 23, 59, 58), "2028-02-28T23:59:58.000Z", "2038-02-26T23:59:58.000Z"],
      [Date.UTC(2045, 2, 1), "2045-02-28T00:00:00.000Z", "2055-02-27T00:00:00.000Z"],
    ] as const
  ) {
    const { credential } = makeSelfSigned("relay.test", seededRandom(1), from);
    const certificate = new X509Certificate(credential.certificates[0]!);
    strictEqual(new Date(certificate.validFrom).toISOString(), validFrom);
    strictEqual(new Date(certificate.validTo).toISOString(), validTo);
  }
});

Deno.test("A certificate of our own is another one each time, with another key", () => {
  const random = seededRandom(1);
  const [a, b] = [makeSelfSigned("relay.test", random, NOW), makeSelfSigned("relay.test", random, NOW)];
  ok(toHex(a.sha256) !== toHex(b.sha256));
  const spki = (made: typeof a): string => toHex(subjectPublicKeyInfo(made.credential.certificates[0]!)!);
  ok(spki(a) !== spki(b));
});
