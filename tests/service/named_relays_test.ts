import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { type NamedRelayOptions, relaySecretOf, relaysFor, relayUrlsOf } from "../../service/named_relays.ts";
import type { RelayService } from "../../service/relay_service.ts";
import { issueRelayToken, RELAY_TOKEN_LIFETIME_MS, verifyRelayToken } from "../../service/relay_token.ts";

const EPOCH_MS = 1_800_000_000_000;
const KEY = new Uint8Array(32).fill(7);
const DIGEST = "ab".repeat(32);
const SECRET = "0123456789abcdef";

function relayAt(hosts: readonly string[], isOpen = false): RelayService {
  const addresses: readonly Address[] = hosts.map((host) => addressOf(host, 4433));
  return {
    addresses,
    certificateSha256: new Uint8Array(32).fill(0xab),
    isOpen,
    issueToken: (key, now) => issueRelayToken(relaySecretOf(SECRET), key, EPOCH_MS + now),
  };
}

function named(options: Partial<NamedRelayOptions>, relay: RelayService | undefined): readonly string[] {
  return relaysFor({ epochMs: EPOCH_MS, isHubLocal: false, ...options }, relay)?.(KEY, 0).map(({ url }) => url) ?? [];
}

Deno.test("A service names its relay where its users are known, or anyone is meant to use it", () => {
  const relay = relayAt(["192.0.2.1"]);
  const url = `https://192.0.2.1:4433#${DIGEST}`;
  // It asks for a token that the hub does not ask for: to register must not be a way round it.
  deepStrictEqual(named({}, relay), []);
  deepStrictEqual(named({ token: "T" }, relay), [url]);
  deepStrictEqual(named({ relayAnyone: true }, relay), [url]);
  // One on loopback is of use to those only who are there too.
  const local = relayAt(["127.0.0.1", "::1"], true);
  deepStrictEqual(named({ isHubLocal: true }, local), [
    `https://127.0.0.1:4433#${DIGEST}`,
    `https://[::1]:4433#${DIGEST}`,
  ]);
  deepStrictEqual(named({ token: "T" }, local), []);
  deepStrictEqual(named({ relayUrls: ["https://relay.example.org"] }, relay), ["https://relay.example.org"]);
  deepStrictEqual(named({}, undefined), []);
});

Deno.test("A relay's URLs are those of the addresses that most can reach", () => {
  const urls = (...hosts: readonly string[]): readonly string[] => {
    return relayUrlsOf(relayAt(hosts)).map((url) => /^https:\/\/(.*):4433#/.exec(url)?.[1] ?? "");
  };
  deepStrictEqual(urls("127.0.0.1", "10.0.0.1", "192.0.2.1", "2001:db8::1"), ["192.0.2.1", "[2001:db8::1]"]);
  deepStrictEqual(urls("127.0.0.1", "10.0.0.1", "172.17.0.1"), ["10.0.0.1", "172.17.0.1"]);
  deepStrictEqual(urls("127.0.0.1", "::1"), ["127.0.0.1", "[::1]"]);
  strictEqual(
    relaysFor({ epochMs: EPOCH_MS, isHubLocal: false, token: "T" }, relayAt(Array(9).fill("192.0.2.1")))?.(KEY, 0)
      .length,
    4,
  );
});

Deno.test("Tokens for a relay elsewhere are issued with the secret that both share, for some minutes", () => {
  const [relay] = relaysFor(
    { epochMs: EPOCH_MS, isHubLocal: false, relayUrls: ["https://relay.example.org"], relaySecret: SECRET },
    undefined,
  )?.(
    KEY,
    1000,
  ) ?? [];
  const token = relay?.token ?? "";
  const secret = relaySecretOf(SECRET);
  deepStrictEqual(verifyRelayToken(secret, token, EPOCH_MS + 1000), KEY);
  deepStrictEqual(verifyRelayToken(secret, token, EPOCH_MS + 1000 + RELAY_TOKEN_LIFETIME_MS), KEY);
  strictEqual(verifyRelayToken(secret, token, EPOCH_MS + 2001 + RELAY_TOKEN_LIFETIME_MS), undefined);
  strictEqual(verifyRelayToken(relaySecretOf(`${SECRET}!`), token, EPOCH_MS), undefined);
  ok(token.length <= 256);
});

Deno.test("Relays that cannot be named are refused with a reason", () => {
  const refuses = (options: Partial<NamedRelayOptions>, message: RegExp): void => {
    throws(() => relaysFor({ epochMs: EPOCH_MS, isHubLocal: false, ...options }, undefined), (error) => {
      ok(error instanceof TypeError);
      match(error.message, message);
      return true;
    });
  };
  refuses({ relayUrls: ["relay.example.org"], relaySecret: SECRET }, /is not https/);
  refuses({ relayUrls: ["https://relay.example.org"] }, /give the relay secret/);
  refuses({ relayUrls: Array(5).fill("https://relay.example.org"), relaySecret: SECRET }, /at most 4/);
  throws(() => relaySecretOf("short"), { name: "TypeError", message: /at least 16/ });
});
