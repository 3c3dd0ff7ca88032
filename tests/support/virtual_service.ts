/**
 * What `serve` runs, in the virtual network: the hub on a message port and the STUN server on UDP 3478 of one host.
 *
 * @module
 */

import { Driver } from "../../io/driver.ts";
import {
  type HostOptions,
  serveMessages,
  type StreamListener,
  type VirtualHost,
  type VirtualNetwork,
} from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { Hub } from "../../service/hub.ts";
import { type HubPort, type HubPortEvent, HubPorts } from "../../service/hub_port.ts";
import { StunServer } from "../../service/stun_server.ts";

const HUB_PORT = 8080;
const STUN_PORT = 3478;

/** A hub and a STUN server that run. */
export class VirtualService {
  readonly host: VirtualHost;
  /** Where the hub listens. */
  readonly hubAddress: Address;
  /** Where the STUN server listens. */
  readonly stunAddress: Address;
  hub!: Hub<HubPort>;
  #listener: StreamListener | undefined;

  constructor(net: VirtualNetwork, options: HostOptions & { readonly name?: string } = {}) {
    this.host = net.host(options.name ?? "service", options);
    this.hubAddress = this.host.address(HUB_PORT);
    this.stunAddress = this.host.address(STUN_PORT);
    new Driver(new StunServer(), this.host, () => {});
    this.host.bind(this.stunAddress);
    this.startHub();
  }

  /** Ends the hub: its channels are closed, and it forgets everything. The STUN server goes on. */
  stopHub(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  /** Starts a hub that knows nobody yet. */
  startHub(): void {
    this.hub = new Hub<HubPort>({ stunServers: [`:${STUN_PORT}`], epochMs: this.host.epochMs });
    const ports = new HubPorts(this.hub);
    this.#listener = serveMessages<HubPortEvent>(
      this.host,
      HUB_PORT,
      (remote) => ports.open(remote.host),
      (_event, driver) => driver.close(),
    );
  }
}
