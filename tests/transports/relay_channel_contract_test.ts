import { Driver } from "../../io/driver.ts";
import { VirtualNetwork } from "../../lab/mod.ts";
import type { VirtualHost } from "../../lab/mod.ts";
import type { Datagram, Machine } from "../../protocols/core/machine.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../../protocols/quic/config.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import type { HubConnection } from "../../service/hub_connection.ts";
import type { MessageChannel } from "../../signaling/channel.ts";
import type { HubMachine, HubTransmit } from "../../signaling/hub_machine.ts";
import { MessageQueue } from "../../signaling/queue_stream.ts";
import { bindBases } from "../../transports/bases.ts";
import { makeNode } from "../../transports/dial.ts";
import { quicNative } from "../../transports/quic_native.ts";
import { RelayChannel } from "../../transports/relay_channel.ts";
import type { RelayChannelListener } from "../../transports/relay_channel.ts";
import { RelayConnections } from "../../transports/relay_connection.ts";
import type { RelayHost } from "../../transports/relay_connection.ts";
import type { Node, RelayAccess } from "../../transports/traversal.ts";
import { testSignaling } from "../contract/signaling.ts";
import type { SignalingFixture } from "../contract/signaling.ts";
import { Inbox } from "../support/inbox.ts";
import { SignalService } from "../support/signal_world.ts";
import { keyOf } from "../support/virtual_peers.ts";

/** Longer than anything takes on these links. */
const SETTLE_MS = 1000;

/** A hub that says only what it is told to. */
class PuppetHub implements HubMachine<HubConnection> {
  readonly inbox = new Inbox<string>();
  readonly #clients = new Set<HubConnection>();
  readonly #transmits: HubTransmit<HubConnection>[] = [];
  readonly #disconnects: HubConnection[] = [];

  say(message: string): void {
    for (const client of this.#clients) this.#transmits.push({ client, message });
  }

  hangUp(): void {
    this.#disconnects.push(...this.#clients);
  }

  handleOpen(client: HubConnection): void {
    this.#clients.add(client);
  }

  handleMessage(_client: HubConnection, message: string): void {
    this.inbox.put(message);
  }

  handleClosed(client: HubConnection): void {
    this.#clients.delete(client);
  }

  handleTimeout(): void {}

  pollMessage(): HubTransmit<HubConnection> | undefined {
    return this.#transmits.shift();
  }

  pollDisconnect(): HubConnection | undefined {
    return this.#disconnects.shift();
  }

  pollTimeout(): undefined {}
}

/** One channel after another on one machine, as a traversal has them. */
class ChannelClient implements Machine<never>, RelayHost, RelayChannelListener {
  readonly node: Node;
  readonly endpoint: QuicEndpoint;
  queue = new MessageQueue(() => {});
  isOpen = false;
  readonly #host: VirtualHost;
  readonly #relays: RelayConnections;
  readonly #driver: Driver<never>;
  #channel: RelayChannel | undefined;

  constructor(host: VirtualHost) {
    this.#host = host;
    const common = { providers: [], signaling: undefined, stunServers: [], resolve: () => Promise.resolve([]) };
    const options = { host, identity: keyOf(host, 1), transport: quicNative(), protocol: "q2q", ...common };
    this.node = makeNode({ ...options, loopback: false, keyLog: false }, bindBases(host, { loopbackOnly: false }), 0);
    this.endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, host.random);
    this.#relays = new RelayConnections(this);
    this.#driver = new Driver<never>(this, host, () => {});
  }

  open(relay: RelayAccess): void {
    this.queue = new MessageQueue(() => {});
    this.isOpen = false;
    this.#channel = new RelayChannel(this.#relays, { relay }, this, this.#host.now());
    this.#driver.drain();
  }

  send(message: string): void {
    this.#channel?.send(message, this.#host.now());
    this.#driver.drain();
  }

  close(): void {
    this.#channel?.close(this.#host.now());
    this.queue.close();
    this.#driver.drain();
  }

  channelOpened(): void {
    this.isOpen = true;
  }

  channelMessage(text: string): void {
    this.queue.push(text);
  }

  channelClosed(): void {
    this.queue.close();
  }

  wakeEndpoint(): void {}

  expectFrom(): void {}

  addressObserved(): void {}

  keyLogged(): void {}

  handleDatagram(datagram: Datagram, now: number): void {
    this.endpoint.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.endpoint.handleTimeout(now);
    this.#relays.onTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.endpoint.pollTransmit(now);
  }

  pollEvent(): undefined {
    const now = this.#host.now();
    do {
      for (let event = this.endpoint.pollEvent(); event !== undefined; event = this.endpoint.pollEvent()) {
        if (event.type === "connection") this.#relays.onEvent(event.connection, event.event, now);
      }
    } while (this.#relays.settle(now));
  }

  pollTimeout(): number | undefined {
    const at = Math.min(this.endpoint.pollTimeout() ?? Infinity, this.#relays.timeoutAt);
    return at === Infinity ? undefined : at;
  }
}

function openRelay(): Promise<SignalingFixture> {
  const net = new VirtualNetwork({ seed: 1 });
  const hub = new PuppetHub();
  const service = new SignalService(net.host("server", { rttToCoreMs: 10 }), { hub });
  const client = new ChannelClient(net.host("client", { rttToCoreMs: 10 }));
  const settle = (): void => {
    net.run({ until: net.now + SETTLE_MS });
  };
  const openChannel = (signal: AbortSignal): MessageChannel => {
    client.open(service.access);
    settle();
    if (!client.isOpen) throw new Error("The channel did not open");
    const { queue } = client;
    const close = (): void => {
      client.close();
      settle();
    };
    signal.addEventListener("abort", close, { once: true });
    return {
      messages: queue.stream,
      send: (message) => {
        client.send(message);
        settle();
      },
      close,
    };
  };
  return Promise.resolve({
    signaling: {
      name: "relay",
      open: ({ signal }) => signal.aborted ? Promise.reject(signal.reason) : Promise.resolve(openChannel(signal)),
    },
    received: () => hub.inbox.next(),
    say: (message) => {
      hub.say(message);
      service.drain();
      settle();
    },
    hangUp: () => {
      hub.hangUp();
      service.drain();
      settle();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

testSignaling({ name: "relay", open: openRelay });
