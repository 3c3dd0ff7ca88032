import { deepStrictEqual } from "node:assert/strict";
import { createRequire } from "node:module";
import "../../../protocols/stun/npm_stun.ts";

Deno.test("STUN loads the packages that docs/dependencies.md names, and no more", () => {
  const packages = new Set<string>();
  for (const file of Object.keys(createRequire(import.meta.url).cache)) {
    // `…/binary-data/0.6.0/src/…` in the runtime's cache, `…/node_modules/binary-data/…` elsewhere.
    const name = /\/([a-z0-9-]+)\/\d+\.\d+\.\d+\//.exec(file) ?? /.*\/node_modules\/([a-z0-9-]+)\//.exec(file);
    if (name?.[1] !== undefined) packages.add(name[1]);
  }
  deepStrictEqual([...packages].sort(), [
    "binary-data",
    "buffer-xor",
    "generate-function",
    "ip",
    "ip2buf",
    "is-plain-object",
    "is-property",
    "isobject",
    "safe-buffer",
    "stun",
    "turbo-crc32",
  ]);
});
