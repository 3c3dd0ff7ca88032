/**
 * Chains of certificates as the runtime's own TLS judges them, beside our verdict: it is rustls with webpki, which nobody here
 * wrote. Where the two differ the table says so and why.
 *
 * @module
 */

import { ok, strictEqual } from "node:assert/strict";
import { verifyChain } from "../../protocols/tls/x509/path.ts";
import { TrustStore } from "../../protocols/tls/x509/trust_store.ts";
import {
  authority,
  chainKey,
  CLIENT_AUTH,
  dnsName,
  ipAddress,
  type Issued,
  server,
  SERVER_AUTH,
  unknownExtension,
} from "../support/certificate_chain.ts";

const HOST = "relay.example.org";
const DAY_MS = 86_400_000;
const NOW = Date.now();
const VALID = { notBefore: NOW - DAY_MS, notAfter: NOW + DAY_MS };
const PAST = { notBefore: NOW - 2 * DAY_MS, notAfter: NOW - DAY_MS };

const ROOT = authority("Root", VALID);
const MIDDLE = authority("Middle", { issuer: ROOT, ...VALID });

/** An authority below the root. */
function between(name: string, request: Parameters<typeof authority>[1] = {}): Issued {
  return authority(name, { issuer: ROOT, ...VALID, ...request });
}

/** A server's certificate. */
function leafOf(issuer: Issued, request: Parameters<typeof server>[1] = {}): Issued {
  return server(issuer, { ...VALID, ...request });
}

interface Row {
  readonly name: string;
  readonly chain: readonly Issued[];
  /** Ours; the runtime's is the same unless `other` says why not. */
  readonly isGood: boolean;
  readonly other?: string;
}

function rows(): readonly Row[] {
  const short = between("Short", { basicConstraints: { isCa: true, pathLen: 0 } });
  const below = authority("Below", { issuer: short, ...VALID });
  const noCa = leafOf(ROOT, { name: "No authority" });
  const mail = between("Mail", { extendedKeyUsage: [CLIENT_AUTH] });
  const noSign = between("No signatures", { keyUsage: 0x80 });
  const old = between("Old", PAST);
  const stranger = authority("Stranger", VALID);
  const constrained = (name: string, permitted: string): Issued =>
    between(name, { nameConstraints: { permitted: [dnsName(permitted)] } });
  const [inside, outside] = [constrained("Inside", "example.org"), constrained("Outside", "example.com")];
  const excluding = between("Excluding", { nameConstraints: { excluded: [dnsName("example.org")] } });
  const network = between("Network", { nameConstraints: { permitted: [ipAddress(10, 0, 0, 0, 255, 0, 0, 0)] } });
  const names = (...list: readonly Uint8Array<ArrayBuffer>[]): { names: readonly Uint8Array[] } => ({ names: list });
  const keyed = (["P-384", "Ed25519", "RSA"] as const).map((kind) => {
    const issuer = between(kind, { key: chainKey(kind) });
    return { name: `an authority with ${kind}`, chain: [leafOf(issuer), issuer], isGood: true };
  });
  return [
    ...keyed,
    { name: "right", chain: [leafOf(MIDDLE), MIDDLE], isGood: true },
    { name: "with the root", chain: [leafOf(MIDDLE), MIDDLE, ROOT], isGood: true },
    { name: "wildcard", chain: [leafOf(ROOT, names(dnsName("*.example.org")))], isGood: true },
    { name: "wildcard for two labels", chain: [leafOf(ROOT, names(dnsName("*.org")))], isGood: false },
    { name: "another name", chain: [leafOf(ROOT, names(dnsName("x.example.org")))], isGood: false },
    { name: "a common name only", chain: [leafOf(ROOT, { name: HOST, names: [] })], isGood: false },
    { name: "expired", chain: [leafOf(ROOT, PAST)], isGood: false },
    {
      name: "not yet valid",
      chain: [leafOf(ROOT, { notBefore: NOW + DAY_MS / 2, notAfter: NOW + DAY_MS })],
      isGood: false,
    },
    { name: "an authority that has expired", chain: [leafOf(old), old], isGood: false },
    { name: "a root that nobody trusts", chain: [leafOf(stranger), stranger], isGood: false },
    { name: "an authority that is missing", chain: [leafOf(MIDDLE)], isGood: false },
    { name: "issued by no authority", chain: [leafOf(noCa), noCa], isGood: false },
    {
      name: "issued with a key for other uses",
      chain: [leafOf(noSign), noSign],
      isGood: false,
      other: "webpki does not look at keyUsage (RFC 5280 §4.2.1.3)",
    },
    { name: "a path that is short enough", chain: [leafOf(short), short], isGood: true },
    { name: "a path that is too long", chain: [leafOf(below), below, short], isGood: false },
    { name: "for clients only", chain: [leafOf(ROOT, { extendedKeyUsage: [CLIENT_AUTH] })], isGood: false },
    { name: "for both", chain: [leafOf(ROOT, { extendedKeyUsage: [CLIENT_AUTH, SERVER_AUTH] })], isGood: true },
    { name: "an authority for clients only", chain: [leafOf(mail), mail], isGood: false },
    { name: "an authority as server", chain: [leafOf(ROOT, { basicConstraints: { isCa: true } })], isGood: false },
    {
      name: "a key for other uses",
      chain: [leafOf(ROOT, { keyUsage: 0x20 })],
      isGood: false,
      other: "webpki does not look at keyUsage (RFC 8446 §4.4.2.2)",
    },
    { name: "a critical extension", chain: [leafOf(ROOT, { extensions: [unknownExtension(true)] })], isGood: false },
    { name: "another extension", chain: [leafOf(ROOT, { extensions: [unknownExtension(false)] })], isGood: true },
    { name: "within permitted names", chain: [leafOf(inside), inside], isGood: true },
    { name: "outside permitted names", chain: [leafOf(outside), outside], isGood: false },
    { name: "within excluded names", chain: [leafOf(excluding), excluding], isGood: false },
    {
      name: "outside a permitted network",
      chain: [leafOf(network, names(dnsName(HOST), ipAddress(11, 0, 0, 1))), network],
      isGood: false,
    },
    {
      name: "within a permitted network",
      chain: [leafOf(network, names(dnsName(HOST), ipAddress(10, 0, 0, 1))), network],
      isGood: true,
    },
    {
      name: "a signature that is wrong",
      chain: [leafOf(ROOT, { damage: (bytes) => bytes.with(-1, bytes.at(-1)! ^ 1) })],
      isGood: false,
    },
  ];
}

/** A server with that chain; `undefined` if the runtime does not even show it. */
function listenWith(cert: string, key: string): Deno.TlsListener | undefined {
  try {
    return Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  } catch (error) {
    ok(error instanceof Error && /invalid peer certificate/.test(error.message), String(error));
    return undefined;
  }
}

/** Whether the runtime's client is content with a server that shows this chain. */
async function isGoodForRuntime([leaf, ...others]: readonly Issued[]): Promise<boolean> {
  const cert = [leaf!, ...others].map(({ pem }) => pem).join("");
  using listener = listenWith(cert, leaf!.keyPem);
  if (listener === undefined) return false;
  const serving = (async (): Promise<void> => {
    using connection = await listener.accept();
    await connection.handshake().catch(() => {});
  })();
  const { port } = listener.addr;
  const plain = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    using connection = await Deno.startTls(plain, { hostname: HOST, caCerts: [ROOT.pem] });
    await connection.handshake();
    return true;
  } catch (error) {
    ok(error instanceof Error);
    return false;
  } finally {
    await serving;
  }
}

Deno.test("Chains are judged as the runtime's TLS judges them, but for what the table says", async () => {
  const trust = new TrustStore([ROOT.der]);
  for (const { name, chain, isGood, other } of rows()) {
    const verdict = verifyChain(chain.map(({ der }) => der), { host: HOST, epochMs: NOW, trust });
    strictEqual(verdict.accepted, isGood, `${name}: ${verdict.accepted ? "accepted" : verdict.reason}`);
    strictEqual(await isGoodForRuntime(chain), other === undefined ? isGood : !isGood, name);
  }
});
