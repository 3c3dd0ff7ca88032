/**
 * `identity`: makes a key, or shows the one there is.
 *
 * @module
 */

import { DenoHost } from "../io/deno_host.ts";
import { randomBytes } from "../protocols/core/random.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { formatKey } from "../signaling/identity.ts";
import { parseArgs, UsageError } from "./args.ts";
import { fileExists, readKeyFile, writeKeyFile } from "./key_file.ts";
import { noWords } from "./options.ts";
import { printLine } from "./standard_streams.ts";
import { Status } from "./status.ts";

/** What `identity --help` prints. */
export const IDENTITY_HELP = `Makes a key in FILE, or shows the public key of the one that is there.

  identity --key me.key

usage: identity --key FILE [--json]

Give the public key to whoever is to --allow you. Keep the file to yourself.`;

/** Runs the command. Returns the exit code. */
export async function identity(words: readonly string[]): Promise<number> {
  const args = parseArgs(words, { boolean: ["json", "help"], string: ["key"] });
  noWords(args);
  const path = args.value("key");
  if (path === undefined) throw new UsageError("--key FILE is missing: where the key is, or is to be");
  const status = new Status(args.flag("json"));
  const isNew = !await fileExists(path);
  if (isNew) await writeKeyFile(path, randomBytes(new DenoHost().random, 32));
  const key = formatKey(Ed25519PrivateKey.fromSeed(await readKeyFile(path)).publicKey.bytes);
  if (isNew) status.note(`made a new key in ${path}`);
  if (args.flag("json")) status.tell({ type: "identity", key, isNew }, "");
  else printLine(key);
  return 0;
}
