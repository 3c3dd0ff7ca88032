import { strictEqual } from "node:assert/strict";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { EcdhKeyPair } from "../../../protocols/crypto/ecdh.ts";
import { sha256 } from "../../../protocols/crypto/hash.ts";
import { VerifyingKey } from "../../../protocols/crypto/signature.ts";
import { readHelloRetryRequest, secondClientHello } from "../../../protocols/tls/hello_retry.ts";
import {
  certificateVerifyInput,
  deriveApplicationSecrets,
  deriveHandshakeSecrets,
  finishedVerifyData,
  messageHash,
} from "../../../protocols/tls/key_schedule.ts";
import { decodeMessage, encodeMessage, isHelloRetryRequest } from "../../../protocols/tls/messages.ts";
import { subjectPublicKeyInfo } from "../../../protocols/tls/x509.ts";
import { CLIENT_PRIVATE_KEY, MESSAGES, SCHEDULE, SERVER_PRIVATE_KEY } from "../../vectors/rfc8448_5.ts";

const { clientHello, helloRetryRequest, serverHello, encryptedExtensions, certificate, certificateVerify } = MESSAGES;
const HELLOS = [messageHash("SHA-256", clientHello), helloRetryRequest, MESSAGES.secondClientHello, serverHello];

Deno.test("Every message of the HelloRetryRequest trace is read, and written again to the same bytes (RFC 8448 §5)", () => {
  for (const [name, bytes] of Object.entries(MESSAGES)) {
    strictEqual(toHex(encodeMessage(decodeMessage(bytes))), toHex(bytes), name);
  }
});

Deno.test("The client of the trace is asked for P-256 and a cookie, and says both (RFC 8448 §5)", () => {
  const first = decodeMessage(clientHello);
  const request = decodeMessage(helloRetryRequest);
  const second = decodeMessage(MESSAGES.secondClientHello);
  if (first.type !== "client_hello" || request.type !== "server_hello" || second.type !== "client_hello") throw first;
  strictEqual(isHelloRetryRequest(request), true);
  const { group, cookie } = readHelloRetryRequest(first, request);
  strictEqual(group, 0x0017);
  strictEqual(cookie?.length, 114);
  const key = EcdhKeyPair.fromPrivateKey("P-256", CLIENT_PRIVATE_KEY)!.publicKey;
  // The trace has the cookie elsewhere, and padding: the set of extensions is compared.
  const ours = secondClientHello(first, { group: 0x0017, key }, cookie);
  const sorted = (hello: typeof ours): string[] =>
    hello.extensions.filter((extension) => extension.type !== "other" || extension.code !== 21)
      .map((extension) => toHex(encodeMessage({ ...hello, extensions: [extension] }))).sort();
  strictEqual(sorted(ours).join(), sorted(second).join());
});

Deno.test("The key schedule goes on from message_hash to every secret of the trace (RFC 8448 §5, RFC 8446 §4.4.1)", () => {
  const client = EcdhKeyPair.fromPrivateKey("P-256", CLIENT_PRIVATE_KEY)!;
  const server = EcdhKeyPair.fromPrivateKey("P-256", SERVER_PRIVATE_KEY)!;
  strictEqual(toHex(client.sharedSecret(server.publicKey)!), SCHEDULE.sharedSecret);
  strictEqual(toHex(server.sharedSecret(client.publicKey)!), SCHEDULE.sharedSecret);
  strictEqual(toHex(sha256(...HELLOS)), SCHEDULE.helloHash);
  const handshake = deriveHandshakeSecrets("SHA-256", fromHex(SCHEDULE.sharedSecret), sha256(...HELLOS));
  strictEqual(toHex(handshake.client), SCHEDULE.clientHandshake);
  strictEqual(toHex(handshake.server), SCHEDULE.serverHandshake);
  strictEqual(toHex(handshake.master), SCHEDULE.master);
  const flight = [...HELLOS, encryptedExtensions, certificate, certificateVerify];
  const serverFinished = finishedVerifyData("SHA-256", handshake.server, sha256(...flight));
  strictEqual(toHex(serverFinished), toHex(MESSAGES.serverFinished.subarray(4)));
  const serverFinishedHash = sha256(...flight, MESSAGES.serverFinished);
  strictEqual(toHex(serverFinishedHash), SCHEDULE.serverFinishedHash);
  const application = deriveApplicationSecrets(handshake, serverFinishedHash);
  strictEqual(toHex(application.client), SCHEDULE.clientApplication);
  strictEqual(toHex(application.server), SCHEDULE.serverApplication);
  strictEqual(toHex(application.exporter), SCHEDULE.exporter);
  const clientFinished = finishedVerifyData("SHA-256", handshake.client, serverFinishedHash);
  strictEqual(toHex(clientFinished), toHex(MESSAGES.clientFinished.subarray(4)));
});

Deno.test("CertificateVerify of the trace covers HelloRetryRequest too (RFC 8448 §5)", () => {
  const message = decodeMessage(certificate);
  const proof = decodeMessage(certificateVerify);
  if (message.type !== "certificate" || proof.type !== "certificate_verify") throw message;
  const key = VerifyingKey.fromSpki(subjectPublicKeyInfo(message.entries[0]!.data)!)!;
  const input = certificateVerifyInput("server", sha256(...HELLOS, encryptedExtensions, certificate));
  strictEqual(key.verify("rsa_pss_rsae_sha256", input, proof.signature), true);
});
