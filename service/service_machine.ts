/**
 * Hub and STUN server as one machine, so that one driver with one alarm runs both.
 *
 * @module
 */

import type { Datagram, Machine } from "../protocols/core/machine.ts";
import type { Hub } from "./hub.ts";
import type { StunServer } from "./stun_server.ts";

/** What the hub wants done with its clients. */
export type ServiceEvent<Client> =
  | { readonly type: "message"; readonly client: Client; readonly message: string }
  | { readonly type: "disconnect"; readonly client: Client };

/** Datagrams are for the STUN server, timers and events the hub's. */
export class ServiceMachine<Client> implements Machine<ServiceEvent<Client>> {
  readonly #hub: Hub<Client>;
  readonly #stun: StunServer;

  constructor(hub: Hub<Client>, stun: StunServer) {
    this.#hub = hub;
    this.#stun = stun;
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.#stun.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.#hub.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.#stun.pollTransmit(now);
  }

  pollEvent(): ServiceEvent<Client> | undefined {
    const transmit = this.#hub.pollMessage();
    if (transmit !== undefined) return { type: "message", ...transmit };
    const client = this.#hub.pollDisconnect();
    return client === undefined ? undefined : { type: "disconnect", client };
  }

  pollTimeout(): number | undefined {
    return this.#hub.pollTimeout();
  }
}
