import { ok } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { randomBytes, randomUnit } from "../../../protocols/core/random.ts";
import { rawClient, rawProxy } from "../../support/masque_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const CLIENTS = [
  "11020200",
  "11080404c000022a04d2",
  "11140606 20010db8000000000000000000000001 01bb",
  "130104",
  "2902aabb",
];
const PROXIES = ["120102", "11080104c000022a04d2", "130101", "0003 02 6869", "40ff00"];
const DATAGRAMS = ["006869", "0204c000022ac3506869", "046869", "02", "0205", "0206", "4002", "c0"];

/** Pieces one after the other, then some bytes changed, left out or put in. */
function damaged(pieces: readonly string[], seed: number): Uint8Array {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(randomUnit(random) * count);
  let bytes = concatBytes(...Array.from({ length: 1 + pick(6) }, () => fromHex(pieces[pick(pieces.length)]!)));
  for (let i = pick(4); i > 0; i--) {
    const at = pick(bytes.length);
    const middle = [randomBytes(random, 1), new Uint8Array(0), randomBytes(random, pick(4))][pick(3)]!;
    bytes = concatBytes(bytes.subarray(0, at), middle, bytes.subarray(at + 1));
  }
  return bytes;
}

/** RFC 9297 §3.3, RFC 9114 §8.1. */
const CODES: ReadonlySet<number | undefined> = new Set([0x010e, 0x0107]);

for (const target of [undefined, addressOf("192.0.2.42", 1234)]) {
  const kind = target === undefined ? "BoundPort" : "BoundPort for one target";
  Deno.test(`${kind} takes any bytes: it goes on, or ends its tunnel with a code`, () => {
    for (let seed = 1; seed <= 150; seed++) {
      const { proxy, client, write, sendDatagram } = rawClient({}, target);
      write(toHex(damaged(CLIENTS, seed)));
      for (let i = 0; i < 5; i++) sendDatagram(toHex(damaged(DATAGRAMS, 1000 * seed + i)));
      const [reset] = client.of("reset");
      ok(proxy.port!.isOpen ? reset === undefined : CODES.has(reset?.code), `seed ${seed}: ${reset?.code}`);
      ok(client.quic.state === "confirmed", `seed ${seed}`);
      ok(target === undefined || proxy.sent.every(({ remote }) => remote === target), `seed ${seed}`);
    }
  });
}

Deno.test("UdpTunnel takes any bytes: it goes on, or ends with a code", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const { client, proxy, write, sendDatagram } = rawProxy();
    write(toHex(damaged(PROXIES, seed)));
    for (let i = 0; i < 5; i++) sendDatagram(toHex(damaged(DATAGRAMS, 1000 * seed + i)));
    const [reset] = proxy.of("reset");
    const isOpen = client.tunnel.base !== undefined;
    ok(isOpen ? reset === undefined : CODES.has(reset?.code), `seed ${seed}: ${reset?.code} ${client.closedReason}`);
    ok(proxy.quic.state === "confirmed", `seed ${seed}`);
  }
});
