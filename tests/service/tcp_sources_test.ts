import { ok, strictEqual } from "node:assert/strict";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { DenoHost } from "../../io/deno_host.ts";
import { serve } from "../../service/serve.ts";
import { MAX_CONNECTIONS_PER_SOURCE, TcpSources } from "../../service/tcp_sources.ts";
import { acceptWebSocket } from "../../signaling/websocket.ts";

/** A socket that only counts. */
class FakeSocket {
  readonly remoteAddress: string;
  isDestroyed = false;
  close: () => void = () => {};

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  once(_event: "close", listener: () => void): void {
    this.close = listener;
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

Deno.test("TcpSources takes so many connections from one source, others beside it, and forgets those that have ended", () => {
  const sources = new TcpSources();
  const taken: FakeSocket[] = [];
  for (let n = 0; n < MAX_CONNECTIONS_PER_SOURCE; n++) {
    // All of one /64.
    const socket = new FakeSocket(`2001:db8::${n.toString(16)}`);
    ok(sources.take(socket));
    taken.push(socket);
  }
  const late = new FakeSocket("2001:db8::ffff");
  strictEqual(sources.take(late), false);
  ok(late.isDestroyed);
  ok(sources.take(new FakeSocket("192.0.2.1")));
  taken[0]!.close();
  ok(sources.take(new FakeSocket("2001:db8::ffff")));
  strictEqual(sources.size, 2);
  for (const socket of taken.slice(1)) socket.close();
  strictEqual(sources.size, 2);
});

Deno.test("serve ends TCP connections of one source beyond its limit at once, and those below it go on", async () => {
  const host = new DenoHost();
  await using service = await serve({
    host,
    listen: "127.0.0.1:0",
    epochMs: host.epochMs,
    acceptUpgrade: acceptWebSocket,
  });
  const { port } = service.address;
  const sockets: Socket[] = [];
  const open = async (): Promise<"open" | "ended"> => {
    const socket = connect({ host: "127.0.0.1", port });
    sockets.push(socket);
    const outcome = Promise.withResolvers<"open" | "ended">();
    socket.on("error", () => outcome.resolve("ended"));
    socket.on("close", () => outcome.resolve("ended"));
    socket.on("data", () => outcome.resolve("open"));
    socket.write("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    return await outcome.promise;
  };
  try {
    for (let n = 0; n < MAX_CONNECTIONS_PER_SOURCE; n++) strictEqual(await open(), "open", String(n));
    strictEqual(await open(), "ended");
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});
