import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { CLIENT_KEY, Pair, rawKeyTls, SERVER_KEY } from "../../support/quic_pair.ts";
import type { PairOptions } from "../../support/quic_pair.ts";

/** A pair that agrees on X25519MLKEM768: its ClientHello is longer than a datagram, and so is its ServerHello. */
function latticePair(options: PairOptions = {}): Pair {
  return new Pair({
    clientTls: { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyShares: ["X25519MLKEM768", "x25519"] },
    ...options,
  });
}

function isInitial(bytes: Uint8Array): boolean {
  return (bytes[0]! & 0xf0) === 0xc0;
}

Deno.test("A ClientHello longer than a datagram takes two of 1200 bytes, and no round trip more (RFC 9000 §14.1)", () => {
  const plain = new Pair();
  plain.established();
  const pair = latticePair();
  const sizes: string[] = [];
  pair.filter = (from, bytes) => {
    if (isInitial(bytes)) sizes.push(`${pair.now} ${from.name} ${bytes.length}`);
    return true;
  };
  pair.established();
  deepStrictEqual(sizes.slice(0, 4), ["0 client 1200", "0 client 1200", "10 server 1200", "10 server 1200"]);
  strictEqual(pair.client.timeOf("handshakeComplete"), plain.client.timeOf("handshakeComplete"));
});

Deno.test("A ClientHello in two datagrams is taken in either order, and completes whichever one is lost (RFC 9002 §6.2)", () => {
  const swapped = latticePair({ link: { latencyMs: 50 } });
  let initials = 0;
  swapped.latencyMs = ({ from }) => from === swapped.client.base.local && initials++ === 0 ? 60 : undefined;
  swapped.established();
  ok(swapped.now < 300, `${swapped.now}`);
  for (let lost = 0; lost < 10; lost++) {
    const pair = latticePair({ link: { latencyMs: 50 } });
    let count = 0;
    pair.filter = () => count++ !== lost;
    const { client, server } = pair.established();
    ok(pair.now < 3500, `datagram ${lost}: ${pair.now} ms`);
    ok(client.isEstablished && server.isEstablished);
  }
});

Deno.test("Two datagrams of a ClientHello are answered with three times what came, and no more (RFC 9000 §8.1)", () => {
  for (const arrived of [1, 2]) {
    const pair = latticePair();
    let fromClient = 0;
    pair.filter = (from) => from.name === "server" || fromClient++ < arrived;
    pair.connect();
    pair.runTo(20_000);
    ok(pair.sentBytes.server <= 3600 * arrived, `${arrived} arrived: ${pair.sentBytes.server}`);
    ok(pair.sentBytes.server >= 1200, `${arrived} arrived: ${pair.sentBytes.server}`);
  }
});

Deno.test("Both datagrams of a ClientHello carry the token that lets them in (RFC 9000 §8.1.2)", () => {
  const pair = latticePair({ server: { admission: "listed" } });
  const token = new Uint8Array(64).fill(0x70);
  pair.server.endpoint.admitToken(token, 10_000);
  const shown: boolean[] = [];
  pair.filter = (from, bytes) => {
    if (from.name === "client" && isInitial(bytes)) shown.push(bytes.includes(0x70) && indexOf(bytes, token) > 0);
    return true;
  };
  pair.established({ token });
  deepStrictEqual(shown.slice(0, 2), [true, true]);
});

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, i) => byte === bytes[at + i])) return at;
  }
  return -1;
}

Deno.test("A ClientHello in two datagrams completes at 40 % loss with reordering, seeds 1 to 25 (RFC 9002 §6.2)", () => {
  for (let seed = 1; seed <= 25; seed++) {
    const pair = latticePair({ seed, link: { latencyMs: 20, loss: 0.4, jitterMs: 10, duplication: 0.2 } });
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
