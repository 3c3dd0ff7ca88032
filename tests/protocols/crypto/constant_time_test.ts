import { strictEqual } from "node:assert/strict";
import { equalSecrets } from "../../../protocols/crypto/constant_time.ts";

Deno.test("equalSecrets compares bytes and lengths", () => {
  const secret = new Uint8Array([1, 2, 3]);
  strictEqual(equalSecrets(secret, new Uint8Array([1, 2, 3])), true);
  strictEqual(equalSecrets(secret, new Uint8Array([1, 2, 4])), false);
  strictEqual(equalSecrets(secret, new Uint8Array([1, 2])), false);
  strictEqual(equalSecrets(new Uint8Array(0), new Uint8Array(0)), true);
});
