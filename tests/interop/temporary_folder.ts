/**
 * A folder for as long as a test runs.
 *
 * @module
 */

/** Makes a folder that is removed when disposed of. */
export function temporaryFolder(): { readonly path: string } & Disposable {
  const path = Deno.makeTempDirSync();
  return { path, [Symbol.dispose]: (): void => Deno.removeSync(path, { recursive: true }) };
}
