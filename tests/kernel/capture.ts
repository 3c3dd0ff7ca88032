/**
 * Captures one `quic-native` session behind real kernel NATs, with its key log: packets of the public segment in
 * `capture.pcap`, TLS secrets in `keys.log`. Needs root and tcpdump.
 *
 *     deno run -A --unstable-net tests/kernel/capture.ts FOLDER
 *
 * The session says something over the relay, waits for the direct path and says it again.
 *
 * @module
 */

import { dial, listen, type TraversalEvent } from "../../mod.ts";
import { KernelNetwork, PUBLIC_ADDRESSES } from "./namespaces.ts";
import { Program } from "./program.ts";

const HUB = `${PUBLIC_ADDRESSES[0]}:8080`;
const RELAY = `${PUBLIC_ADDRESSES[0]}:4433`;
const TOKEN = "capture";
const SELF = new URL(import.meta.url).pathname;
/** What is said, and returned. */
const GREETING = new TextEncoder().encode("hello ".repeat(400));
/** How long the capture goes on after the end. */
const LINGER_MS = 500;

if (import.meta.main) {
  const [role = "", ...rest] = Deno.args;
  if (role === "listener") await runListener(rest);
  else if (role === "caller") await runCaller(rest);
  else await capture(role);
}

/** Builds the network, and runs both peers in it while its public segment is written down. */
async function capture(folder: string): Promise<void> {
  if (folder === "") throw new TypeError("Cannot capture: which folder is it to be written to?");
  await Deno.mkdir(folder, { recursive: true });
  const keys = `${folder}/keys.log`;
  await Deno.writeTextFile(keys, "");
  await using network = await KernelNetwork.build("EIM+APDF", "EIM+APDF");
  const { publicNamespace } = network;
  const words = [
    "-i",
    "segment",
    "-U",
    // Each packet as it comes: what waits in the ring at the end would be lost.
    "--immediate-mode",
    "-Z",
    "root",
    "-w",
    `${folder}/capture.pcap`,
    "udp",
  ];
  const tcpdump = network.spawn(publicNamespace, ["tcpdump", ...words], { stderr: "piped" });
  const listening = tcpdump.stderr.getReader();
  await listening.read();
  const serving = ["serve", "--listen", HUB, "--relay", RELAY, "--relay-token", TOKEN, "--json"];
  const { relay } = await new Program(network, publicNamespace, serving).fact("ready");
  const [via] = Array.isArray(relay) ? relay : [];
  const run = (namespace: string, ...args: string[]): Deno.ChildProcess => {
    const command = [Deno.execPath(), "run", "-A", "--unstable-net", SELF, ...args];
    return network.spawn(namespace, command, { stdout: "piped" });
  };
  const listener = run(network.b.namespace, "listener", keys, String(via));
  const reader = listener.stdout.getReader();
  const ticket = new TextDecoder().decode((await reader.read()).value).trim();
  await reader.cancel();
  const caller = await run(network.a.namespace, "caller", keys, ticket).output();
  await listener.status;
  await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
  tcpdump.kill("SIGINT");
  await tcpdump.status;
  await listening.cancel();
  if (!caller.success) throw new Error("The caller has failed");
}

/** Writes every secret down, in the format of SSLKEYLOGFILE. */
function keyLogTo(path: string): (event: TraversalEvent) => void {
  return (event) => {
    if (event.type !== "connection" || event.event.type !== "keyLog") return;
    const { label, clientRandom, secret } = event.event;
    Deno.writeTextFileSync(path, `${label} ${clientRandom.toHex()} ${secret.toHex()}\n`, { append: true });
  };
}

async function runListener([keys = "", via = ""]: readonly string[]): Promise<void> {
  await using listener = listen({
    via,
    viaToken: TOKEN,
    transports: ["quic-native"],
    backend: "runtime",
    keyLog: true,
    onEvent: keyLogTo(keys),
  });
  console.log(await listener.ticket);
  for await (const session of listener) {
    for await (const stream of session.incomingStreams) void stream.readable.pipeTo(stream.writable);
    await session.closed;
    return;
  }
}

async function runCaller([keys = "", peer = ""]: readonly string[]): Promise<void> {
  const direct = Promise.withResolvers<void>();
  const log = keyLogTo(keys);
  const onEvent = (event: TraversalEvent): void => {
    log(event);
    if (event.type === "path" && event.kind === "direct") direct.resolve();
  };
  await using session = await dial({ peer, transports: ["quic-native"], backend: "runtime", keyLog: true, onEvent });
  await echo(session);
  await direct.promise;
  await echo(session);
  session.close();
}

async function echo(session: Awaited<ReturnType<typeof dial>>): Promise<void> {
  const stream = await session.openStream();
  const writer = stream.writable.getWriter();
  await writer.write(GREETING);
  await writer.close();
  const returned = await new Response(stream.readable).bytes();
  if (returned.length !== GREETING.length) throw new Error(`${returned.length} bytes came back`);
}
