/**
 * Files that are made whole or not at all: a disk that is full leaves nothing behind that the next start would trip over.
 *
 * @module
 */

/**
 * Writes a file that only its owner may read, where nothing is yet. Needs `--allow-write`.
 *
 * @throws {Error} If there is something already, or it cannot be written; then there is nothing.
 */
export async function writeNewFile(path: string, text: string): Promise<void> {
  const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let offset = 0; offset < bytes.length;) offset += await file.write(bytes.subarray(offset));
    await file.syncData();
  } catch (error) {
    try {
      await Deno.remove(path);
    } catch {
      // Why it could not be written says more.
    }
    throw error;
  } finally {
    file.close();
  }
}

/**
 * Puts a line at the end of a file, which is made if there is none. Needs `--allow-write` and `--allow-read`.
 *
 * @throws {Error} If it cannot be written; then the file is as it was.
 */
export function appendLine(path: string, line: string): void {
  const file = Deno.openSync(path, { append: true, create: true, read: true, mode: 0o600 });
  try {
    const { size } = file.statSync();
    const bytes = new TextEncoder().encode(line);
    try {
      for (let offset = 0; offset < bytes.length;) offset += file.writeSync(bytes.subarray(offset));
    } catch (error) {
      // Half a line would be wrong for whoever reads the file next.
      file.truncateSync(size);
      throw error;
    }
  } finally {
    file.close();
  }
}
