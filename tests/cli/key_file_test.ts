import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { parseKeyFile, readAllowList, readKeyFile, writeKeyFile } from "../../cli/key_file.ts";
import { encodeBase58 } from "../../signaling/base58.ts";
import { formatKey } from "../../signaling/identity.ts";
import { beginnings, damaged } from "../support/damaged_text.ts";

const SEED_BYTES = new Uint8Array(32).map((_, i) => 255 - i);
const TEXT = `traverse-private-key-1 ${encodeBase58(SEED_BYTES)}`;
const SEED = 32;

Deno.test("A key file is read as it was written, and never written over", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/key`;
    await writeKeyFile(path, SEED_BYTES);
    strictEqual(await Deno.readTextFile(path), `${TEXT}\n`);
    deepStrictEqual(await readKeyFile(path), SEED_BYTES);
    await rejects(writeKeyFile(path, SEED_BYTES), /Cannot write key/);
    await Deno.writeTextFile(path, TEXT.slice(0, -1));
    await rejects(readKeyFile(path), /not a key file of ours/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A key file cut short at any byte is none", () => {
  deepStrictEqual(parseKeyFile(` ${TEXT}\r\n`), SEED_BYTES);
  for (const head of beginnings(TEXT)) strictEqual(parseKeyFile(head), undefined, head);
  for (const tail of ["1", " 1", ` ${TEXT}`]) strictEqual(parseKeyFile(TEXT + tail), undefined, tail);
  strictEqual(parseKeyFile("1".repeat(1_000_000)), undefined);
});

Deno.test("A damaged key file is none, or one of 32 bytes", () => {
  for (const text of damaged(TEXT, SEED, 2000)) {
    const seed = parseKeyFile(text);
    ok(seed === undefined || seed.length === 32, `seed ${SEED}: ${text}`);
  }
});

Deno.test("--allow takes any, keys and files of keys", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, `${formatKey(SEED_BYTES)} bob\n`);
    deepStrictEqual(await readAllowList(["any", path]), { any: true, keys: [SEED_BYTES] });
    await Deno.writeTextFile(path, formatKey(SEED_BYTES).slice(1));
    await rejects(readAllowList([path]), /line 1 does not begin with a key/);
  } finally {
    await Deno.remove(path);
  }
});
