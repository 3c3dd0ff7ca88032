import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import { PlainPeer, QuicPeer, startRelay, transferBothWays, TunnelPeer, untilOpen } from "../support/relay_world.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

Deno.test("Relay forwards both ways between a bound port and its tunnel", () => {
  const net = new VirtualNetwork({ seed: 1 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const b = new TunnelPeer(net.host("b", { behind: net.nat(), rttToCoreMs: 100 }), relay, { isRaw: true });
  const publicAddress = untilOpen(net, b);
  strictEqual(publicAddress.host, relay.address.host);
  const a = new PlainPeer(net.host("a", { rttToCoreMs: 55 }));
  const start = net.now;
  a.send(publicAddress, bytes("ping"));
  b.onEvent = (event) => {
    if (event.type !== "raw") return;
    b.tunnel.send({ ...event.datagram, payload: bytes("pong") }, net.now);
  };
  net.run({ until: start + 500 });
  deepStrictEqual(b.received.map(({ remote, payload }) => [remote, text(payload)]), [[a.base.local, "ping"]]);
  deepStrictEqual(a.received.map(({ at, remote, payload }) => [at - start, remote, text(payload)]), [
    [155, publicAddress, "pong"],
  ]);
  ok(relay.relay.sizes.ports === 1);
});

Deno.test("Relay carries a QUIC connection: handshake, then 1 MiB each way at once (RFC 9298 §5)", () => {
  const net = new VirtualNetwork({ seed: 2 });
  const relay = startRelay(net.host("relay", { rttToCoreMs: 0 }));
  const b = new TunnelPeer(
    net.host("b", { behind: net.nat({ mapping: "EIM", filtering: "APDF" }), rttToCoreMs: 80 }),
    relay,
  );
  const publicAddress = untilOpen(net, b);
  const a = new QuicPeer(net.host("a", { behind: net.nat({ mapping: "APDM", filtering: "APDF" }), rttToCoreMs: 75 }));
  const start = net.now;
  const transfers = transferBothWays(a, b, 1024 * 1024);
  a.connect(publicAddress, "b");
  net.run({
    until: start + 60_000,
    stopWhen: () => transfers.length === 2 && transfers.every(({ endAt }) => endAt !== undefined),
  });
  // One round trip through the relay.
  strictEqual(a.timeOf("handshakeComplete")! - start, 155);
  strictEqual(transfers[1]!.firstAt! - start, 155 + 77.5);
  strictEqual(transfers[0]!.firstAt! - start, 155 + 155);
  deepStrictEqual(transfers.map(({ receivedBytes, wrongAt }) => [receivedBytes, wrongAt]), [
    [1024 * 1024, undefined],
    [1024 * 1024, undefined],
  ]);
  // Slow start from 10 datagrams: seven round trips of sending, and what the acknowledgements take.
  for (const { endAt } of transfers) ok(endAt! - start < 9 * 155);
  deepStrictEqual([b.tunnel.contextCount, b.tunnel.drops.size, relay.relay.drops.size], [2, 0, 0]);
});
