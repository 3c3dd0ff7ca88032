import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { toHex } from "../../protocols/core/bytes.ts";
import { VerifyingKey } from "../../protocols/crypto/signature.ts";
import { subjectPublicKeyInfo } from "../../protocols/tls/x509.ts";
import { makeRelayState, parseRelayState } from "../../service/relay_state.ts";
import { beginnings, damaged } from "../support/damaged_text.ts";
import { seededRandom } from "../support/seeded_random.ts";

const NOW = 1_800_000_000_000;

Deno.test("A relay's state is the same when it is read again, and its certificate's key signs", () => {
  const made = makeRelayState(seededRandom(1), NOW);
  const read = parseRelayState(made.text);
  ok(read !== undefined);
  for (const secret of ["tokenSecret", "resetKey", "portSecret"] as const) deepStrictEqual(read[secret], made[secret]);
  const secrets = [made.tokenSecret, made.resetKey, made.portSecret].map(toHex);
  strictEqual(new Set(secrets).size, 3);
  strictEqual(toHex(read.certificate.sha256), toHex(made.certificate.sha256));
  strictEqual(read.text, made.text);
  const message = new Uint8Array([1, 2, 3]);
  const spki = subjectPublicKeyInfo(made.certificate.credential.certificates[0]!)!;
  const signature = read.certificate.credential.sign!("ed25519", message);
  ok(VerifyingKey.fromSpki(spki)!.verify("ed25519", message, signature));
  ok(makeRelayState(seededRandom(2), NOW).text !== made.text);
});

Deno.test("A relay's state that was cut short or changed is none", () => {
  const { text } = makeRelayState(seededRandom(1), NOW);
  for (const head of beginnings(text.trim())) {
    // Without the padding at its end base64 says the same.
    if (head.replace(/=+$/, "") === text.trim().replace(/=+$/, "")) continue;
    strictEqual(parseRelayState(head), undefined, `${head.length} characters`);
  }
  const other = makeRelayState(seededRandom(2), NOW).text.split(" ");
  // Another one's certificate.
  strictEqual(parseRelayState([...text.split(" ").slice(0, 2), other[2]].join(" ")), undefined);
  const seed = 10;
  for (const changed of damaged(text, seed, 500)) {
    const state = parseRelayState(changed);
    // What is not signed by us is the certificate's own signature: it still has to have our key.
    ok(state === undefined || state.certificate.credential.certificates.length === 1, `seed ${seed}`);
  }
});
