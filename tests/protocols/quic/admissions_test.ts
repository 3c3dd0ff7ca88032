import { ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Address } from "../../../protocols/core/address.ts";
import { AdmissionList, Admissions } from "../../../protocols/quic/admissions.ts";
import { DEFAULT_TRANSPORT_SETTINGS, MAX_TOKEN_BYTES } from "../../../protocols/quic/config.ts";
import { CLIENT_ADDRESS, Pair } from "../../support/quic_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const TOKEN = new Uint8Array(16).fill(7);

Deno.test("Admissions end, can be taken back, and are bounded", () => {
  const admissions = new Admissions<Address>(2);
  const [a, b, c] = [1, 2, 3].map((port) => addressOf("192.0.2.1", port));
  admissions.add(a!, 100);
  admissions.add(a!, 50); // A later end stands.
  admissions.add(b!, 200);
  strictEqual(admissions.has(a!, 99), true);
  admissions.add(c!, 300);
  strictEqual(admissions.has(a!, 99), false);
  strictEqual(admissions.has(b!, 199), true);
  strictEqual(admissions.has(b!, 200), false);
  strictEqual(admissions.count, 1);
  admissions.remove(c!);
  strictEqual(admissions.has(c!, 0), false);
});

Deno.test("AdmissionList knows whole tokens, for their time, and a bounded number of them", () => {
  const list = new AdmissionList({ maxAddresses: 1, maxTokens: 2 }, seededRandom(1));
  strictEqual(list.hasToken(TOKEN, 0), false);
  list.addToken(TOKEN, 100);
  strictEqual(list.hasToken(TOKEN.slice(), 99), true);
  strictEqual(list.hasToken(TOKEN.subarray(0, 15), 99), false);
  strictEqual(list.hasToken(new Uint8Array(0), 99), false);
  strictEqual(list.hasToken(TOKEN, 100), false);
  list.addToken(TOKEN, 300);
  list.addToken(Uint8Array.of(1), 200);
  list.addToken(Uint8Array.of(2), 400);
  strictEqual(list.hasToken(Uint8Array.of(1), 0), false);
  strictEqual(list.hasToken(TOKEN, 0), true);
  list.removeToken(TOKEN);
  strictEqual(list.hasToken(TOKEN, 0), false);
  strictEqual(list.hasToken(new Uint8Array(MAX_TOKEN_BYTES + 1), 0), false);
  throws(() => list.addToken(new Uint8Array(0), 1), RangeError);
  throws(() => list.addToken(new Uint8Array(MAX_TOKEN_BYTES + 1), 1), RangeError);
});

Deno.test("Server that lists whom it admits answers who brings the token, wherever from (RFC 9000 §8.1)", () => {
  const pair = new Pair({ server: { admission: "listed" } });
  pair.server.endpoint.admitToken(TOKEN, 1000);
  const stranger = pair.connect();
  const guesser = pair.connect({ token: TOKEN.map((byte, n) => n === 15 ? byte ^ 1 : byte) });
  pair.runTo(200);
  strictEqual(pair.sent.server, 0);
  stranger.abandon();
  guesser.abandon();
  const { client, server } = pair.established({ token: TOKEN });
  strictEqual(server.path.isValidated, true);
  strictEqual(client.state, "confirmed");
  // The token is no longer good for a new one, while those that exist go on.
  pair.server.endpoint.unadmitToken(TOKEN);
  const late = pair.connect({ token: TOKEN });
  pair.runTo(pair.now + 500);
  strictEqual(late.state, "handshaking");
  strictEqual(server.state, "confirmed");
  pair.server.endpoint.admitToken(TOKEN, pair.now + 10);
  pair.runTo(pair.now + 5000);
  strictEqual(late.state, "handshaking");
});

Deno.test("Token proves no address: three times what came is all that goes back (RFC 9000 §8.1)", () => {
  const pair = new Pair({ server: { admission: "listed" } });
  pair.server.endpoint.admitToken(TOKEN, 60_000);
  let isFirst = true;
  pair.filter = (from) => {
    if (from.name === "server") return true;
    const passes = isFirst;
    isFirst = false;
    return passes;
  };
  pair.connect({ token: TOKEN });
  pair.runTo(20_000);
  ok(pair.sentBytes.server > 0 && pair.sentBytes.server <= 3 * 1200, `${pair.sentBytes.server}`);
});

Deno.test("A token that does not fit is refused where it is given", () => {
  const pair = new Pair();
  throws(() => pair.connect({ token: new Uint8Array(MAX_TOKEN_BYTES + 1) }), RangeError);
  const { client } = pair.established({ token: new Uint8Array(MAX_TOKEN_BYTES).fill(1) });
  strictEqual(client.state, "confirmed");
});

Deno.test("Datagrams have the size of the settings from the first Initial on (RFC 9000 §14.1)", () => {
  const transport = { ...DEFAULT_TRANSPORT_SETTINGS, maxUdpPayloadBytes: 1280, initialDatagramBytes: 1280 };
  const pair = new Pair({ transport });
  const sizes = { client: new Set<number>(), server: new Set<number>() };
  pair.onSent = (to, bytes) => {
    // Long headers of type Initial.
    if ((bytes[0]! & 0xf0) === 0xc0) sizes[to === CLIENT_ADDRESS ? "server" : "client"].add(bytes.length);
  };
  const { client, server } = pair.established();
  strictEqual([...sizes.client].join(), "1280");
  strictEqual([...sizes.server].join(), "1280");
  strictEqual(client.stats.datagramBytes, 1280);
  ok(client.maxDatagramBytes >= 1200);
  // A server does not send more than what has come through from its client.
  const smaller = pair.connect({ transport: DEFAULT_TRANSPORT_SETTINGS });
  sizes.server.clear();
  pair.runUntil(() => smaller.state === "confirmed");
  strictEqual([...sizes.server].join(), "1200");
  strictEqual(server.state, "confirmed");
  throws(() => pair.connect({ transport: { ...transport, initialDatagramBytes: 1281 } }), RangeError);
  throws(() => pair.connect({ transport: { ...transport, initialDatagramBytes: 1199 } }), RangeError);
});
