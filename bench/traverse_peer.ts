/**
 * One stream with our own QUIC: endpoint, driver and host, without the shell of Web Streams. JSON lines as
 * `support/roles.ts` says.
 *
 *     deno run -A --unstable-net bench/traverse_peer.ts receive
 *     deno run -A --unstable-net bench/traverse_peer.ts send --port PORT --peer KEY --mebibytes 128
 *
 * @module
 */

import { parseArgs } from "node:util";
import { DenoHost } from "../io/deno_host.ts";
import { DgramHost } from "../io/dgram_host.ts";
import { Driver } from "../io/driver.ts";
import type { Host } from "../io/host.ts";
import { libcrypto } from "../io/libcrypto.ts";
import { LinuxHost } from "../io/linux_host.ts";
import { SYSTEM_RANDOM } from "../io/process_host.ts";
import { addressOf } from "../protocols/core/address.ts";
import { fromHex, toHex } from "../protocols/core/bytes.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { LibcryptoBackend } from "../protocols/crypto/libcrypto_aead.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS, type EndpointConfig } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { cpuTime, DATAGRAM_BYTES, report } from "./support/roles.ts";
import { tlsSettings } from "./support/tls.ts";

const LOOPBACK = addressOf("127.0.0.1", 0);
const CHUNK_BYTES = 64 * 1024;

/** Our QUIC with the parts around it. */
class Peer {
  readonly host: Host & Disposable;
  readonly endpoint: QuicEndpoint;
  readonly driver: Driver<EndpointEvent>;

  constructor(
    options: Options,
    config: EndpointConfig,
    onEvent: (connection: QuicConnection, event: ConnectionEvent) => void,
  ) {
    this.host = options.ffi ? new LinuxHost() : options.dgram ? new DgramHost() : new DenoHost();
    this.endpoint = new QuicEndpoint({ ...config, aead: options.ffi ? foreignAead() : config.aead }, this.host.random);
    this.driver = new Driver(this.endpoint, this.host, (event) => {
      if (event.type === "connection") onEvent(event.connection, event.event);
    });
  }
}

function receive(options: Options): void {
  const key = Ed25519PrivateKey.generate(SYSTEM_RANDOM);
  let bytes = 0;
  let begunAt = 0;
  const server = {
    tls: tlsSettings({ own: key, cipherSuites: [options.cipher] }),
    transport: DEFAULT_TRANSPORT_SETTINGS,
  };
  const peer = new Peer(options, { ...DEFAULT_ENDPOINT_CONFIG, server }, (connection, event) => {
    if (event.type === "closed") setTimeout(() => peer.host[Symbol.dispose](), 200);
    if (event.type !== "streamReadable") return;
    if (begunAt === 0) begunAt = performance.now();
    for (let data = connection.read(event.id); data !== undefined; data = connection.read(event.id)) {
      bytes += data.length;
    }
    if (!connection.isAtEnd(event.id)) return;
    report({ type: "done", bytes, seconds: (performance.now() - begunAt) / 1000, ...numbersOf(connection) });
    connection.close(0, "done", peer.host.now());
    peer.driver.drain();
  });
  const base = peer.host.bind(LOOPBACK);
  report({ type: "ready", port: base.local.port, key: toHex(key.publicKey.bytes) });
}

function send(options: Options): void {
  const key = Ed25519PrivateKey.generate(SYSTEM_RANDOM);
  const chunk = crypto.getRandomValues(new Uint8Array(CHUNK_BYTES));
  let left = options.mebibytes * 2 ** 20;
  const fill = (connection: QuicConnection, id: number): void => {
    while (left > 0) {
      const offered = Math.min(left, CHUNK_BYTES);
      // The chunk is never written to, so it can be given away again and again.
      const taken = connection.give(id, offered === CHUNK_BYTES ? chunk : chunk.subarray(0, offered));
      left -= taken;
      if (taken < offered) return;
    }
    connection.finish(id);
  };
  const peer = new Peer(options, DEFAULT_ENDPOINT_CONFIG, (connection, event) => {
    if (event.type === "handshakeComplete") {
      const id = connection.openStream("unidirectional");
      if (id === undefined) throw new Error("Cannot open a stream");
      fill(connection, id);
    } else if (event.type === "streamWritable") {
      fill(connection, event.id);
    } else if (event.type === "closed") {
      report({ type: "done", ...numbersOf(connection) });
      setTimeout(() => peer.host[Symbol.dispose](), 200);
    }
  });
  const base = peer.host.bind(LOOPBACK);
  peer.endpoint.connect({
    base,
    remote: addressOf("127.0.0.1", options.port),
    tls: tlsSettings({ own: key, peer: fromHex(options.peer), cipherSuites: [options.cipher] }),
    transport: options.ffi
      ? DEFAULT_TRANSPORT_SETTINGS
      : { ...DEFAULT_TRANSPORT_SETTINGS, maxUdpPayloadBytes: DATAGRAM_BYTES },
  }, peer.host.now());
  peer.driver.drain();
}

function numbersOf(connection: QuicConnection): Readonly<Record<string, number>> {
  const { sentPackets, receivedPackets, lostPackets, rttMs, minRttMs, congestionWindowBytes } = connection.stats;
  return { sentPackets, receivedPackets, lostPackets, rttMs, minRttMs, congestionWindowBytes, ...cpuTime() };
}

function foreignAead(): LibcryptoBackend<Deno.PointerObject> {
  const functions = libcrypto();
  if ("reason" in functions) throw new Error(functions.reason);
  return new LibcryptoBackend(functions);
}

interface Options {
  readonly port: number;
  readonly peer: string;
  readonly mebibytes: number;
  /** Libcrypto, and sockets with segmentation offload. */
  readonly ffi: boolean;
  /** Sockets of `node:dgram`, which Node.js and Bun have too: this program runs there as well. */
  readonly dgram: boolean;
  readonly cipher: "TLS_CHACHA20_POLY1305_SHA256" | "TLS_AES_128_GCM_SHA256";
}

if (import.meta.main) {
  const { positionals: [role], values } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: "string", default: "0" },
      peer: { type: "string", default: "" },
      mebibytes: { type: "string", default: "128" },
      aes: { type: "boolean", default: false },
      ffi: { type: "boolean", default: false },
      dgram: { type: "boolean", default: false },
    },
  });
  const options: Options = {
    port: Number(values.port),
    peer: values.peer,
    mebibytes: Number(values.mebibytes),
    ffi: values.ffi,
    dgram: values.dgram,
    cipher: values.aes ? "TLS_AES_128_GCM_SHA256" : "TLS_CHACHA20_POLY1305_SHA256",
  };
  if (role === "receive") receive(options);
  else send(options);
}
