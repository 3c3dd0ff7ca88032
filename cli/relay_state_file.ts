/**
 * What a relay is known by, in a file that only its owner may read.
 *
 * @module
 */

import type { Random } from "../protocols/core/random.ts";
import { makeRelayState, parseRelayState, type RelayState } from "../service/relay_state.ts";
import { KeyFileError } from "./key_file.ts";
import { writeNewFile } from "./new_file.ts";

/**
 * The state in a file; makes both where there is none. Needs `--allow-read` and `--allow-write` for that file.
 *
 * @param epochMs The present, milliseconds since 1970.
 * @throws {KeyFileError} If the file holds something else, others may read it, or it cannot be read or written.
 */
export async function openRelayState(path: string, random: Random, epochMs: number): Promise<RelayState> {
  const text = await readIfThere(path);
  if (text !== undefined) {
    const state = parseRelayState(text);
    if (state === undefined) {
      throw new KeyFileError(`Cannot use relay state: ${path} is not a file of ours; name another, or remove it`);
    }
    return state;
  }
  const state = makeRelayState(random, epochMs);
  try {
    await writeNewFile(path, state.text);
  } catch (cause) {
    throw new KeyFileError(`Cannot write relay state to ${path}: ${messageOf(cause)}`, { cause });
  }
  return state;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const { mode } = await Deno.stat(path);
    // On systems without such modes it is null.
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new KeyFileError(
        `Cannot use relay state: others may read ${path}; say chmod 600 ${path}, or make a new one`,
      );
    }
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof KeyFileError) throw error;
    throw new KeyFileError(`Cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
