/**
 * The two ends of a tunnel over a pair of QUIC endpoints in virtual time: each ours, or a peer that says what a test wants.
 *
 * @module
 */

import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { fromHex } from "../../protocols/core/bytes.ts";
import type { Base, Datagram } from "../../protocols/core/machine.ts";
import { BoundPort, type PortPolicy } from "../../protocols/masque/bound_port.ts";
import { TUNNEL_TRANSPORT_SETTINGS } from "../../protocols/masque/config.ts";
import { bindRequest, bindResponse } from "../../protocols/masque/bind_request.ts";
import { UdpTunnel, type UdpTunnelEvent } from "../../protocols/masque/udp_tunnel.ts";
import type { ResponseHead } from "../../protocols/http3/message.ts";
import { type Http3End, http3Pair } from "./http3_pair.ts";
import type { Pair } from "./quic_pair.ts";

/** The address that the proxy gives. */
export const PUBLIC_ADDRESS: Address = addressOf("192.0.2.45", 54321);

/** The proxy's socket. */
export const PORT_BASE: Base = { kind: "socket", local: PUBLIC_ADDRESS, maxPayloadBytes: 1472 };

const ALL: PortPolicy = { isTarget: () => true, isSource: () => true, spend: () => true };

/** A client of ours. */
export class TunnelEnd {
  readonly end: Http3End;
  readonly tunnel: UdpTunnel;
  readonly events: UdpTunnelEvent[] = [];
  readonly received: Datagram[] = [];

  constructor(pair: Pair, end: Http3End) {
    this.end = end;
    this.tunnel = new UdpTunnel(end.http3, { authority: "relay.example", token: "secret" });
    end.onEvent = (event) => {
      this.tunnel.handleEvent(event, pair.now);
      this.drain(pair.now);
    };
  }

  /** Reads what there is. */
  drain(now: number): void {
    for (let event = this.tunnel.pollEvent(); event !== undefined; event = this.tunnel.pollEvent()) {
      this.events.push(event);
    }
    for (let out = this.tunnel.pollDatagram(now); out !== undefined; out = this.tunnel.pollDatagram(now)) {
      this.received.push({ ...out, payload: out.payload.slice() });
    }
  }

  /** Why it ended. */
  get closedReason(): string | undefined {
    for (const event of this.events) if (event.type === "closed") return event.reason;
    return undefined;
  }
}

/** A proxy of ours: one port, granted to whoever asks. */
export class PortEnd {
  readonly end: Http3End;
  port: BoundPort | undefined;
  readonly sent: Datagram[] = [];

  /** @param target Of a tunnel to one target. */
  constructor(pair: Pair, end: Http3End, policy: Partial<PortPolicy> = {}, target?: Address) {
    this.end = end;
    end.onEvent = (event) => {
      if (event.type === "request") {
        this.port = new BoundPort({
          ...(target === undefined ? {} : { target }),
          http3: end.http3,
          streamId: event.streamId,
          base: PORT_BASE,
          publicAddress: PUBLIC_ADDRESS,
          policy: { ...ALL, ...policy },
        });
      } else if ("streamId" in event) {
        this.port?.handleEvent(event, pair.now);
      } else if (event.type === "datagramReadable") {
        for (let next = end.http3.readDatagram(pair.now); next !== undefined; next = end.http3.readDatagram(pair.now)) {
          this.#sent(this.port?.receive(next, pair.now));
        }
      }
      this.#sent(this.port?.pollDatagram());
    };
  }

  #sent(datagram: Datagram | undefined): void {
    if (datagram !== undefined) this.sent.push({ ...datagram, payload: datagram.payload.slice() });
  }
}

/** A client and a proxy, both ours; the tunnel is open. */
export function tunnelPair(policy: Partial<PortPolicy> = {}): { pair: Pair; client: TunnelEnd; proxy: PortEnd } {
  const { pair, client, server } = http3Pair({ transport: TUNNEL_TRANSPORT_SETTINGS });
  const proxy = new PortEnd(pair, server, policy);
  const end = new TunnelEnd(pair, client);
  pair.runUntil(() => end.tunnel.base !== undefined);
  return { pair, client: end, proxy };
}

/** A proxy of ours and a client that asks as it should, and then writes and sends what a test says. */
export function rawClient(policy: Partial<PortPolicy> = {}, target?: Address): {
  pair: Pair;
  proxy: PortEnd;
  client: Http3End;
  streamId: number;
  write(hex: string): void;
  sendDatagram(hex: string): void;
} {
  const { pair, client, server } = http3Pair({ transport: TUNNEL_TRANSPORT_SETTINGS });
  const proxy = new PortEnd(pair, server, policy, target);
  const streamId = client.http3.request(bindRequest({ authority: "relay.example" }));
  if (streamId === undefined) throw new Error("There is no stream for the request");
  pair.runUntil(() => client.of("response").length === 1);
  return {
    pair,
    proxy,
    client,
    streamId,
    write: (hex) => {
      client.http3.write(streamId, fromHex(hex));
      pair.runTo(pair.now + 100);
    },
    sendDatagram: (hex) => {
      client.http3.sendDatagram(streamId, fromHex(hex));
      pair.runTo(pair.now + 100);
    },
  };
}

/** A client of ours and a proxy that answers with that head, and then writes and sends what a test says. */
export function rawProxy(response: ResponseHead = bindResponse([PUBLIC_ADDRESS])): {
  pair: Pair;
  client: TunnelEnd;
  proxy: Http3End;
  write(hex: string): void;
  sendDatagram(hex: string): void;
} {
  const { pair, client, server } = http3Pair({ transport: TUNNEL_TRANSPORT_SETTINGS });
  server.onEvent = (event) => {
    if (event.type === "request") server.http3.respond(event.streamId, response);
  };
  const end = new TunnelEnd(pair, client);
  pair.runUntil(() => end.events.length > 0);
  return {
    pair,
    client: end,
    proxy: server,
    write: (hex) => {
      server.http3.write(0, fromHex(hex));
      pair.runTo(pair.now + 100);
    },
    sendDatagram: (hex) => {
      server.http3.sendDatagram(0, fromHex(hex));
      pair.runTo(pair.now + 100);
    },
  };
}
