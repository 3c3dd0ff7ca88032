import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { DenoHost } from "../../io/deno_host.ts";
import { libcrypto } from "../../io/libcrypto.ts";
import { LinuxHost } from "../../io/linux_host.ts";
import { linuxLibrary } from "../../io/linux_sockets.ts";
import { NODE_AEAD_BACKEND } from "../../protocols/crypto/node_aead.ts";
import { openBackends, RUNTIME_SEALING } from "../../transports/backends.ts";

const isForeign = Deno.permissions.querySync({ name: "ffi" }).state === "granted";

Deno.test("Backends of the runtime need nothing", () => {
  const { host, aead, cipherSuites, notes } = openBackends("runtime");
  ok(host instanceof DenoHost);
  strictEqual(aead, NODE_AEAD_BACKEND);
  deepStrictEqual(cipherSuites, RUNTIME_SEALING.cipherSuites);
  deepStrictEqual(notes, []);
});

Deno.test({
  name: "Backends by foreign functions that are not allowed are done without, a line each says so",
  ignore: isForeign,
  fn: () => {
    const { host, aead, notes } = openBackends("ffi");
    ok(host instanceof DenoHost);
    strictEqual(aead, NODE_AEAD_BACKEND);
    deepStrictEqual(notes, [
      "packets go through the runtime's sockets, one by one: needs --allow-ffi",
      "packets are sealed by the runtime: needs --allow-ffi",
    ]);
    // Nobody has asked for them: nothing is missing.
    deepStrictEqual(openBackends("auto").notes, []);
  },
});

Deno.test({
  name: "Backends by foreign functions are taken where they are allowed, the faster one seals",
  ignore: !isForeign || "reason" in linuxLibrary() || "reason" in libcrypto(),
  fn: () => {
    for (const name of ["ffi", "auto"] as const) {
      const { host, aead, cipherSuites, notes } = openBackends(name);
      ok(host instanceof LinuxHost);
      strictEqual(aead.name, "libcrypto");
      strictEqual(cipherSuites.length, 3);
      deepStrictEqual(notes, []);
    }
  },
});
