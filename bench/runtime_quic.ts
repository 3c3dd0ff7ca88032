/**
 * One stream with the runtime's own QUIC (quinn, native), next to ours: JSON lines as `support/roles.ts` says. It chooses
 * its datagrams' size itself and offers no way to hold it at 1,200 bytes.
 *
 *     deno run -A --unstable-net bench/runtime_quic.ts receive --cert FILE --key FILE
 *     deno run -A --unstable-net bench/runtime_quic.ts send --cert FILE --port PORT --mebibytes 128
 *
 * @module
 */

import { parseArgs } from "node:util";
import { cpuTime, report } from "./support/roles.ts";

const CHUNK_BYTES = 64 * 1024;

async function receive(cert: string, key: string): Promise<void> {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({ cert, key, alpnProtocols: ["bench"] });
  report({ type: "ready", port: endpoint.addr.port });
  const connection = await listener.accept();
  const streams = connection.incomingUnidirectionalStreams.getReader();
  const { value: stream } = await streams.read();
  let bytes = 0;
  let begunAt = 0;
  if (stream !== undefined) {
    for await (const chunk of stream) {
      if (begunAt === 0) begunAt = performance.now();
      bytes += chunk.length;
    }
  }
  report({ type: "done", bytes, seconds: (performance.now() - begunAt) / 1000, ...cpuTime() });
  connection.close({ closeCode: 0, reason: "done" });
  setTimeout(() => endpoint.close(), 200);
}

async function send(cert: string, port: number, total: number): Promise<void> {
  const connection = await Deno.connectQuic({
    hostname: "127.0.0.1",
    port,
    serverName: "localhost",
    alpnProtocols: ["bench"],
    caCerts: [cert],
  });
  const writer = (await connection.createUnidirectionalStream()).getWriter();
  const chunk = crypto.getRandomValues(new Uint8Array(CHUNK_BYTES));
  for (let left = total; left > 0; left -= CHUNK_BYTES) {
    await writer.write(chunk.subarray(0, Math.min(left, CHUNK_BYTES)));
  }
  await writer.close();
  await connection.closed;
  report({ type: "done", ...cpuTime() });
}

if (import.meta.main) {
  const { positionals: [role], values } = parseArgs({
    allowPositionals: true,
    options: {
      cert: { type: "string", default: "" },
      key: { type: "string", default: "" },
      port: { type: "string" },
      mebibytes: { type: "string", default: "128" },
    },
  });
  const cert = await Deno.readTextFile(values.cert);
  if (role === "receive") await receive(cert, await Deno.readTextFile(values.key));
  else await send(cert, Number(values.port), Number(values.mebibytes) * 2 ** 20);
}
