/**
 * Handshakes a second on one core: both ends in one process with nothing between them, ours with raw keys on both sides,
 * aioquic's with a certificate of an Ed25519 key on the server's, by turns; CPU time, medians and the ratio.
 *
 *     deno run -A bench/handshake_rate.ts [--rounds 5] [--count 1000] [--json]
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { addressOf } from "../protocols/core/address.ts";
import type { Base, Datagram } from "../protocols/core/machine.ts";
import { Ed25519PrivateKey } from "../protocols/crypto/ed25519.ts";
import { DEFAULT_ENDPOINT_CONFIG, DEFAULT_TRANSPORT_SETTINGS } from "../protocols/quic/config.ts";
import { QuicEndpoint } from "../protocols/quic/endpoint.ts";
import { AIOQUIC, PeerProcess, pemFiles, program, pythonPackages } from "../tests/interop/peers.ts";
import { selfSignedCertificate } from "../tests/support/certificate.ts";
import { seededRandom } from "../tests/support/seeded_random.ts";
import { median, ratio, table } from "./support/statistics.ts";
import { tlsSettings } from "./support/tls.ts";

/** What ours has to reach, as a factor on aioquic's. */
const LEAST_FACTOR = 2;

/** Handshakes before any is counted: compiled code, caches. */
const WARM = 200;

const random = seededRandom(1);
const clientBase: Base = { kind: "socket", local: addressOf("192.0.2.1", 50_000), maxPayloadBytes: 1472 };
const serverBase: Base = { kind: "socket", local: addressOf("192.0.2.2", 4433), maxPayloadBytes: 1472 };
const [clientKey, serverKey] = [Ed25519PrivateKey.generate(random), Ed25519PrivateKey.generate(random)];

const serverTls = tlsSettings({ own: serverKey, peer: clientKey.publicKey.bytes });
const server = new QuicEndpoint({
  ...DEFAULT_ENDPOINT_CONFIG,
  server: { tls: { ...serverTls, peer: { ...serverTls.peer, ask: true } }, transport: DEFAULT_TRANSPORT_SETTINGS },
}, random);
const client = new QuicEndpoint(DEFAULT_ENDPOINT_CONFIG, random);
const clientTls = tlsSettings({ own: clientKey, peer: serverKey.publicKey.bytes });

/** One handshake, to its confirmation on both sides. @throws {Error} If it does not get there. */
function handshake(): void {
  const connection = client.connect({
    base: clientBase,
    remote: serverBase.local,
    tls: clientTls,
    transport: DEFAULT_TRANSPORT_SETTINGS,
  }, 0);
  for (let flight = 0; flight < 20 && connection.state !== "confirmed"; flight++) {
    pass(client, server, serverBase, clientBase);
    pass(server, client, clientBase, serverBase);
  }
  if (connection.state !== "confirmed") throw new Error(`The handshake ended ${connection.state}`);
  for (const endpoint of [client, server]) {
    for (const each of endpoint.connections()) each.abandon();
    drain(endpoint);
    while (endpoint.pollTransmit(0) !== undefined);
  }
}

function pass(from: QuicEndpoint, to: QuicEndpoint, base: Base, source: Base): void {
  drain(from);
  for (let out = from.pollTransmit(0); out !== undefined; out = from.pollTransmit(0)) {
    const datagram: Datagram = { base, remote: source.local, payload: out.payload };
    to.handleDatagram(out.segmentBytes === undefined ? datagram : { ...datagram, segmentBytes: out.segmentBytes }, 0);
  }
  drain(to);
}

function drain(endpoint: QuicEndpoint): void {
  for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent()) {
    if (event.type === "connection" && event.event.type === "verifyPeer") {
      event.connection.provideVerdict({ accepted: true }, 0);
    }
  }
}

/** Handshakes a second of CPU time. */
function ours(count: number): number {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) handshake();
  const { user, system } = process.cpuUsage(before);
  return count / ((user + system) / 1e6);
}

async function aioquics(count: number, packages: string): Promise<number> {
  using files = pemFiles(selfSignedCertificate("Ed25519"));
  const script = new URL("peers/aioquic_handshakes.py", import.meta.url).pathname;
  const options = ["--packages", packages, "--cert", files.cert, "--key", files.key, "--count", String(count)];
  await using peer = new PeerProcess(program("python3") ?? "python3", [script, ...options]);
  const done = await peer.next("done");
  return count / Number(done["cpuSeconds"]);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      count: { type: "string", default: "1000" },
      json: { type: "boolean", default: false },
    },
  });
  const [rounds, count] = [Number(values.rounds), Number(values.count)];
  const packages = pythonPackages(AIOQUIC);
  for (let i = 0; i < WARM; i++) handshake();
  const rates: { traverse: number[]; aioquic: number[] } = { traverse: [], aioquic: [] };
  for (let round = 0; round < rounds; round++) {
    rates.traverse.push(ours(count));
    if (packages !== undefined) rates.aioquic.push(await aioquics(count, packages));
  }
  const [mine, theirs] = [median(rates.traverse), packages === undefined ? NaN : median(rates.aioquic)];
  if (values.json) console.log(JSON.stringify(rates));
  else {
    console.log(table(["stack", "handshakes a CPU second, both ends", "of aioquic"], [
      ["traverse, raw keys on both sides", mine.toFixed(0), ratio(mine, theirs)],
      ["aioquic, a certificate of the server's", theirs.toFixed(0), ratio(theirs, theirs)],
    ]));
  }
  if (mine < LEAST_FACTOR * theirs) {
    console.error(`traverse makes fewer than ${LEAST_FACTOR} × the handshakes of aioquic`);
    Deno.exit(1);
  }
}
