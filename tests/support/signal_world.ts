/**
 * What `serve --relay` runs, in the virtual network: one hub for clients with a stream (as WebSockets have) and for those with
 * a request at the relay.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import { serveChannels } from "../../lab/mod.ts";
import type { StreamListener, VirtualHost } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { Hub } from "../../service/hub.ts";
import { type HubConnection, HubGate } from "../../service/hub_connection.ts";
import { Relay, type RelayOptions } from "../../service/relay.ts";
import { makeSelfSigned } from "../../service/self_signed.ts";
import { ServiceMachine } from "../../service/service_machine.ts";
import { StunServer } from "../../service/stun_server.ts";
import type { RelayAccess } from "../../transports/traversal.ts";
import { RELAY_PORT } from "./relay_world.ts";
import { HUB_PORT } from "./virtual_peers.ts";

/** How a service is started. */
export interface SignalServiceOptions extends Partial<RelayOptions> {
  /** What the hub asks for. */
  readonly hubToken?: string;
  /** The relay carries no messages. */
  readonly hasNoHub?: true;
}

/** A service that runs. */
export class SignalService {
  readonly hub: Hub<HubConnection>;
  readonly relay: Relay;
  /** How clients get to the relay. */
  readonly access: RelayAccess;
  /** Where streams go to. */
  readonly hubAddress: Address;
  readonly #listener: StreamListener;

  constructor(host: VirtualHost, { hubToken, hasNoHub, ...options }: SignalServiceOptions = {}) {
    this.hub = new Hub<HubConnection>({ stunServers: [], epochMs: host.epochMs });
    const gate = new HubGate(this.hub, hubToken);
    const certificate = makeSelfSigned("relay.test", host.random, host.epochMs);
    const base = host.bind(host.address(RELAY_PORT));
    this.relay = new Relay({
      bases: [base],
      binder: host,
      random: host.random,
      credential: certificate.credential,
      access: { isOpen: true },
      epochMs: host.epochMs,
      ...(hasNoHub ? {} : { gate }),
      ...options,
    });
    const driver = new Driver(new ServiceMachine(this.hub, new StunServer(), this.relay), host, (event) => {
      if (event.type === "message") event.client.socket.send(event.message, host.now());
      else event.client.socket.close(host.now());
    });
    this.access = {
      addresses: [base.local],
      authority: base.local.toString(),
      certificateSha256: certificate.sha256,
    };
    this.hubAddress = host.address(HUB_PORT);
    this.#listener = serveChannels(host, HUB_PORT, (channel) => {
      const client = gate.open(channel, channel.remote.host, host.now());
      return {
        handleOpen: () => driver.drain(),
        handleMessage: (message, now) => {
          client.handleMessage(message, now);
          driver.drain();
        },
        handleClosed: (now) => {
          client.handleClosed(now);
          driver.drain();
        },
      };
    });
  }

  /** No stream is taken any more. */
  close(): void {
    this.#listener.close();
  }
}
