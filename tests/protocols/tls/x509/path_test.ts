import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { rootCertificates } from "node:tls";
import type { AlertName } from "../../../../protocols/tls/alerts.ts";
import { decodePem } from "../../../../protocols/tls/pem.ts";
import { verifyChain } from "../../../../protocols/tls/x509/path.ts";
import { TrustStore } from "../../../../protocols/tls/x509/trust_store.ts";
import {
  authority,
  CHAIN_EPOCH_MS,
  chainKey,
  CLIENT_AUTH,
  directoryName,
  dnsName,
  emailName,
  ipAddress,
  issue,
  type Issued,
  server,
  SERVER_AUTH,
  unknownExtension,
} from "../../../support/certificate_chain.ts";
import { seededRandom } from "../../../support/seeded_random.ts";

const HOST = "relay.example.org";
const ROOT = authority("Root");
const MIDDLE = authority("Middle", { issuer: ROOT });
const ROOT_TRUST = new TrustStore([ROOT.der]);

interface Asked {
  readonly host?: string;
  readonly epochMs?: number;
  readonly trust?: TrustStore;
}

/** "accepted", or the alert and the reason. */
function verdictOn(
  chain: readonly Issued[],
  { host = HOST, epochMs = CHAIN_EPOCH_MS, trust = ROOT_TRUST }: Asked = {},
): string {
  const verdict = verifyChain(chain.map(({ der }) => der), { host, epochMs, trust });
  return verdict.accepted ? "accepted" : `${verdict.alert}: ${verdict.reason}`;
}

function isRefused(chain: readonly Issued[], alert: AlertName, reason: RegExp, asked: Asked = {}): void {
  const verdict = verdictOn(chain, asked);
  ok(verdict.startsWith(`${alert}: `) && reason.test(verdict), verdict);
}

Deno.test("Chain of a server, an authority and a trusted one is accepted, in any order and with others between (RFC 5280 §6.1)", () => {
  const leaf = server(MIDDLE);
  const other = authority("Other");
  strictEqual(verdictOn([leaf, MIDDLE]), "accepted");
  strictEqual(verdictOn([leaf, MIDDLE, ROOT]), "accepted");
  strictEqual(verdictOn([leaf, other, ROOT, MIDDLE]), "accepted");
  strictEqual(verdictOn([server(ROOT)]), "accepted");
});

Deno.test("Chain is verified with each kind of key that authorities have (RFC 5758, RFC 4055, RFC 8410)", () => {
  for (const kind of ["P-256", "P-384", "Ed25519", "RSA", "RSA-PSS"] as const) {
    const root = authority("Root", { key: chainKey(kind) });
    const trust = new TrustStore([root.der]);
    strictEqual(verdictOn([server(root)], { trust }), "accepted", kind);
    const flipped = server(root, { damage: (bytes) => bytes.with(bytes.length - 5, bytes.at(-5)! ^ 1) });
    isRefused([flipped], "bad_certificate", /signature does not verify/, { trust });
  }
  const short = authority("Root", { key: chainKey("RSA-1024") });
  isRefused([server(short)], "unsupported_certificate", /not taken/, { trust: new TrustStore([short.der]) });
});

Deno.test("Chain outside its time is refused, to the second (RFC 5280 §6.1.3 (a) (2))", () => {
  const [notBefore, notAfter] = [CHAIN_EPOCH_MS, CHAIN_EPOCH_MS + 60_000];
  const leaf = server(MIDDLE, { notBefore, notAfter });
  const chain = [leaf, MIDDLE];
  isRefused(chain, "certificate_expired", /not valid yet/, { epochMs: notBefore - 1 });
  strictEqual(verdictOn(chain, { epochMs: notBefore }), "accepted");
  strictEqual(verdictOn(chain, { epochMs: notAfter + 999 }), "accepted");
  isRefused(chain, "certificate_expired", /has expired/, { epochMs: notAfter + 1000 });
  const old = authority("Middle", {
    issuer: ROOT,
    notBefore: CHAIN_EPOCH_MS - 60_000,
    notAfter: CHAIN_EPOCH_MS - 2000,
  });
  isRefused([server(old), old], "certificate_expired", /has expired/);
});

Deno.test("Chain for another name is refused (RFC 9525 §6)", () => {
  const names = [dnsName("relay.example.org"), dnsName("*.pool.example.org"), ipAddress(192, 0, 2, 1)];
  const v6 = ipAddress(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  const chain = [server(ROOT, { names: [...names, v6] })];
  const good = ["RELAY.example.org", "relay.example.org.", "a.pool.example.org", "192.0.2.1", "2001:db8::1"];
  for (const host of good) strictEqual(verdictOn(chain, { host }), "accepted", host);
  const bad = ["example.org", "x.relay.example.org", "pool.example.org", "a.b.pool.example.org", "192.0.2.2"];
  for (const host of [...bad, ".pool.example.org"]) {
    isRefused(chain, "certificate_unknown", /it is not for /, { host });
  }
  // A common name is no host name, a wildcard is a whole label, and none is as wide as a top-level domain.
  isRefused([server(ROOT, { name: HOST, names: [] })], "certificate_unknown", /it is not for/);
  for (const name of ["re*.example.org", "*.org", "*", "*.*.org", "relay.*.org"]) {
    isRefused([server(ROOT, { names: [dnsName(name)] })], "certificate_unknown", /it is not for/);
  }
  // An address written as a name is none.
  isRefused([server(ROOT, { names: [dnsName("192.0.2.1")] })], "certificate_unknown", /not for/, { host: "192.0.2.1" });
});

Deno.test("Chain without a trusted end is refused (RFC 8446 §6.2 unknown_ca)", () => {
  const stranger = authority("Stranger");
  isRefused([server(stranger), stranger], "unknown_ca", /no authority that is trusted/);
  isRefused([server(MIDDLE)], "unknown_ca", /no authority that is trusted/);
  isRefused([server(ROOT)], "unknown_ca", /no authority/, { trust: new TrustStore([]) });
  // One that only has the name of a trusted one.
  const impostor = authority("Root");
  isRefused([server(impostor), impostor], "bad_certificate", /signature does not verify/);
});

Deno.test("Chain over somebody who is no authority is refused (RFC 5280 §6.1.4 (k), (n))", () => {
  const leaf = server(ROOT, { name: "Server" });
  isRefused([server(leaf), leaf], "bad_certificate", /not an authority's/);
  const silent = authority("Silent", { issuer: ROOT, basicConstraints: "none" });
  isRefused([server(silent), silent], "bad_certificate", /not an authority's/);
  const limited = authority("Limited", { issuer: ROOT, keyUsage: 0x80 });
  isRefused([server(limited), limited], "bad_certificate", /key that is not for certificates/);
  // A root without extensions is one of version 1; a root that says it is none is none.
  const plain = issue({ name: "Plain" });
  strictEqual(verdictOn([server(plain)], { trust: new TrustStore([plain.der]) }), "accepted");
  const denying = authority("Denying", { basicConstraints: { isCa: false } });
  isRefused([server(denying)], "bad_certificate", /not an authority's/, { trust: new TrustStore([denying.der]) });
});

Deno.test("Chain longer than an authority allows is refused (RFC 5280 §6.1.4 (l), (m))", () => {
  const root = authority("Top", { basicConstraints: { isCa: true, pathLen: 1 } });
  const trust = new TrustStore([root.der]);
  const one = authority("One", { issuer: root });
  const two = authority("Two", { issuer: one });
  strictEqual(verdictOn([server(one), one], { trust }), "accepted");
  isRefused([server(two), two, one], "bad_certificate", /more authorities are in between/, { trust });
  // A new key for the same authority, issued by itself, does not count.
  const renewed = authority("One", { issuer: one });
  strictEqual(verdictOn([server(renewed), renewed, one], { trust }), "accepted");
  const none = authority("None", { issuer: ROOT, basicConstraints: { isCa: true, pathLen: 0 } });
  const below = authority("Below", { issuer: none });
  strictEqual(verdictOn([server(none), none]), "accepted");
  isRefused([server(below), below, none], "bad_certificate", /more authorities are in between/);
});

Deno.test("Chain for another purpose is refused (RFC 5280 §4.2.1.12, RFC 8446 §4.4.2.2)", () => {
  isRefused([server(ROOT, { extendedKeyUsage: [CLIENT_AUTH] })], "unsupported_certificate", /not for TLS servers/);
  strictEqual(verdictOn([server(ROOT, { extendedKeyUsage: [CLIENT_AUTH, SERVER_AUTH] })]), "accepted");
  isRefused([server(ROOT, { keyUsage: 0x20 })], "unsupported_certificate", /not for digital signatures/);
  const mail = authority("Mail", { issuer: ROOT, extendedKeyUsage: [CLIENT_AUTH] });
  isRefused([server(mail), mail], "unsupported_certificate", /not for TLS servers/);
  isRefused([server(ROOT, { extensions: [unknownExtension(true)] })], "unsupported_certificate", /critical extension/);
  strictEqual(verdictOn([server(ROOT, { extensions: [unknownExtension(false)] })]), "accepted");
});

Deno.test("Chain of a leaf that is an authority is refused, as the runtime's TLS refuses it", () => {
  const leaf = server(ROOT, { basicConstraints: { isCa: true }, keyUsage: 0x84 });
  isRefused([leaf], "bad_certificate", /an authority's and not a server's/);
});

Deno.test("Certificate that is itself trusted needs nobody above it", () => {
  const own = issue({ name: "own", names: [dnsName(HOST)], basicConstraints: { isCa: false } });
  const trust = new TrustStore([own.der]);
  strictEqual(verdictOn([own], { trust }), "accepted");
  isRefused([own], "unknown_ca", /no authority/);
  isRefused([own], "certificate_unknown", /not for/, { trust, host: "other.example.org" });
  isRefused([own], "certificate_expired", /expired/, { trust, epochMs: CHAIN_EPOCH_MS + 2 * 86_400_000 });
});

Deno.test("Chain outside an authority's names is refused (RFC 5280 §4.2.1.10)", () => {
  const constrained = (nameConstraints: Parameters<typeof authority>[1] & object): Issued =>
    authority("Constrained", { issuer: ROOT, ...nameConstraints });
  const verdict = (
    constraints: { permitted?: Uint8Array[]; excluded?: Uint8Array[] },
    names: Uint8Array[],
    request: Parameters<typeof server>[1] = {},
  ): string => {
    const middle = constrained({ nameConstraints: constraints });
    return verdictOn([server(middle, { names: [dnsName(HOST), ...names], ...request }), middle]).split(":")[0]!;
  };
  const org = dnsName("example.org");
  const table: readonly [{ permitted?: Uint8Array[]; excluded?: Uint8Array[] }, Uint8Array[], boolean][] = [
    [{ permitted: [org] }, [], true],
    [{ permitted: [org] }, [org], true],
    [{ permitted: [dnsName(".example.org")] }, [], true],
    [{ permitted: [dnsName(".example.org")] }, [org], false],
    [{ permitted: [org] }, [dnsName("notexample.org")], false],
    [{ permitted: [org] }, [dnsName("*.example.org")], true],
    [{ permitted: [org, dnsName("www.example.org")] }, [dnsName("*.org")], false],
    [{ permitted: [dnsName("example.com")] }, [], false],
    [{ excluded: [dnsName("example.com")] }, [], true],
    [{ excluded: [org] }, [], false],
    [{ excluded: [dnsName("a.w.example.org")] }, [dnsName("*.w.example.org")], false],
    [{ excluded: [dnsName("a.b.w.example.org")] }, [dnsName("*.w.example.org")], true],
    [{ permitted: [org], excluded: [dnsName("relay.example.org")] }, [], false],
    // Only names of a form that is constrained have to be among the permitted ones.
    [{ permitted: [org] }, [ipAddress(192, 0, 2, 1)], true],
    [{ permitted: [ipAddress(192, 0, 2, 0, 255, 255, 255, 0)] }, [], true],
    [{ permitted: [ipAddress(192, 0, 2, 0, 255, 255, 255, 0)] }, [ipAddress(192, 0, 2, 77)], true],
    [{ permitted: [ipAddress(192, 0, 2, 0, 255, 255, 255, 0)] }, [ipAddress(192, 0, 3, 77)], false],
    [{ excluded: [ipAddress(192, 0, 2, 64, 255, 255, 255, 192)] }, [ipAddress(192, 0, 2, 77)], false],
    [{ permitted: [ipAddress(192, 0, 2, 0, 255, 0, 255, 0)] }, [], false], // a mask with holes
    [{ permitted: [ipAddress(192, 0, 2, 0)] }, [], false], // no mask
    // A form that is not compared is refused where it is constrained, and passed where it is not.
    [{ permitted: [emailName("example.org")] }, [emailName("a@example.org")], false],
    [{ excluded: [emailName("example.com")] }, [emailName("a@example.org")], false],
    [{ excluded: [emailName("example.com")] }, [], true],
    [{ permitted: [org] }, [emailName("a@example.com")], true],
    [{ permitted: [directoryName("One")] }, [directoryName("one ")], true],
    [{ permitted: [directoryName("One")] }, [directoryName("Two")], false],
    [{ excluded: [directoryName("One")] }, [directoryName("ONE")], false],
  ];
  for (const [i, [constraints, names, isGood]] of table.entries()) {
    strictEqual(verdict(constraints, names), isGood ? "accepted" : "bad_certificate", `row ${i}`);
  }
  // The subject is a directory name, where there is one.
  strictEqual(verdict({ permitted: [directoryName("One")] }, [], { name: "Two" }), "bad_certificate");
  strictEqual(verdict({ permitted: [directoryName("One")] }, [], { name: "One" }), "accepted");
});

Deno.test("Name constraints bind authorities in between, and those of a trusted one too", () => {
  const root = authority("Top", { nameConstraints: { permitted: [dnsName("example.org")] } });
  const trust = new TrustStore([root.der]);
  const middle = authority("Mid", { issuer: root });
  strictEqual(verdictOn([server(middle), middle], { trust }), "accepted");
  const elsewhere = server(middle, { names: [dnsName("relay.example.com")] });
  isRefused([elsewhere, middle], "bad_certificate", /not allowed to issue/, { trust, host: "relay.example.com" });
  const wide = authority("Wide", { issuer: root, names: [dnsName("example.com")] });
  isRefused([server(wide), wide], "bad_certificate", /not allowed to issue/, { trust });
});

Deno.test("Search for a path goes round a dead end, and ends (RFC 4158 §2)", () => {
  // Cross-signed: the same authority by an unknown one and by a trusted one.
  const key = chainKey();
  const unknown = authority("Unknown");
  const dead = authority("Crossed", { issuer: unknown, key });
  const live = authority("Crossed", { issuer: ROOT, key });
  strictEqual(verdictOn([server(live), dead, unknown, live]), "accepted");
  // Two that vouch for each other.
  const [keyA, keyB] = [chainKey(), chainKey()];
  const selfA = authority("A", { key: keyA });
  const selfB = authority("B", { key: keyB });
  const a = authority("A", { key: keyA, issuer: selfB });
  const b = authority("B", { key: keyB, issuer: selfA });
  isRefused([server(a), a, b, selfA, selfB], "unknown_ca", /no authority/);
  // Many of one name and key: the work is bounded.
  const many = Array.from({ length: 15 }, () => authority("A", { key: keyA }));
  isRefused([server(a), ...many], "bad_certificate", /signatures/);
  // Deeper than anybody needs.
  let last = ROOT;
  const deep: Issued[] = [];
  for (let i = 0; i < 8; i++) deep.unshift(last = authority(`Level ${i}`, { issuer: last }));
  strictEqual(verdictOn([server(deep[2]!), ...deep.slice(2)]), "accepted");
  isRefused([server(last), ...deep], "unknown_ca", /no authority/);
});

Deno.test("Chain cut short at any byte or with any bit changed is refused, and nothing is thrown", () => {
  const leaf = server(MIDDLE);
  const question = { host: HOST, epochMs: CHAIN_EPOCH_MS, trust: ROOT_TRUST };
  for (let length = 0; length < leaf.der.length; length++) {
    const verdict = verifyChain([leaf.der.subarray(0, length), MIDDLE.der], question);
    deepStrictEqual(verdict.accepted ? "accepted" : verdict.alert, "bad_certificate", `${length} bytes`);
  }
  const seed = 5280;
  const random = seededRandom(seed);
  for (let round = 0; round < 2000; round++) {
    const copies = [leaf.der.slice(), MIDDLE.der.slice()] as const;
    const copy = copies[round % 2]!;
    const [high, low, bit] = random.fill(new Uint8Array(3));
    const at = ((high! << 8) | low!) % copy.length;
    copy[at]! ^= 1 << (bit! % 8);
    ok(!verifyChain(copies, question).accepted, `seed ${seed}, round ${round}: byte ${at} of ${round % 2}`);
  }
});

Deno.test("TrustStore reads the authorities that the runtime brings, and nothing else", () => {
  const roots = rootCertificates.flatMap((pem) => decodePem(pem, "CERTIFICATE"));
  ok(roots.length > 100);
  const trust = new TrustStore(roots);
  isRefused([server(MIDDLE), MIDDLE], "unknown_ca", /no authority/, { trust });
  throws(() => new TrustStore([new Uint8Array(10)]), TypeError);
});
