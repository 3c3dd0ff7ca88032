import { strictEqual } from "node:assert/strict";
import { AEAD_PROPERTIES } from "../../../protocols/crypto/aead.ts";
import { NODE_AEAD_BACKEND } from "../../../protocols/crypto/node_aead.ts";
import { testAeadContract } from "../../contract/aead.ts";

testAeadContract(NODE_AEAD_BACKEND);

Deno.test("AEAD_PROPERTIES holds the usage limits of RFC 9001 §6.6", () => {
  strictEqual(AEAD_PROPERTIES.AES_128_GCM.confidentialityLimitPackets, 8388608);
  strictEqual(AEAD_PROPERTIES.AES_256_GCM.integrityLimitPackets, 4503599627370496);
  strictEqual(AEAD_PROPERTIES.CHACHA20_POLY1305.integrityLimitPackets, 68719476736);
});
