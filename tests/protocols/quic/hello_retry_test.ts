import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { CLIENT_KEY, Pair, rawKeyTls, readAll, SERVER_KEY } from "../../support/quic_pair.ts";
import type { PairOptions } from "../../support/quic_pair.ts";

/** A pair whose server wants a group that the client has sent no share of. */
function retryingPair(options: PairOptions = {}): Pair {
  return new Pair({ serverTls: { ...rawKeyTls(SERVER_KEY, CLIENT_KEY), groups: ["secp384r1"] }, ...options });
}

Deno.test("HelloRetryRequest costs one round trip, and CRYPTO offsets go on (RFC 9001 §4.7)", () => {
  const plain = new Pair();
  plain.established();
  const pair = retryingPair();
  const { client, server } = pair.established();
  const at = (of: Pair, type: "handshakeComplete" | "handshakeConfirmed"): number => of.client.timeOf(type)!;
  strictEqual(Math.round(at(pair, "handshakeComplete") - at(plain, "handshakeComplete")), 2 * pair.link.latencyMs);
  const id = client.openStream("bidirectional")!;
  client.write(id, new TextEncoder().encode("after a retry"));
  client.finish(id);
  let received = new Uint8Array(0);
  pair.runUntil(() => (received = new Uint8Array([...received, ...readAll(server, id)])).length === 13);
  strictEqual(new TextDecoder().decode(received), "after a retry");
});

Deno.test("HelloRetryRequest completes whichever one datagram is lost (RFC 9002 §6.2)", () => {
  for (let lost = 0; lost < 10; lost++) {
    const pair = retryingPair({ link: { latencyMs: 50 } });
    let count = 0;
    pair.filter = () => count++ !== lost;
    const { client, server } = pair.established();
    ok(pair.now < 3500, `datagram ${lost}: ${pair.now} ms`);
    ok(client.isEstablished && server.isEstablished);
  }
});

Deno.test("HelloRetryRequest completes at 40 % loss with reordering, seeds 1 to 25 (RFC 9002 §6.2)", () => {
  for (let seed = 1; seed <= 25; seed++) {
    const pair = retryingPair({ seed, link: { latencyMs: 20, loss: 0.4, jitterMs: 10, duplication: 0.2 } });
    try {
      pair.established({ transport: { ...pair.transport, idleTimeoutMs: 0 } });
    } catch (error) {
      // A server whose client is lost for 30 s gives up, which is no fault: so only a silent hang counts.
      if (!pair.client.eventTypes.includes("closed") && !pair.server.eventTypes.includes("closed")) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  }
});

Deno.test("HelloRetryRequest is three times what came, and no more, while the address is not validated (RFC 9000 §8.1)", () => {
  const pair = retryingPair();
  let fromClient = 0;
  pair.filter = (from) => from.name === "server" || fromClient++ === 0;
  pair.connect();
  pair.runTo(20_000);
  ok(pair.sentBytes.server >= 1200 && pair.sentBytes.server <= 3600, `${pair.sentBytes.server}`);
});

Deno.test("Every datagram with HelloRetryRequest and both ClientHellos has 1200 bytes (RFC 9000 §14.1)", () => {
  const pair = retryingPair();
  const sizes: string[] = [];
  pair.filter = (from, bytes) => {
    if ((bytes[0]! & 0xf0) === 0xc0) sizes.push(`${from.name} ${bytes.length}`);
    return true;
  };
  pair.established();
  deepStrictEqual(sizes.slice(0, 4), ["client 1200", "server 1200", "client 1200", "server 1200"]);
});
