import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { SigningKey } from "../../../../protocols/crypto/signature.ts";
import { x509Credential } from "../../../../protocols/tls/certificates.ts";
import type { TlsConfig } from "../../../../protocols/tls/config.ts";
import { decodeMessage } from "../../../../protocols/tls/messages.ts";
import { decodePem } from "../../../../protocols/tls/pem.ts";
import { verifyChain } from "../../../../protocols/tls/x509/path.ts";
import { TrustStore } from "../../../../protocols/tls/x509/trust_store.ts";
import { authority, CHAIN_EPOCH_MS, chainKey, type Issued, server } from "../../../support/certificate_chain.ts";
import { CLIENT_CONFIG, SERVER_CONFIG, TlsPair } from "../../../support/tls_pair.ts";

const HOST = "relay.example.org";
const ROOT = authority("Root", { key: chainKey("RSA") });
const TRUST = new TrustStore([ROOT.der]);

const CLIENT: TlsConfig = {
  ...CLIENT_CONFIG,
  serverName: HOST,
  credentials: [],
  peer: { certificateTypes: ["X509"], ask: true },
};

/** A handshake with a server that presents this, judged by its chain. */
function handshakeWith(leaf: Issued, chain: readonly Issued[], client: TlsConfig = CLIENT): TlsPair {
  const key = SigningKey.fromPkcs8(decodePem(leaf.keyPem, "PRIVATE KEY")[0]!);
  const credential = x509Credential([leaf, ...chain].map(({ der }) => der), key);
  const peer = { certificateTypes: [], ask: false } as const;
  const pair = new TlsPair(client, { ...SERVER_CONFIG, credentials: [credential], peer }).run();
  const asked = pair.client.events.find((event) => event.type === "verifyPeer");
  if (asked === undefined) return pair;
  const verdict = verifyChain(asked.peer.certificates, { host: HOST, epochMs: CHAIN_EPOCH_MS, trust: TRUST });
  pair.deliver("client", pair.client.run((handshake) => handshake.provideVerdict(verdict)));
  return pair;
}

Deno.test("Handshake goes on when the chain is good, whatever key the server has (RFC 8446 §4.2.3)", () => {
  for (const kind of ["P-256", "P-384", "Ed25519", "RSA"] as const) {
    const { client, server: other } = handshakeWith(server(ROOT, { key: chainKey(kind) }), []);
    deepStrictEqual([client.alert, other.alert], [undefined, undefined], kind);
    strictEqual(other.complete?.serverName, HOST);
    strictEqual(client.complete?.peer?.certificates.length, 1);
  }
});

Deno.test("Handshake ends with the alert that names what is wrong with the chain (RFC 8446 §6.2)", () => {
  const day = 86_400_000;
  const middle = authority("Middle", { issuer: ROOT });
  const notForServers = authority("Mail", { issuer: ROOT, basicConstraints: { isCa: false } });
  const table: readonly [string, Issued, readonly Issued[]][] = [
    ["certificate_expired", server(ROOT, { notAfter: CHAIN_EPOCH_MS - day / 2 }), []],
    ["certificate_expired", server(ROOT, { notBefore: CHAIN_EPOCH_MS + day / 2 }), []],
    ["certificate_unknown", server(ROOT, { names: [] }), []],
    ["unknown_ca", server(middle), []],
    ["bad_certificate", server(notForServers), [notForServers]],
    ["unsupported_certificate", server(ROOT, { extendedKeyUsage: [] }), []],
  ];
  for (const [alert, leaf, chain] of table) {
    const { client } = handshakeWith(leaf, chain);
    deepStrictEqual([client.alert?.alert, client.complete], [alert, undefined]);
  }
});

Deno.test("ClientHello says which signatures on certificates are taken, unless the certificate is pinned", () => {
  const leaf = server(ROOT);
  const offered = ({ client }: TlsPair): readonly number[] | undefined => {
    const hello = decodeMessage(client.sent[0]!.data);
    if (hello.type !== "client_hello") return undefined;
    return hello.extensions.find((extension) => extension.type === "signature_algorithms_cert")?.schemes;
  };
  deepStrictEqual(
    offered(handshakeWith(leaf, [])),
    [0x0807, 0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601],
  );
  const pinned = { certificateTypes: ["X509"], certificateSha256: [leaf.sha256], ask: false } as const;
  const pair = handshakeWith(leaf, [], { ...CLIENT, peer: pinned });
  strictEqual(offered(pair), undefined);
  strictEqual(pair.client.handshake.isComplete, true);
});
