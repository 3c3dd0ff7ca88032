import { libcrypto } from "../../../io/libcrypto.ts";
import { LibcryptoBackend } from "../../../protocols/crypto/libcrypto_aead.ts";
import { testAeadContract } from "../../contract/aead.ts";

const functions = libcrypto();

if ("reason" in functions) {
  Deno.test({ name: `Aead of libcrypto (skipped: ${functions.reason})`, ignore: true, fn: () => {} });
} else testAeadContract(new LibcryptoBackend(functions));
