import { ok, strictEqual } from "node:assert/strict";
import { connect } from "node:net";
import { DenoHost } from "../../io/deno_host.ts";
import { serve } from "../../service/serve.ts";
import type { Service } from "../../service/serve.ts";
import { acceptWebSocket, MAX_PINGS_BETWEEN_MESSAGES } from "../../signaling/websocket.ts";

/** A frame of a client: masked with zeros, which any mask may be (RFC 6455 §5.3). */
function frame(first: number, payload: string): Uint8Array {
  const bytes = new TextEncoder().encode(payload);
  if (bytes.length > 125) throw new RangeError("Cannot make a frame that long");
  return new Uint8Array([first, 0x80 | bytes.length, 0, 0, 0, 0, ...bytes]);
}

/** Upgrades by hand, sends the frames, and reads until the hub has cut it. @returns What came behind the 101. */
async function say(service: Service, frames: readonly Uint8Array[]): Promise<Uint8Array> {
  const { port } = service.address;
  const socket = connect({ host: "127.0.0.1", port });
  const { promise, resolve } = Promise.withResolvers<void>();
  const received: number[] = [];
  socket.on("data", (data) => received.push(...(typeof data === "string" ? new TextEncoder().encode(data) : data)));
  socket.on("error", () => resolve());
  socket.on("close", () => resolve());
  const head = [
    "GET /signal HTTP/1.1",
    "host: x",
    "connection: upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
  ];
  socket.write([...head, "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""].join("\r\n"));
  for (const bytes of frames) socket.write(bytes);
  await promise;
  socket.destroy();
  const text = new TextDecoder("latin1").decode(new Uint8Array(received));
  const end = text.indexOf("\r\n\r\n");
  ok(text.startsWith("HTTP/1.1 101"), text);
  return new Uint8Array(received.slice(end + 4));
}

const PING = 0x89;
const TEXT = 0x81;

async function start(): Promise<Service> {
  const host = new DenoHost();
  return await serve({ host, listen: "127.0.0.1:0", epochMs: host.epochMs, acceptUpgrade: acceptWebSocket });
}

Deno.test("a hub cuts off a client that only pings (RFC 6455 §5.5.2, MAX_PINGS_BETWEEN_MESSAGES)", async () => {
  await using service = await start();
  const pings = Array.from({ length: MAX_PINGS_BETWEEN_MESSAGES + 1 }, () => frame(PING, "x"));
  const answers = await say(service, pings);
  // At most a pong for each, of three bytes.
  ok(answers.length <= 3 * pings.length, String(answers.length));
});

Deno.test("a hub cuts off frames that are none: unmasked, reserved, fragmented without end (RFC 6455 §5.1, §5.2, §7.4.1)", async () => {
  await using service = await start();
  const fragments = [frame(0x01, "x".repeat(100)), ...Array.from({ length: 200 }, () => frame(0x00, "x".repeat(100)))];
  const cases: readonly (readonly [readonly Uint8Array[], number])[] = [
    [[new Uint8Array([TEXT, 1, 0x78])], 1002],
    [[frame(0x83, "x")], 1002],
    [[frame(0xc1, "x")], 1002],
    [fragments, 1009],
  ];
  for (const [frames, code] of cases) {
    const answer = await say(service, frames);
    // A close frame with its code, and no more.
    strictEqual(answer[0], 0x88);
    strictEqual((answer[2]! << 8) | answer[3]!, code);
  }
});
