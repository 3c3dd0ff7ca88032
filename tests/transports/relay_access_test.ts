import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import { findRelay, formatRelay, parseRelayUrl, relayAccess } from "../../transports/relay_access.ts";
import { beginnings } from "../support/damaged_text.ts";

const DIGEST = "ab".repeat(32);
const BYTES = new Uint8Array(32).fill(0xab);

Deno.test("Relay's URL is a name or an address, a port, and a digest or none (RFC 9110 §4.2.2)", () => {
  const table: readonly [string, ReturnType<typeof parseRelayUrl>][] = [
    [`https://192.0.2.1:4433#${DIGEST}`, {
      host: "192.0.2.1",
      port: 4433,
      authority: "192.0.2.1:4433",
      certificateSha256: BYTES,
    }],
    [`https://[2001:db8::1]:4433/#${DIGEST}`, {
      host: "2001:db8::1",
      port: 4433,
      authority: "[2001:db8::1]:4433",
      certificateSha256: BYTES,
    }],
    ["https://relay.example.org", { host: "relay.example.org", port: 443, authority: "relay.example.org" }],
    ["https://relay.example.org:8443/", { host: "relay.example.org", port: 8443, authority: "relay.example.org:8443" }],
    ["https://192.0.2.1", { host: "192.0.2.1", port: 443, authority: "192.0.2.1" }],
  ];
  for (const [text, expected] of table) deepStrictEqual(parseRelayUrl(text), expected, text);
});

Deno.test("Relay's URL that is something else is refused with a reason", () => {
  const bad = ["", "relay.example.org", "http://relay.example.org", "https://", "https://a b", "https://[relay]:1"];
  const worse = ["https://192.0.2.1:0", "https://192.0.2.1:65536", "https://192.0.2.300:1", "https://2001:db8::1:443"];
  const worst = ["https://relay.example.org/path", "https://u@relay.example.org", `https://-x#${DIGEST}`];
  for (const text of [...bad, ...worse, ...worst]) {
    throws(() => parseRelayUrl(text), { name: "TypeError", message: /^Cannot use relay ".*": it is not https/ }, text);
  }
  for (const digest of ["", "ab", `${DIGEST}ab`]) {
    throws(() => parseRelayUrl(`https://192.0.2.1:1#${digest}`), { name: "TypeError", message: /64 digits/ });
  }
  for (const head of beginnings(`https://[2001:db8::1]:4433#${DIGEST}`)) {
    try {
      parseRelayUrl(head);
    } catch (error) {
      strictEqual(error instanceof TypeError, true);
    }
  }
});

Deno.test("Relay with an address in its URL is known at once, one with a name after a look", async () => {
  const address = addressOf("192.0.2.1", 4433);
  deepStrictEqual(relayAccess("https://192.0.2.1:4433", "T"), {
    addresses: [address],
    authority: "192.0.2.1:4433",
    token: "T",
  });
  strictEqual(relayAccess("https://relay.example.org"), undefined);
  const asked: string[] = [];
  const resolve = (server: string): Promise<readonly ReturnType<typeof addressOf>[]> => {
    asked.push(server);
    return Promise.resolve(server.startsWith("relay.") ? [address] : []);
  };
  deepStrictEqual(await findRelay({ url: `https://relay.example.org#${DIGEST}` }, resolve), {
    addresses: [address],
    authority: "relay.example.org:443",
    serverName: "relay.example.org",
    certificateSha256: BYTES,
  });
  strictEqual(await findRelay({ url: "https://nobody.example.org:1" }, resolve), "unknown");
  strictEqual(await findRelay({ url: "masque://relay.example.org" }, resolve), "unusable");
  deepStrictEqual(asked, ["relay.example.org:443", "nobody.example.org:1"]);
});

Deno.test("Relay's URL is written as it is read", () => {
  strictEqual(formatRelay("192.0.2.1:4433", BYTES), `https://192.0.2.1:4433#${DIGEST}`);
  strictEqual(formatRelay("relay.example.org"), "https://relay.example.org");
});
