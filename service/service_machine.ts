/**
 * Hub, STUN server and relay as one machine, so that one driver with one alarm runs all.
 *
 * @module
 */

import type { Datagram, Machine } from "../protocols/core/machine.ts";
import type { HubMachine } from "../signaling/hub_machine.ts";
import type { HubConnection } from "./hub_connection.ts";
import type { Relay } from "./relay.ts";
import type { StunServer } from "./stun_server.ts";

/** What the hub wants done with its clients. */
export type ServiceEvent =
  | { readonly type: "message"; readonly client: HubConnection; readonly message: string }
  | { readonly type: "disconnect"; readonly client: HubConnection };

/** Datagrams are for the relay where the base is its, else for the STUN server; timers are the hub's and the relay's. */
export class ServiceMachine implements Machine<ServiceEvent> {
  readonly #hub: HubMachine<HubConnection>;
  readonly #stun: StunServer;
  readonly #relay: Relay | undefined;

  constructor(hub: HubMachine<HubConnection>, stun: StunServer, relay?: Relay) {
    this.#hub = hub;
    this.#stun = stun;
    this.#relay = relay;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    if (this.#relay?.owns(datagram.base)) this.#relay.handleDatagram(datagram, now);
    else this.#stun.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#hub.handleTimeout(now);
    this.#relay?.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.#stun.pollTransmit(now) ?? this.#relay?.pollTransmit(now);
  }

  pollEvent(): ServiceEvent | undefined {
    const event = this.#pollHub();
    if (event !== undefined) return event;
    // Its events are counted; nobody waits for them.
    while (this.#relay?.pollEvent() !== undefined);
    // Clients of the hub that come by the relay have said something meanwhile.
    return this.#pollHub();
  }

  pollTimeout(): number | undefined {
    const [a, b] = [this.#hub.pollTimeout(), this.#relay?.pollTimeout()];
    return a === undefined || b === undefined ? a ?? b : Math.min(a, b);
  }

  #pollHub(): ServiceEvent | undefined {
    const transmit = this.#hub.pollMessage();
    if (transmit !== undefined) return { type: "message", ...transmit };
    const client = this.#hub.pollDisconnect();
    return client === undefined ? undefined : { type: "disconnect", client };
  }
}
