import { strictEqual, throws } from "node:assert/strict";
import { hkdfExpand, hkdfExpandLabel, hkdfExtract } from "../../../protocols/crypto/hkdf.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";

Deno.test("hkdfExtract and hkdfExpand give the values of RFC 5869 §A.1", () => {
  const key = hkdfExtract("SHA-256", fromHex("000102030405060708090a0b0c"), new Uint8Array(22).fill(0x0b));
  strictEqual(toHex(key), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  strictEqual(
    toHex(hkdfExpand("SHA-256", key, fromHex("f0f1f2f3f4f5f6f7f8f9"), 42)),
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  );
});

Deno.test("hkdfExpand stops at 255 digests (RFC 5869 §2.3)", () => {
  const key = new Uint8Array(32);
  strictEqual(hkdfExpand("SHA-256", key, key, 255 * 32).length, 8160);
  throws(() => hkdfExpand("SHA-256", key, key, 255 * 32 + 1), RangeError);
});

Deno.test("hkdfExpandLabel gives the Initial keys of RFC 9001 §A.1", () => {
  const initial = hkdfExtract(
    "SHA-256",
    fromHex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    fromHex("8394c8f03e515708"),
  );
  strictEqual(toHex(initial), "7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44");
  const client = hkdfExpandLabel("SHA-256", initial, "client in");
  strictEqual(toHex(client), "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
  const noContext = new Uint8Array(0);
  strictEqual(
    toHex(hkdfExpandLabel("SHA-256", client, "quic key", noContext, 16)),
    "1f369613dd76d5467730efcbe3b1a22d",
  );
  strictEqual(toHex(hkdfExpandLabel("SHA-256", client, "quic iv", noContext, 12)), "fa044b2f42a3fd3b46fb255c");
  strictEqual(toHex(hkdfExpandLabel("SHA-256", client, "quic hp", noContext, 16)), "9f50449e04a0e810283a1e9933adedd2");
});
