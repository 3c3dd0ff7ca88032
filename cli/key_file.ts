/**
 * Keys in files: a private key in a file that only its owner may read, and lists of keys who may call.
 *
 * @module
 */

import { parseKeyList } from "../signaling/admission.ts";
import type { AllowList } from "../signaling/admission.ts";
import { base58Length, decodeBase58, encodeBase58 } from "../signaling/base58.ts";
import { parseKey } from "../signaling/identity.ts";
import { UsageError } from "./args.ts";
import { writeNewFile } from "./new_file.ts";

const HEADER = "traverse-private-key-1";
const SEED_BYTES = 32;

/** A key file or key list cannot be used; the message says what to do. */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
}

/** Reads the seed of a private key, 32 bytes. Needs `--allow-read`. @throws {KeyFileError} If there is none. */
export async function readKeyFile(path: string): Promise<Uint8Array> {
  const text = await readText(path, `make one with: identity --key ${path}`);
  const seed = parseKeyFile(text);
  if (seed === undefined) {
    throw new KeyFileError(`Cannot read key: ${path} is not a key file of ours; name another, or remove it`);
  }
  return seed;
}

/** The seed in the text of a key file; `undefined` if it is none. */
export function parseKeyFile(text: string): Uint8Array | undefined {
  const [header, encoded, ...rest] = text.trim().split(/\s+/, 3);
  if (header !== HEADER || encoded?.length !== base58Length(SEED_BYTES) || rest.length > 0) return undefined;
  return decodeBase58(encoded);
}

/**
 * Writes the seed of a private key where nothing is yet. Needs `--allow-write`.
 *
 * @param seed 32 random bytes.
 * @throws {KeyFileError} If the file cannot be written.
 */
export async function writeKeyFile(path: string, seed: Uint8Array): Promise<void> {
  const text = `${HEADER} ${encodeBase58(seed)}\n`;
  try {
    await writeNewFile(path, text);
  } catch (error) {
    throw new KeyFileError(`Cannot write key to ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether there is a file. Needs `--allow-read`. */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new KeyFileError(`Cannot look at ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Reads the values of `--allow`: `any`, a key, or a file with a key a line.
 *
 * @throws {UsageError} If a value is none of them.
 */
export async function readAllowList(values: readonly string[]): Promise<AllowList> {
  const keys: Uint8Array[] = [];
  let any = false;
  for (const value of values) {
    const key = parseKey(value);
    if (value === "any") any = true;
    else if (key !== undefined) keys.push(key);
    else keys.push(...await readKeys(value));
  }
  return { any, keys };
}

async function readKeys(path: string): Promise<readonly Uint8Array[]> {
  if (!await fileExists(path)) throw new UsageError(`--allow takes a key, a file of keys, or any, not "${path}"`);
  const text = await readText(path, "--allow takes a key, a file of keys, or any");
  try {
    return parseKeyList(text);
  } catch (error) {
    throw new UsageError(`--allow ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function readText(path: string, hint: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new KeyFileError(`Cannot read ${path}: ${messageOf(error)}; ${hint}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
