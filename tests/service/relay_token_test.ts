import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { authorize, issueRelayToken, RELAY_TOKEN_LIFETIME_MS, verifyRelayToken } from "../../service/relay_token.ts";

const SECRET = new Uint8Array(32).fill(1);
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);
const NOW = 1_767_225_600_000;

Deno.test("A relay token names the key it was issued to, until it ends", () => {
  const token = issueRelayToken(SECRET, KEY, NOW);
  deepStrictEqual(verifyRelayToken(SECRET, token, NOW), KEY);
  deepStrictEqual(verifyRelayToken(SECRET, token, NOW + RELAY_TOKEN_LIFETIME_MS), KEY);
  strictEqual(verifyRelayToken(SECRET, token, NOW + RELAY_TOKEN_LIFETIME_MS + 1), undefined);
});

Deno.test("A relay token cut short or changed at any place is none", () => {
  const token = issueRelayToken(SECRET, KEY, NOW);
  for (let end = 0; end < token.length; end++) {
    strictEqual(verifyRelayToken(SECRET, token.slice(0, end), NOW), undefined, `${end}`);
    const other = token[end] === "A" ? "B" : "A";
    const changed = `${token.slice(0, end)}${other}${token.slice(end + 1)}`;
    strictEqual(verifyRelayToken(SECRET, changed, NOW), undefined, `${end}`);
  }
  strictEqual(verifyRelayToken(SECRET, `${token}A`, NOW), undefined);
  strictEqual(verifyRelayToken(SECRET, "not base64!", NOW), undefined);
  strictEqual(verifyRelayToken(SECRET.with(31, 2), token, NOW), undefined);
});

Deno.test("Who may use a relay: bearers of either token, or everybody where it is open", () => {
  const issued = issueRelayToken(SECRET, KEY, NOW);
  const provedKey = KEY.toReversed();
  const who = (access: Parameters<typeof authorize>[0], token?: string): unknown =>
    authorize(access, { token, proveKey: () => provedKey }, NOW);
  const both = { secret: SECRET, token: "shared", isOpen: false };
  deepStrictEqual(who(both, issued), { publicKey: KEY });
  deepStrictEqual(who(both, "shared"), { publicKey: provedKey });
  strictEqual(who(both, "share"), undefined);
  strictEqual(who(both), undefined);
  deepStrictEqual(who({ secret: SECRET, isOpen: true }, issued), { publicKey: KEY });
  deepStrictEqual(who({ secret: SECRET, isOpen: true }), { publicKey: provedKey });
  strictEqual(who({ isOpen: false }, ""), undefined);
  strictEqual(who({ isOpen: false }, "anything"), undefined);
});
