// deno-lint-ignore-file explicit-function-return-type -- node runs it, and knows no types
/**
 * iroh (node, npm `@number0/iroh`) as a peer with RFC 7250 raw keys, in both roles, speaking what exchange.ts says. Relays
 * and discovery are off. Run it in a network namespace of its own: it looks for port mappers on the default route.
 *
 * node iroh_peer.mjs FOLDER server SECONDS
 * node iroh_peer.mjs FOLDER client SECONDS KEY-OF-THE-SERVER-IN-HEX PORT
 *
 * Prints JSON, one object a line: {"type":"ready","port":N,"key":HEX}, {"type":"accepted","peer":HEX} for each connection,
 * {"type":"done","echo":"ok","exchange":"ok","key":HEX}, {"type":"error","error":TEXT}. Ends by itself after SECONDS.
 */

import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";

const [folder, role, seconds, serverKey, port] = process.argv.slice(2);
const { Endpoint, EndpointAddr, EndpointId, presetMinimal, RelayMode } = createRequire(`${folder}/package.json`)(
  "@number0/iroh",
);
const ALPN = [...Buffer.from("q2q")];
const EXCHANGE_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const HASH_BYTES = 32;

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const say = (fields) => console.log(JSON.stringify(fields));

async function bind(alpns) {
  const builder = Endpoint.builder();
  presetMinimal(builder);
  builder.relayMode(RelayMode.disabled());
  builder.bindAddr("127.0.0.1:0");
  builder.alpns(alpns);
  return await builder.bind();
}

async function writeRandom(send) {
  const hash = createHash("sha256");
  for (let left = EXCHANGE_BYTES; left > 0; left -= CHUNK_BYTES) {
    const chunk = randomBytes(CHUNK_BYTES);
    hash.update(chunk);
    await send.writeAll([...chunk]);
  }
  return hash.digest();
}

async function readToEnd(receive) {
  return Buffer.from(await receive.readToEnd(2 * EXCHANGE_BYTES));
}

async function serveStream({ send, recv }) {
  const [kind] = await recv.readExact(1);
  if (kind === 0x45) {
    await send.writeAll([...await readToEnd(recv)]);
  } else {
    const [sent, received] = await Promise.all([writeRandom(send), readToEnd(recv)]);
    await send.writeAll([...sent, ...createHash("sha256").update(received).digest()]);
  }
  await send.finish();
}

async function runServer() {
  const endpoint = await bind([ALPN]);
  const socket = endpoint.boundSockets().find((address) => address.startsWith("127."));
  say({ type: "ready", port: Number(socket.split(":")[1]), key: hex(endpoint.id().toBytes()) });
  for (let incoming = await endpoint.acceptNext(); incoming !== null; incoming = await endpoint.acceptNext()) {
    const accepting = await incoming.accept();
    serveConnection(accepting).catch((error) => say({ type: "error", error: String(error) }));
  }
}

async function serveConnection(accepting) {
  const connection = await accepting.connect();
  say({ type: "accepted", peer: hex(connection.remoteId().toBytes()) });
  const closed = connection.closed().then(() => undefined);
  for (;;) {
    const stream = await Promise.race([closed, connection.acceptBi().catch(() => closed)]);
    if (stream === undefined) return;
    await serveStream(stream);
  }
}

async function runClient() {
  const endpoint = await bind([]);
  const address = new EndpointAddr(EndpointId.fromBytes([...Buffer.from(serverKey, "hex")]), null, [
    `127.0.0.1:${port}`,
  ]);
  const connection = await endpoint.connect(address, ALPN);
  const echo = await connection.openBi();
  await echo.send.writeAll([...Buffer.from("Eecho of iroh")]);
  await echo.send.finish();
  const echoed = (await readToEnd(echo.recv)).toString();
  const exchange = await connection.openBi();
  await exchange.send.writeAll([0x58]);
  const [sent, received] = await Promise.all([
    writeRandom(exchange.send).then(async (hash) => {
      await exchange.send.finish();
      return hash;
    }),
    readToEnd(exchange.recv),
  ]);
  const body = received.subarray(0, -2 * HASH_BYTES);
  const expected = Buffer.concat([createHash("sha256").update(body).digest(), sent]);
  const unharmed = body.length === EXCHANGE_BYTES && received.subarray(-2 * HASH_BYTES).equals(expected);
  connection.close(0n, []);
  say({
    type: "done",
    echo: echoed === "echo of iroh" ? "ok" : "wrong",
    exchange: unharmed ? "ok" : "wrong",
    key: hex(endpoint.id().toBytes()),
  });
  await endpoint.close();
}

setTimeout(() => process.exit(2), Number(seconds) * 1000).unref();
try {
  await (role === "server" ? runServer() : runClient());
  process.exit(0);
} catch (error) {
  say({ type: "error", error: String(error) });
  process.exit(1);
}
