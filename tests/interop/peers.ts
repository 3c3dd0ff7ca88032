/**
 * Peers that run as programs of their own: where they are, how they are started and ended, what they print. The gate
 * installs them under `TRAVERSE_PEERS_DIR` (`.ci/peers.sh`); one that is not there is a reason to skip, with its name.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** aioquic from PyPI. */
export const AIOQUIC: PythonPeer = { name: "aioquic", version: "1.7.2" };
/** aioice from PyPI. */
export const AIOICE: PythonPeer = { name: "aioice", version: "0.13.0" };
/** iroh from npm. */
export const IROH = { name: "@number0/iroh", version: "1.1.0" } as const;
/** noq from crates.io, as `peers/noq/Cargo.toml` pins it. */
export const NOQ = { name: "noq", version: "1.4.0" } as const;
/** quic-go from the Go module proxy, as `peers/quicgo/go.mod` pins it. */
export const QUIC_GO = { name: "quic-go", version: "0.65.0" } as const;
/** masque-go from the Go module proxy, as `peers/masque/go.mod` pins it. */
export const MASQUE_GO = { name: "masque-go", version: "0.3.0" } as const;

/** Seconds after which a peer ends by itself, whatever happens to the test that started it. */
export const PEER_SECONDS = 100;

interface PythonPeer {
  readonly name: string;
  readonly version: string;
}

/** The folder a Python peer was installed to, or `undefined` when it was not. */
export function pythonPackages(peer: PythonPeer): string | undefined {
  return installed(`python-${peer.name}-${peer.version}`);
}

/** The folder an npm peer was installed to, or `undefined` when it was not. */
export function npmPackages(peer: { readonly name: string; readonly version: string }): string | undefined {
  return installed(`npm-${peer.name.replaceAll("/", "-")}-${peer.version}`);
}

/**
 * The program that `.ci/peers.sh` has built of `peers/NAME`, or `undefined` when it was not, or of other sources: the folder
 * is named by the hash of them.
 */
export function builtProgram(tool: "cargo" | "go", name: string): string | undefined {
  const sources = new URL(`./peers/${name}/`, import.meta.url).pathname;
  const hash = createHash("sha256");
  for (const path of filesBelow(sources).sort()) hash.update(Deno.readFileSync(path));
  const folder = installed(`${tool}-${name}-${hash.digest("hex").slice(0, 16)}`);
  return folder === undefined ? undefined : `${folder}/${name}-peer`;
}

function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(`${folder}${name}/`) : [`${folder}${name}`]
  );
}

function installed(folder: string): string | undefined {
  const home = Deno.env.get("TRAVERSE_PEERS_DIR") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/traverse-peers`;
  const path = `${home}/${folder}`;
  return exists(`${path}/.complete`) ? path : undefined;
}

/** Whether a file or folder is there. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The full path of a system's program, or `undefined`. */
export function program(name: string): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find(exists);
}

/** A peer, and why a test with it cannot run. */
interface Peer {
  readonly name: string;
  readonly missing: string | undefined;
}

/** The peer, for a test that goes over IPv6. */
export function overIpv6(peer: Peer): Peer {
  return { name: peer.name, missing: peer.missing ?? noIpv6() };
}

function noIpv6(): string | undefined {
  try {
    Deno.listenDatagram({ transport: "udp", hostname: "::1", port: 0 }).close();
    return undefined;
  } catch {
    return "no IPv6 on this machine";
  }
}

/** A test that runs where its peer is, and says which one is missing where it is not. */
export function peerTest(peer: Peer, name: string, run: TestRun): void {
  if (peer.missing === undefined) return Deno.test(name, run);
  Deno.test({ name: `${name} (skipped: ${peer.name}: ${peer.missing})`, ignore: true, fn: run });
}

type TestRun = (test: Deno.TestContext) => Promise<void>;

/** Options as words of a command line: `keyUpdate: true` as `--key-update`, `streams: 9` as `--streams 9`. */
export function switches(options: object): string[] {
  const words: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    if (value === false || value === undefined) continue;
    words.push(`--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    if (value !== true) words.push(String(value));
  }
  return words;
}

/** Test certificate and key as files, for peers that read files; removed when disposed of. */
export function pemFiles(certificate: { pem: string; keyPem: string }): PemFiles {
  const folder = Deno.makeTempDirSync();
  const files = { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` };
  Deno.writeTextFileSync(files.cert, certificate.pem);
  Deno.writeTextFileSync(files.key, certificate.keyPem);
  return { ...files, [Symbol.dispose]: (): void => Deno.removeSync(folder, { recursive: true }) };
}

interface PemFiles extends Disposable {
  readonly cert: string;
  readonly key: string;
}

/** A peer's process that says JSON lines; disposing of it ends it. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #stderr: Promise<string>;
  #rest = "";

  constructor(command: string, args: readonly string[]) {
    this.#child = new Deno.Command(command, { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" })
      .spawn();
    this.#stdin = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = new Response(this.#child.stderr).text();
  }

  /**
   * The next JSON line of one of the given types; others are passed over.
   *
   * @throws {Error} With what the peer wrote to stderr, when it ended without saying it.
   */
  async next(...types: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        const message: unknown = line.startsWith("{") ? JSON.parse(line) : undefined;
        if (isRecord(message) && types.includes(String(message["type"]))) return message;
        if (isRecord(message) && message["type"] === "error") throw new Error(`The peer failed: ${line}`);
        continue;
      }
      const chunk = await this.#lines.read();
      if (chunk.done) throw new Error(`The peer ended before it said ${types.join(" or ")}: ${await this.#stderr}`);
      this.#rest += chunk.value;
    }
  }

  /** Writes one JSON line to the peer's stdin. */
  async tell(message: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill();
    } catch {
      // It has ended already.
    }
    await this.#stdin.abort();
    await this.#lines.cancel();
    await this.#stderr;
    await this.#child.status;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
