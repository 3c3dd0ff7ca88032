import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Aead, AeadBackend, AeadName } from "../../../protocols/crypto/aead.ts";
import { fastestAead } from "../../../protocols/crypto/fastest.ts";

/** A clock that only sealing moves, so that nothing depends on the machine. */
class Stopwatch {
  ms = 0;

  backend(name: string, costs: Readonly<Record<AeadName, number>>): AeadBackend {
    const aead = (algorithm: AeadName): Aead => ({
      tagBytes: 16,
      seal: () => void (this.ms += costs[algorithm]),
      open: () => true,
    });
    return { name, aead, headerProtection: () => ({ mask: (buffer) => buffer, close: () => {} }) };
  }
}

Deno.test("The fastest backend is chosen by its fastest AEAD, and its AEADs are ranked", () => {
  const watch = new Stopwatch();
  const slow = watch.backend("slow", { AES_128_GCM: 10, AES_256_GCM: 12, CHACHA20_POLY1305: 7 });
  const fast = watch.backend("fast", { AES_128_GCM: 1, AES_256_GCM: 1.5, CHACHA20_POLY1305: 2 });
  for (const backends of [[slow, fast], [fast, slow]] as const) {
    const { backend, names } = fastestAead(backends, () => watch.ms);
    strictEqual(backend, fast);
    deepStrictEqual(names, ["AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305"]);
  }
  deepStrictEqual(fastestAead([slow], () => watch.ms).names, ["CHACHA20_POLY1305", "AES_128_GCM", "AES_256_GCM"]);
  // Of equals the first: the runtime's own need no permission.
  const same = watch.backend("same", { AES_128_GCM: 1, AES_256_GCM: 1.5, CHACHA20_POLY1305: 2 });
  strictEqual(fastestAead([fast, same], () => watch.ms).backend, fast);
});
