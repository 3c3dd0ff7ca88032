/**
 * How fast one stream of QUIC goes through a relay in a process of its own, both ends of it in this process.
 *
 * @module
 */

import { Driver } from "../io/driver.ts";
import type { Address } from "../protocols/core/address.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../protocols/quic/config.ts";
import type { QuicConnection } from "../protocols/quic/connection.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import type { ConnectionEvent, EndpointEvent } from "../protocols/quic/events.ts";
import { rawKeyTls, testKey } from "../tests/support/quic_pair.ts";
import { TunnelPeer } from "../tests/support/relay_world.ts";
import { ForwarderProcess, hostOf } from "./support/forwarder_process.ts";

const CHUNK = new Uint8Array(64 * 1024);
/** Who listens, as `TunnelPeer` has it. */
const LISTENER = "inside";

type OnEvent = (connection: QuicConnection, event: ConnectionEvent) => void;

/** One stream, from whoever sends: the caller opens it in either case. */
class Stream {
  readonly #totalBytes: number;
  readonly #isCallerSending: boolean;
  readonly #done = Promise.withResolvers<number>();
  #startedAt = 0;
  #sentBytes = 0;
  #readBytes = 0;

  constructor(totalBytes: number, isCallerSending: boolean) {
    this.#totalBytes = totalBytes;
    this.#isCallerSending = isCallerSending;
  }

  /** The rate, in MB/s. */
  get rate(): Promise<number> {
    return this.#done.promise;
  }

  open(connection: QuicConnection): void {
    this.#startedAt = performance.now();
    const id = connection.openStream("bidirectional");
    if (id === undefined) throw new Error("the listener allows no stream");
    if (this.#isCallerSending) this.#fill(connection, id);
    else connection.write(id, Uint8Array.of(1));
  }

  send(connection: QuicConnection, event: ConnectionEvent): void {
    if (event.type !== "streamWritable" && event.type !== "streamReadable") return;
    if (event.type === "streamReadable") { while (connection.read(event.id) !== undefined); }
    while (this.#sentBytes < this.#totalBytes) {
      const taken = connection.write(event.id, CHUNK);
      this.#sentBytes += taken;
      if (taken < CHUNK.length) return;
    }
  }

  receive(connection: QuicConnection, event: ConnectionEvent): void {
    if (event.type !== "streamReadable") return;
    for (let data = connection.read(event.id); data !== undefined; data = connection.read(event.id)) {
      this.#readBytes += data.length;
    }
    const seconds = (performance.now() - this.#startedAt) / 1000;
    if (this.#readBytes >= this.#totalBytes) this.#done.resolve(this.#readBytes / seconds / 1e6);
  }

  #fill(connection: QuicConnection, id: number): void {
    while (this.#sentBytes < this.#totalBytes) {
      const taken = connection.write(id, CHUNK);
      this.#sentBytes += taken;
      if (taken < CHUNK.length) return;
    }
  }
}

/** @param direction `in`: what the caller sends goes into the listener's tunnel. */
export async function measureRate(direction: "in" | "out" | "direct", bytes: number): Promise<number> {
  const isFromCaller = direction !== "out";
  const stream = new Stream(bytes, isFromCaller);
  const onListener: OnEvent = (connection, event) =>
    isFromCaller ? stream.receive(connection, event) : stream.send(connection, event);
  const [inside, outside] = [hostOf(LISTENER), hostOf("outside")];
  try {
    if (direction === "direct") {
      const listener = new QuicEndpoint({
        ...DEFAULT_ENDPOINT_CONFIG,
        server: { tls: rawKeyTls(testKey(LISTENER), undefined), transport: DEFAULT_TRANSPORT_SETTINGS },
      }, inside.random);
      drive(listener, inside, onListener);
      call(outside, inside.bind(inside.address()).local, stream, isFromCaller);
      return await stream.rate;
    }
    await using process = new ForwarderProcess("relay");
    const peer = new TunnelPeer(inside, await process.relay());
    const opened = Promise.withResolvers<void>();
    peer.onEvent = (event) => {
      if (event.type === "inner") onListener(event.connection, event.event);
      else opened.resolve();
    };
    await opened.promise;
    if (peer.publicAddress === undefined) throw new Error("the tunnel did not open");
    call(outside, peer.publicAddress, stream, isFromCaller);
    return await stream.rate;
  } finally {
    inside.closeAll();
    outside.closeAll();
  }
}

function drive(endpoint: QuicEndpoint, host: ReturnType<typeof hostOf>, onEvent: OnEvent): Driver<EndpointEvent> {
  return new Driver<EndpointEvent>(endpoint, host, (event) => {
    if (event.type === "connection") onEvent(event.connection, event.event);
  });
}

function call(host: ReturnType<typeof hostOf>, remote: Address, stream: Stream, isSender: boolean): void {
  const endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, host.random);
  const driver = drive(endpoint, host, (connection, event) => {
    if (event.type === "handshakeConfirmed") stream.open(connection);
    else if (isSender) stream.send(connection, event);
    else stream.receive(connection, event);
  });
  const tls = rawKeyTls(testKey("caller"), testKey(LISTENER));
  endpoint.connect({ base: host.bind(host.address()), remote, tls, transport: DEFAULT_TRANSPORT_SETTINGS }, host.now());
  driver.drain();
}
