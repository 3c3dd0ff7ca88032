import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { toHex } from "../../../protocols/core/bytes.ts";
import { SigningKey } from "../../../protocols/crypto/signature.ts";
import { rawPublicKeyCredential, x509Credential } from "../../../protocols/tls/certificates.ts";
import { decodePem } from "../../../protocols/tls/pem.ts";
import { subjectPublicKeyInfo } from "../../../protocols/tls/x509.ts";
import { selfSignedCertificate } from "../../support/certificate.ts";
import { beginnings, damaged } from "../../support/damaged_text.ts";
import { CLIENT_KEY } from "../../support/tls_pair.ts";

Deno.test("subjectPublicKeyInfo finds the key that the runtime finds (RFC 5280 §4.1)", () => {
  for (const algorithm of ["Ed25519", "P-256"] as const) {
    const { der } = selfSignedCertificate(algorithm);
    const expected = new X509Certificate(der).publicKey.export({ type: "spki", format: "der" });
    strictEqual(toHex(subjectPublicKeyInfo(der)!), expected.toString("hex"));
  }
});

Deno.test("rawPublicKeyCredential presents one SubjectPublicKeyInfo (RFC 7250 §3)", () => {
  const credential = rawPublicKeyCredential(CLIENT_KEY);
  deepStrictEqual(credential.certificates, [CLIENT_KEY.publicKey.toSpki()]);
  deepStrictEqual(credential.signatureSchemes, ["ed25519"]);
});

Deno.test("x509Credential takes a chain with the key of its leaf only", () => {
  const one = selfSignedCertificate("P-256");
  const other = selfSignedCertificate("P-256");
  const key = SigningKey.fromPkcs8(decodePem(one.keyPem, "PRIVATE KEY")[0]!);
  deepStrictEqual(x509Credential([one.der, other.der], key).signatureSchemes, ["ecdsa_secp256r1_sha256"]);
  throws(() => x509Credential([other.der], key), TypeError);
  throws(() => x509Credential([], key), TypeError);
  throws(() => x509Credential([new Uint8Array(9)], key), TypeError);
  throws(() => x509Credential([one.der, new Uint8Array(60_000)], key), RangeError);
});

Deno.test("decodePem cut short at any byte has the blocks that are whole (RFC 7468 §3)", () => {
  const { der, pem } = selfSignedCertificate("Ed25519");
  const text = pem + pem;
  const label = "-----END CERTIFICATE-----";
  const ends = [text.indexOf(label) + label.length, text.lastIndexOf(label) + label.length];
  for (const head of beginnings(text)) {
    const whole = ends.filter((end) => end <= head.length).length;
    deepStrictEqual(decodePem(head, "CERTIFICATE"), [der, der].slice(0, whole), `${head.length} characters`);
  }
  const seed = 7468;
  for (const other of damaged(pem, seed, 3000)) {
    try {
      ok(decodePem(other, "CERTIFICATE").length <= 1);
    } catch (error) {
      ok(error instanceof TypeError, `seed ${seed}: ${other}: ${error}`);
    }
  }
});

Deno.test("decodePem reads every block of a label (RFC 7468)", () => {
  const { der, pem, keyPem } = selfSignedCertificate("Ed25519");
  deepStrictEqual(decodePem(`${pem}some text\n${keyPem}${pem}`, "CERTIFICATE"), [der, der]);
  deepStrictEqual(decodePem(pem, "PRIVATE KEY"), []);
  throws(() => decodePem("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----", "CERTIFICATE"), TypeError);
});
