/**
 * A hub as those see it who carry its messages: the virtual network, the service, and the hub inside one process.
 *
 * @module
 */

/** A message of the hub's, and whom it is for. */
export interface HubTransmit<Client> {
  readonly client: Client;
  readonly message: string;
}

/** A synchronous hub of many clients. `Client` is whatever tells one connection from another, compared by identity. */
export interface HubMachine<Client> {
  /** @param source Where the client connects from, for limits that hold for all its connections: an IP address. */
  handleOpen(client: Client, source: string, now: number): void;
  handleMessage(client: Client, message: string, now: number): void;
  handleClosed(client: Client, now: number): void;
  handleTimeout(now: number): void;
  /** The next message to send. */
  pollMessage(): HubTransmit<Client> | undefined;
  /** The next client to be disconnected, once its messages are sent. */
  pollDisconnect(): Client | undefined;
  pollTimeout(): number | undefined;
}
