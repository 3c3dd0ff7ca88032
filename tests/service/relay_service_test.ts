import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { DenoHost } from "../../io/deno_host.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { fromHex, toHex } from "../../protocols/core/bytes.ts";
import { VirtualNetwork } from "../../lab/mod.ts";
import { relaysFor } from "../../service/named_relays.ts";
import { relayMetrics } from "../../service/relay_service.ts";
import { serve, type ServeOptions, type Service } from "../../service/serve.ts";
import { acceptWebSocket } from "../../signaling/websocket.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import {
  type PeerHost,
  PlainPeer,
  startRelay,
  TunnelPeer,
  type TunnelPeerOptions,
  untilOpen,
} from "../support/relay_world.ts";

function start(options: Partial<ServeOptions>): Promise<Service> {
  const host = new DenoHost();
  return serve({
    host,
    epochMs: host.epochMs,
    acceptUpgrade: acceptWebSocket,
    listen: "127.0.0.1:0",
    stun: ["127.0.0.1:0"],
    ...options,
  });
}

function peerHost(name: string): PeerHost {
  return Object.assign(new DenoHost(), { name, address: (port = 0) => addressOf("127.0.0.1", port) });
}

/** A peer on real sockets, its first event, and what closes them. */
async function tunnelTo(service: Service, options: TunnelPeerOptions): Promise<TunnelPeer & Disposable> {
  const host = peerHost("b");
  const { addresses, certificateSha256 } = service.relay!;
  const happened = Promise.withResolvers<void>();
  const peer = new TunnelPeer(host, {
    address: addresses[0]!,
    certificate: { sha256: certificateSha256 },
  }, { isRaw: true, ...options });
  peer.onEvent = () => happened.resolve();
  await happened.promise;
  return Object.assign(peer, {
    [Symbol.dispose]: () => {
      host.close(peer.base);
      host.setAlarm(undefined);
    },
  });
}

Deno.test("serve runs a relay with a certificate of its own, on loopback for everybody", async () => {
  await using service = await start({ relay: "127.0.0.1:0" });
  strictEqual(service.relay?.addresses.length, 1);
  using b = await tunnelTo(service, {});
  const host = peerHost("a");
  const a = new PlainPeer(host);
  const arrived = Promise.withResolvers<void>();
  b.onEvent = () => arrived.resolve();
  a.send(b.publicAddress!, fromHex("68656c6c6f"));
  await arrived.promise;
  host.close(a.base);
  host.setAlarm(undefined);
  deepStrictEqual(b.received.map(({ remote, payload }) => [remote, toHex(payload)]), [[a.base.local, "68656c6c6f"]]);
  const text = service.metrics();
  match(text, /^traverse_relay_connections 1$/m);
  match(text, /^traverse_relay_ports 1$/m);
  match(text, /^traverse_relay_datagrams_in_total 1$/m);
  match(text, /^traverse_relay_opened_total 1$/m);
  match(text, /^traverse_relay_bytes_in_total 5$/m);
  match(text, /^traverse_relay_bytes_out_total 0$/m);
});

Deno.test("A relay's metrics have names that Prometheus takes, each once; what is dropped is among them, with its reason", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const relay = startRelay(net.host("relay"));
  const b = new TunnelPeer(net.host("b"), relay, { isRaw: true });
  untilOpen(net, b);
  const a = new PlainPeer(net.host("a"));
  for (const remote of [a.base.local, addressOf("224.0.0.1", 5000)]) {
    b.tunnel.send({ base: b.tunnel.base!, remote, payload: fromHex("776f726c642021") }, net.now);
  }
  b.driver.drain();
  net.run({ until: net.now + 1000 });
  const metrics = relayMetrics(relay.relay);
  const values = new Map(metrics.map(({ name, value }) => [name, value]));
  strictEqual(values.size, metrics.length);
  for (const { name, type } of metrics) {
    match(name, /^traverse_relay(_[a-z0-9]+)+$/);
    strictEqual(name.endsWith("_total"), type === "counter", name);
  }
  deepStrictEqual(
    ["bytes_out", "datagrams_out", "dropped_target"].map((name) => values.get(`traverse_relay_${name}_total`)),
    [7, 1, 1],
  );
});

Deno.test("serve shows the relay's users the certificate it was given, and asks for a token", async () => {
  const { pem, keyPem, sha256 } = selfSignedCertificate("P-256");
  const tls = { cert: pem, key: keyPem };
  await using service = await start({ relay: "127.0.0.1:0", relayToken: "secret", token: "other", tls });
  const { relay } = service;
  strictEqual(toHex(relay!.certificateSha256), toHex(sha256));
  using without = await tunnelTo(service, {});
  strictEqual(without.closed?.status, 401);
  using other = await tunnelTo(service, { token: "other" });
  strictEqual(other.closed?.status, 401);
  using shared = await tunnelTo(service, { token: "secret" });
  ok(shared.publicAddress !== undefined);
  using issued = await tunnelTo(service, { token: relay!.issueToken(new Uint8Array(32), 0) });
  ok(issued.publicAddress !== undefined);
});

Deno.test("serve's relay takes the tokens of a hub elsewhere that has the same secret, and no others", async () => {
  const relaySecret = "a secret of both";
  await using service = await start({ relay: "127.0.0.1:0", relaySecret });
  strictEqual(service.relay?.isOpen, false);
  using without = await tunnelTo(service, {});
  strictEqual(without.closed?.status, 401);
  const relayUrls = ["https://relay.example.org"];
  const options = { epochMs: new DenoHost().epochMs, isHubLocal: false, relayUrls };
  const [strange] = relaysFor({ ...options, relaySecret: "another secret.." }, undefined)!(new Uint8Array(32), 0);
  using other = await tunnelTo(service, { token: strange!.token! });
  strictEqual(other.closed?.status, 401);
  const [named] = relaysFor({ ...options, relaySecret }, undefined)!(new Uint8Array(32), performance.now());
  using shared = await tunnelTo(service, { token: named!.token! });
  ok(shared.publicAddress !== undefined);
});

Deno.test("serve opens no relay that everybody could use, and says what is wrong with others", async () => {
  await rejects(start({ relay: "0.0.0.0:0" }), /everybody could use it; give --relay-token, or a loopback address/);
  await rejects(start({ relay: "127.0.0.1" }), TypeError);
  await rejects(
    start({ relay: "127.0.0.1:0", tls: { cert: "none", key: "none" } }),
    /there is no certificate, or no key in PKCS #8/,
  );
  await using first = await start({ relay: "127.0.0.1:0" });
  await rejects(start({ relay: first.relay!.addresses[0]!.toString() }), /Cannot listen on UDP 127\.0\.0\.1:/);
});

Deno.test("serve without a relay has none", async () => {
  await using service = await start({});
  strictEqual(service.relay, undefined);
  strictEqual(service.metrics().includes("relay"), false);
});
