/**
 * What `iroh_test.ts` runs in a namespace: the first argument names the pair. Prints JSON, one object a line.
 *
 * @module
 */

import { fromHex, toHex } from "../../protocols/core/bytes.ts";
import { Ed25519PrivateKey } from "../../protocols/crypto/ed25519.ts";
import type { TlsSettings } from "../../protocols/quic/config.ts";
import { rawPublicKeyCredential } from "../../protocols/tls/certificates.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import { QuicSocket } from "../support/quic_socket.ts";
import { irohClient, irohServer } from "./iroh.ts";
import { ALPN, ourClient, serveOne } from "./ours.ts";

const [pair] = Deno.args;
const key = Ed25519PrivateKey.fromSeed(crypto.getRandomValues(new Uint8Array(32)));
switch (pair) {
  case "iroh-iroh": {
    const server = await irohServer();
    await using process = server.process;
    await using client = irohClient(server.port, server.key);
    const done = await client.next("done");
    const accepted = await process.next("accepted");
    console.log(JSON.stringify({ ...done, accepted: accepted["peer"] }));
    break;
  }
  case "ours-iroh": {
    const server = await irohServer();
    await using process = server.process;
    await ourClient(server.port, rawKeyTls([fromHex(server.key)]), { exchange: true });
    const accepted = await process.next("accepted");
    console.log(JSON.stringify({ type: "done", key: toHex(key.publicKey.bytes), accepted: accepted["peer"] }));
    break;
  }
  case "ours-iroh-other-key": {
    const server = await irohServer();
    await using _process = server.process;
    const error = await ourClient(server.port, rawKeyTls([new Uint8Array(32)]), { exchange: false }).catch(String);
    console.log(JSON.stringify({ type: "done", error }));
    break;
  }
  case "iroh-ours": {
    await using socket = QuicSocket.server(rawKeyTls(undefined));
    await using client = irohClient(socket.port, toHex(key.publicKey.bytes));
    const [done, session] = await Promise.all([client.next("done"), serveOne(socket)]);
    console.log(JSON.stringify({ ...done, accepted: toHex(session.peer) }));
    break;
  }
  default:
    console.log(JSON.stringify({ type: "error", error: `There is no pair ${pair}` }));
}

/** Raw keys in both directions; only `publicKeys`, or anybody who proves a key. */
function rawKeyTls(publicKeys: readonly Uint8Array[] | undefined): TlsSettings {
  return {
    cipherSuites: DEFAULT_CIPHER_SUITES,
    applicationProtocols: [ALPN],
    credentials: [rawPublicKeyCredential(key)],
    peer: {
      certificateTypes: ["RawPublicKey"],
      refusePublicKey: key.publicKey.bytes,
      ask: false,
      ...(publicKeys === undefined ? {} : { publicKeys }),
    },
    keyLog: false,
  };
}
