import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Driver } from "../../io/driver.ts";
import { type VirtualHost, VirtualNetwork } from "../../lab/mod.ts";
import type { Address } from "../../protocols/core/address.ts";
import { concatBytes } from "../../protocols/core/bytes.ts";
import type { Datagram, Machine } from "../../protocols/core/machine.ts";
import { Http3Connection } from "../../protocols/http3/connection.ts";
import type { Http3Event } from "../../protocols/http3/events.ts";
import type { Field } from "../../protocols/http3/message.ts";
import { HTTP3_ALPN, TUNNEL_HTTP3_OPTIONS, TUNNEL_TRANSPORT_SETTINGS } from "../../protocols/masque/config.ts";
import { formatKeyProof, KEY_PROOF_FIELD } from "../../protocols/masque/key_proof.ts";
import { DEFAULT_ENDPOINT_CONFIG } from "../../protocols/quic/config.ts";
import { QuicEndpoint } from "../../protocols/quic/endpoint.ts";
import { DEFAULT_CIPHER_SUITES } from "../../protocols/tls/config.ts";
import { DEFAULT_RELAY_LIMITS } from "../../service/relay_limits.ts";
import { testKey } from "../support/quic_pair.ts";
import { PlainPeer, type RunningRelay, startRelay } from "../support/relay_world.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A client of RFC 9298, from nothing but HTTP/3. */
class Client implements Machine<Http3Event> {
  readonly endpoint: QuicEndpoint;
  readonly http3: Http3Connection;
  readonly events: Http3Event[] = [];
  readonly received: [streamId: number, payload: string][] = [];
  readonly driver: Driver<Http3Event>;
  readonly #net: VirtualNetwork;

  constructor(net: VirtualNetwork, host: VirtualHost, relay: RunningRelay) {
    this.#net = net;
    this.endpoint = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, host.random);
    const tls = {
      cipherSuites: DEFAULT_CIPHER_SUITES,
      applicationProtocols: [HTTP3_ALPN],
      credentials: [],
      peer: { certificateTypes: ["X509"], certificateSha256: [relay.certificate.sha256], ask: false },
      keyLog: false,
    } as const;
    const transport = { ...TUNNEL_TRANSPORT_SETTINGS, keepAliveMs: 10_000 };
    const base = host.bind(host.address(0));
    const quic = this.endpoint.connect({ base, remote: relay.address, tls, transport }, net.now);
    this.http3 = new Http3Connection(quic, TUNNEL_HTTP3_OPTIONS);
    this.driver = new Driver<Http3Event>(this, host, (event) => this.events.push(event));
    this.driver.drain();
    net.run({ stopWhen: () => this.http3.peerSettings !== undefined, until: net.now + 5000 });
  }

  /** Asks for a tunnel. @returns The stream, and the status with what `proxy-status` says. */
  ask(target: string, options: { readonly token?: string; readonly key?: string } = {}): [number, string] {
    const fields: Field[] = [["capsule-protocol", "?1"]];
    if (options.token !== undefined) fields.push(["authorization", `Bearer ${options.token}`]);
    if (options.key !== undefined) {
      fields.push([KEY_PROOF_FIELD, formatKeyProof(testKey(options.key), this.http3.quic)]);
    }
    const path = `/.well-known/masque/udp/${target}/`;
    const head = { method: "CONNECT", scheme: "https", authority: "relay.test", path, protocol: "connect-udp", fields };
    const id = this.http3.request(head);
    if (id === undefined) throw new Error("There is no stream");
    this.driver.drain();
    const answer = (): Http3Event | undefined =>
      this.events.find((event) => event.type === "response" && event.streamId === id);
    this.#net.run({ stopWhen: () => answer() !== undefined, until: this.#net.now + 5000 });
    const event = answer();
    if (event?.type !== "response") throw new Error("There is no answer");
    const { status, fields: answered } = event.response;
    return [id, [status, ...answered.filter(([name]) => name === "proxy-status").map(([, value]) => value)].join(" ")];
  }

  send(streamId: number, payload: string): void {
    this.http3.sendDatagram(streamId, concatBytes(Uint8Array.of(0), bytes(payload)));
    this.driver.drain();
  }

  handleDatagram(datagram: Datagram, now: number): void {
    this.endpoint.handleDatagram(datagram, now);
  }

  handleTimeout(now: number): void {
    this.endpoint.handleTimeout(now);
  }

  pollTransmit(now: number): Datagram | undefined {
    return this.endpoint.pollTransmit(now);
  }

  pollEvent(): Http3Event | undefined {
    const { now } = this.#net;
    for (let event = this.endpoint.pollEvent(); event !== undefined; event = this.endpoint.pollEvent()) {
      if (event.type === "connection") this.http3.handleEvent(event.event, now);
    }
    for (let next = this.http3.readDatagram(now); next !== undefined; next = this.http3.readDatagram(now)) {
      strictEqual(next.bytes[next.payloadAt], 0);
      this.received.push([next.streamId, text(next.bytes.subarray(next.payloadAt + 1))]);
    }
    return this.http3.pollEvent();
  }

  pollTimeout(): number | undefined {
    return this.endpoint.pollTimeout();
  }
}

const pathTo = ({ host, port }: Address): string => `${encodeURIComponent(host)}/${port}`;

Deno.test("Relay carries datagrams to one target and back, for several targets at once (RFC 9298 §3.1, §5)", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const relay = startRelay(net.host("relay"));
  const client = new Client(net, net.host("client", { behind: net.nat() }), relay);
  const [a, b] = [new PlainPeer(net.host("a")), new PlainPeer(net.host("b"))];
  const [toA, statusOfA] = client.ask(pathTo(a.base.local));
  const [toB, statusOfB] = client.ask(pathTo(b.base.local));
  deepStrictEqual([statusOfA, statusOfB], ["200", "200"]);
  client.send(toA, "to a");
  client.send(toB, "to b");
  net.run({ until: net.now + 1000 });
  deepStrictEqual([a, b].map(({ received }) => received.map(({ payload }) => text(payload))), [["to a"], ["to b"]]);
  const [portOfA, portOfB] = [a.received[0]!.remote, b.received[0]!.remote];
  strictEqual(portOfA === portOfB, false);
  a.send(portOfA, bytes("from a"));
  b.send(portOfB, bytes("from b"));
  // The port for a is not for b.
  b.send(portOfA, bytes("a stranger"));
  net.run({ until: net.now + 1000 });
  deepStrictEqual(client.received.toSorted(([one], [other]) => one - other), [[toA, "from a"], [toB, "from b"]]);
  strictEqual(relay.relay.drops.get("no context"), 1);
  // RFC 9298 §3.1: the tunnel is the stream; nothing is kept for a key.
  client.http3.finish(toA);
  client.driver.drain();
  net.run({ until: net.now + 1000 });
  deepStrictEqual(relay.relay.sizes, { connections: 1, ports: 1, keptPorts: 0 });
});

Deno.test("Relay refuses targets that bound ports may not talk to, and says why (RFC 9298 §7, RFC 9209 §2.3.5)", () => {
  const net = new VirtualNetwork({ seed: 2 });
  const relay = startRelay(net.host("relay"));
  const client = new Client(net, net.host("client"), relay);
  const refused = (details: string): string => `502 traverse; error=destination_ip_prohibited; details="${details}"`;
  const cases: readonly (readonly [string, string])[] = [
    ["127.0.0.1/5000", refused("loopback address")],
    ["169.254.1.1/5000", refused("link-local address")],
    ["224.0.0.251/5000", refused("multicast address")],
    ["10.0.0.1/5000", refused("private address")],
    ["203.0.113.99/53", refused("port 53 of a service")],
    ["%3A%3A1/5000", refused("loopback address")],
    ["%3A%3Affff%3A127.0.0.1/5000", refused("loopback address")],
    [pathTo(relay.address), refused("address of the relay")],
    ["2001%3Adb8%3A%3A1/5000", '502 traverse; error=destination_ip_unroutable; details="no IPv6 here"'],
    ["target.example/5000", '502 traverse; error=dns_error; details="names are not resolved here"'],
    ["203.0.113.99/0", '400 traverse; error=http_request_error; details="The port is not 1 to 65535"'],
  ];
  for (const [target, status] of cases) strictEqual(client.ask(target)[1], status, target);
  deepStrictEqual(relay.relay.sizes.ports, 0);
  deepStrictEqual([relay.relay.counters.get("refused_target"), relay.relay.counters.get("refused_request")], [9, 2]);
});

Deno.test("Relay opens ports for targets to those with a token, and as many as an address may have (RFC 9298 §7)", () => {
  const net = new VirtualNetwork({ seed: 3 });
  const limits = { ...DEFAULT_RELAY_LIMITS, portsPerAddress: 3 };
  const relay = startRelay(net.host("relay"), { access: { isOpen: false, token: "secret" }, limits });
  const client = new Client(net, net.host("client"), relay);
  const target = pathTo(new PlainPeer(net.host("a")).base.local);
  strictEqual(client.ask(target)[1], "401");
  strictEqual(client.ask(target, { token: "other" })[1], "401");
  const asked = Array.from({ length: 4 }, () => client.ask(target, { token: "secret", key: "client" })[1]);
  deepStrictEqual(asked, ["200", "200", "200", "429"]);
  // Whoever has a key keeps nothing by it here.
  client.http3.close(net.now);
  client.driver.drain();
  net.run({ until: net.now + 1000 });
  deepStrictEqual(relay.relay.sizes, { connections: 0, ports: 0, keptPorts: 0 });
});

Deno.test("Relay counts what all ports of a key let through in its one day", () => {
  const net = new VirtualNetwork({ seed: 4 });
  const relay = startRelay(net.host("relay"), { limits: { ...DEFAULT_RELAY_LIMITS, bytesPerDay: 100 } });
  const target = new PlainPeer(net.host("a"));
  const client = new Client(net, net.host("client"), relay);
  const streams = ["first", "second"].map(() => client.ask(pathTo(target.base.local), { key: "client" })[0]);
  for (const stream of streams) client.send(stream, "x".repeat(60));
  net.run({ until: net.now + 1000 });
  deepStrictEqual([target.received.length, relay.relay.drops.get("quota")], [1, 1]);
});
