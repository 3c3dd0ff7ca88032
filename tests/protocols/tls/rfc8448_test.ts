import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { sha256 } from "../../../protocols/crypto/hash.ts";
import { hkdfExpandLabel } from "../../../protocols/crypto/hkdf.ts";
import { VerifyingKey } from "../../../protocols/crypto/signature.ts";
import { X25519KeyPair } from "../../../protocols/crypto/x25519.ts";
import {
  certificateVerifyInput,
  deriveApplicationSecrets,
  deriveHandshakeSecrets,
  exportSecret,
  finishedVerifyData,
} from "../../../protocols/tls/key_schedule.ts";
import { decodeMessage, encodeMessage } from "../../../protocols/tls/messages.ts";
import { subjectPublicKeyInfo } from "../../../protocols/tls/x509.ts";
import {
  CLIENT_PRIVATE_KEY,
  CLIENT_PUBLIC_KEY,
  MESSAGES,
  SCHEDULE,
  SERVER_PRIVATE_KEY,
  SERVER_PUBLIC_KEY,
} from "../../vectors/rfc8448_3.ts";

const { clientHello, serverHello, encryptedExtensions, certificate, certificateVerify, serverFinished } = MESSAGES;

Deno.test("Every message of the trace is read, and written again to the same bytes (RFC 8448 §3)", () => {
  for (const [name, bytes] of Object.entries(MESSAGES)) {
    strictEqual(toHex(encodeMessage(decodeMessage(bytes))), toHex(bytes), name);
  }
});

Deno.test("The hellos of the trace say what the RFC prints (RFC 8448 §3)", () => {
  const client = decodeMessage(clientHello);
  strictEqual(client.type, "client_hello");
  deepStrictEqual(client.cipherSuites, [0x1301, 0x1303, 0x1302]);
  strictEqual(client.extensions.find((extension) => extension.type === "server_name")?.hostName, "server");
  const share = client.extensions.find((extension) => extension.type === "key_share")?.entries[0];
  strictEqual(toHex(share!.key), toHex(CLIENT_PUBLIC_KEY));
  const server = decodeMessage(serverHello);
  strictEqual(server.type, "server_hello");
  strictEqual(server.cipherSuite, 0x1301);
  deepStrictEqual(server.extensions.find((extension) => extension.type === "supported_versions")?.versions, [0x0304]);
});

Deno.test("The key exchange of the trace gives its shared secret (RFC 8448 §3)", () => {
  const client = X25519KeyPair.fromPrivateKey(CLIENT_PRIVATE_KEY);
  const server = X25519KeyPair.fromPrivateKey(SERVER_PRIVATE_KEY);
  strictEqual(toHex(client.publicKey), toHex(CLIENT_PUBLIC_KEY));
  strictEqual(toHex(server.publicKey), toHex(SERVER_PUBLIC_KEY));
  strictEqual(toHex(client.sharedSecret(SERVER_PUBLIC_KEY)!), SCHEDULE.sharedSecret);
  strictEqual(toHex(server.sharedSecret(CLIENT_PUBLIC_KEY)!), SCHEDULE.sharedSecret);
});

Deno.test("The key schedule gives every secret of the trace (RFC 8448 §3)", () => {
  const helloHash = sha256(clientHello, serverHello);
  strictEqual(toHex(helloHash), SCHEDULE.helloHash);
  const handshake = deriveHandshakeSecrets("SHA-256", fromHex(SCHEDULE.sharedSecret), helloHash);
  strictEqual(toHex(handshake.client), SCHEDULE.clientHandshake);
  strictEqual(toHex(handshake.server), SCHEDULE.serverHandshake);
  strictEqual(toHex(handshake.master), SCHEDULE.master);
  const key = hkdfExpandLabel("SHA-256", handshake.server, "key", new Uint8Array(0), 16);
  const iv = hkdfExpandLabel("SHA-256", handshake.server, "iv", new Uint8Array(0), 12);
  strictEqual(toHex(key), SCHEDULE.serverHandshakeKey);
  strictEqual(toHex(iv), SCHEDULE.serverHandshakeIv);

  const flight = [clientHello, serverHello, encryptedExtensions, certificate, certificateVerify, serverFinished];
  const serverFinishedHash = sha256(...flight);
  strictEqual(toHex(serverFinishedHash), SCHEDULE.serverFinishedHash);
  const application = deriveApplicationSecrets(handshake, serverFinishedHash);
  strictEqual(toHex(application.client), SCHEDULE.clientApplication);
  strictEqual(toHex(application.server), SCHEDULE.serverApplication);
  strictEqual(toHex(application.exporter), SCHEDULE.exporter);
});

Deno.test("Both Finished messages of the trace verify (RFC 8448 §3)", () => {
  const before = [clientHello, serverHello, encryptedExtensions, certificate, certificateVerify];
  const server = finishedVerifyData("SHA-256", fromHex(SCHEDULE.serverHandshake), sha256(...before));
  strictEqual(toHex(server), toHex(serverFinished.subarray(4)));
  const client = finishedVerifyData("SHA-256", fromHex(SCHEDULE.clientHandshake), sha256(...before, serverFinished));
  strictEqual(toHex(client), toHex(MESSAGES.clientFinished.subarray(4)));
});

Deno.test("CertificateVerify of the trace verifies with the certificate's RSA key (RFC 8448 §3)", () => {
  const message = decodeMessage(certificate);
  strictEqual(message.type, "certificate");
  const key = VerifyingKey.fromSpki(subjectPublicKeyInfo(message.entries[0]!.data)!)!;
  strictEqual(key.kind, "rsa");
  const proof = decodeMessage(certificateVerify);
  strictEqual(proof.type, "certificate_verify");
  strictEqual(proof.scheme, 0x0804);
  const before = [clientHello, serverHello, encryptedExtensions, certificate];
  const input = certificateVerifyInput("server", sha256(...before));
  strictEqual(key.verify("rsa_pss_rsae_sha256", input, proof.signature), true);
  const asClient = certificateVerifyInput("client", sha256(...before));
  strictEqual(key.verify("rsa_pss_rsae_sha256", asClient, proof.signature), false);
});

Deno.test("exportSecret is TLS-Exporter spelled out (RFC 8446 §7.5)", () => {
  const application = deriveApplicationSecrets(
    deriveHandshakeSecrets("SHA-256", fromHex(SCHEDULE.sharedSecret), fromHex(SCHEDULE.helloHash)),
    fromHex(SCHEDULE.serverFinishedHash),
  );
  const context = new Uint8Array([1, 2]);
  const secret = hkdfExpandLabel("SHA-256", fromHex(SCHEDULE.exporter), "EXPORTER-test", sha256());
  const expected = hkdfExpandLabel("SHA-256", secret, "exporter", sha256(concatBytes(context)), 20);
  deepStrictEqual(exportSecret(application, "EXPORTER-test", context, 20), expected);
});
