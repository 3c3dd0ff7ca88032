/**
 * OpenSSL's libcrypto of the system, through the runtime's foreign function interface (`--allow-ffi`): for the AEAD backend
 * in `protocols/crypto/libcrypto_aead.ts`.
 *
 * @module
 */

import { isForeignAllowed, NO_FOREIGN_FUNCTIONS } from "./linux_sockets.ts";
import type { Unavailable } from "./linux_sockets.ts";

const SYMBOLS = {
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  EVP_aes_128_gcm: { parameters: [], result: "pointer" },
  EVP_aes_256_gcm: { parameters: [], result: "pointer" },
  EVP_chacha20_poly1305: { parameters: [], result: "pointer" },
  EVP_aes_128_ecb: { parameters: [], result: "pointer" },
  EVP_aes_256_ecb: { parameters: [], result: "pointer" },
  EVP_chacha20: { parameters: [], result: "pointer" },
  EVP_CipherInit_ex: { parameters: ["pointer", "pointer", "pointer", "buffer", "buffer", "i32"], result: "i32" },
  EVP_CipherUpdate: { parameters: ["pointer", "buffer", "buffer", "buffer", "i32"], result: "i32" },
  EVP_CipherFinal_ex: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  EVP_CIPHER_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "buffer"], result: "i32" },
} as const;

/** By the names that its versions have on Linux, macOS and Windows; the newest first. */
const LIBRARIES: Readonly<Partial<Record<typeof Deno.build.os, readonly string[]>>> = {
  linux: ["libcrypto.so.3", "libcrypto.so.1.1"],
  darwin: ["libcrypto.3.dylib"],
  windows: ["libcrypto-3-x64.dll"],
};

/** The functions, found. */
export type LibcryptoFunctions = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let opened: LibcryptoFunctions | Unavailable | undefined;

/** Opens libcrypto, once. */
export function libcrypto(): LibcryptoFunctions | Unavailable {
  opened ??= open();
  return opened;
}

function open(): LibcryptoFunctions | Unavailable {
  if (typeof Deno === "undefined") return NO_FOREIGN_FUNCTIONS;
  if (!isForeignAllowed()) return { reason: "needs --allow-ffi" };
  let reason = `no libcrypto is known for ${Deno.build.os}`;
  for (const name of LIBRARIES[Deno.build.os] ?? []) {
    try {
      return Deno.dlopen(name, SYMBOLS).symbols;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  return { reason };
}
