import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import type { Socket } from "node:net";
import { MAX_MESSAGE_LENGTH } from "../../signaling/channel.ts";
import type { HubMachine, HubTransmit } from "../../signaling/hub_machine.ts";
import { MemoryHub } from "../../signaling/memory.ts";
import type { MemoryClient } from "../../signaling/memory.ts";
import { MAX_WAITING_MESSAGES, MessageQueue } from "../../signaling/queue_stream.ts";
import { ticketSignaling } from "../../signaling/ticket.ts";
import { acceptWebSocket, MAX_MESSAGE_HEADER_BYTES, MESSAGE_HEADER, websocket } from "../../signaling/websocket.ts";
import type { ServerSocket } from "../../signaling/websocket.ts";
import { testSignaling } from "../contract/signaling.ts";
import type { SignalingFixture } from "../contract/signaling.ts";
import { Inbox } from "../support/inbox.ts";

/** A hub that says only what it is told to. */
class PuppetHub implements HubMachine<MemoryClient> {
  readonly inbox = new Inbox<string>();
  readonly clients = new Set<MemoryClient>();
  readonly #transmits: HubTransmit<MemoryClient>[] = [];
  readonly #disconnects: MemoryClient[] = [];

  say(message: string): void {
    for (const client of this.clients) this.#transmits.push({ client, message });
  }

  hangUp(): void {
    this.#disconnects.push(...this.clients);
  }

  handleOpen(client: MemoryClient): void {
    this.clients.add(client);
  }

  handleMessage(_client: MemoryClient, message: string): void {
    this.inbox.put(message);
  }

  handleClosed(client: MemoryClient): void {
    this.clients.delete(client);
  }

  handleTimeout(): void {}

  pollMessage(): HubTransmit<MemoryClient> | undefined {
    return this.#transmits.shift();
  }

  pollDisconnect(): MemoryClient | undefined {
    return this.#disconnects.shift();
  }

  pollTimeout(): undefined {
    return undefined;
  }
}

function openMemory(): Promise<SignalingFixture> {
  const puppet = new PuppetHub();
  const signaling = new MemoryHub(puppet, { now: () => 0 });
  return Promise.resolve({
    signaling,
    received: () => puppet.inbox.next(),
    say: (message) => {
      puppet.say(message);
      signaling.deliver();
    },
    hangUp: () => {
      puppet.hangUp();
      signaling.deliver();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

/** An HTTP server whose WebSockets say what they are told to. */
async function openWebSocket(): Promise<SignalingFixture & { readonly port: number }> {
  const inbox = new Inbox<string>();
  const sockets = new Set<ServerSocket>();
  const server = createServer();
  server.on("upgrade", (request, socket, head) => {
    acceptWebSocket({ request, socket, head }, (serverSocket, first) => {
      sockets.add(serverSocket);
      if (first !== undefined) inbox.put(first);
      return { handleMessage: (message) => inbox.put(message), handleClosed: () => sockets.delete(serverSocket) };
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(address !== null && typeof address === "object");
  return {
    port: address.port,
    signaling: websocket(`ws://127.0.0.1:${address.port}`),
    received: () => inbox.next(),
    say: (message) => {
      for (const socket of sockets) socket.send(message);
    },
    hangUp: () => {
      for (const socket of sockets) socket.close();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      for (const socket of sockets) socket.close();
      await closed;
    },
  };
}

function openTicket(): Promise<SignalingFixture> {
  const inbox = new Inbox<string>();
  const pasted = new MessageQueue(() => {});
  return Promise.resolve({
    signaling: ticketSignaling({ show: (text) => inbox.put(text), pasted: pasted.stream }),
    received: () => inbox.next(),
    say: (message) => void pasted.push(message),
    hangUp: () => pasted.close(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

testSignaling({ name: "memory", open: openMemory });
testSignaling({ name: "websocket", open: openWebSocket });
testSignaling({ name: "ticket", open: openTicket });

Deno.test("websocket writes the upgrade request with the first message, in a header and not in the URL", async () => {
  const bytes = new Inbox<string>();
  const server = createTcpServer((socket) => {
    socket.setEncoding("latin1");
    socket.on("data", (data) => bytes.put(String(data)));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(address !== null && typeof address === "object");
  const signaling = websocket(`ws://127.0.0.1:${address.port}/hub`, { token: "secret" });
  strictEqual(signaling.hub, `127.0.0.1:${address.port}`);
  const channel = await signaling.open({ signal: new AbortController().signal });
  strictEqual(bytes.size, 0);
  channel.send('{"t":"ping"}');
  const request = (await bytes.next()).split("\r\n");
  strictEqual(request[0], "GET /hub HTTP/1.1");
  const headers = new Map(
    request.slice(1).map((line) => {
      const [name, value] = line.split(": ");
      return [name!.toLowerCase(), value];
    }),
  );
  strictEqual(
    headers.get(MESSAGE_HEADER),
    new TextEncoder().encode('{"t":"ping"}').toBase64({ alphabet: "base64url" }),
  );
  strictEqual(headers.get("authorization"), "Bearer secret");
  strictEqual(headers.get("upgrade"), "websocket");
  strictEqual(headers.has("sec-websocket-extensions"), false);
  channel.close();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("acceptWebSocket writes the 101 and the first frame together", async () => {
  const server = createServer();
  server.on("upgrade", (request, socket, head) => {
    acceptWebSocket({ request, socket, head }, (serverSocket, first) => {
      serverSocket.send(`answer to ${first}`);
      return { handleMessage: () => {}, handleClosed: () => {} };
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(address !== null && typeof address === "object");
  const connection = connect({ host: "127.0.0.1", port: address.port });
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  connection.write(
    `GET /signal HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: ${key}\r\n${MESSAGE_HEADER}: aGk\r\n\r\n`,
  );
  let text = "";
  // Nothing else is sent, so that whatever comes is in the flight of the answer.
  for await (const chunk of connection) {
    text += chunk.toString();
    if (text.includes("answer to hi")) break;
  }
  ok(text.startsWith("HTTP/1.1 101 "));
  ok(text.includes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 §1.3");
  ok(text.endsWith("answer to hi"));
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("websocket sends a first message that is too long for a header as the first frame", async () => {
  await using fixture = await openWebSocket();
  const channel = await fixture.signaling.open({ signal: new AbortController().signal });
  const long = "x".repeat(MAX_MESSAGE_HEADER_BYTES);
  channel.send(long);
  channel.send("second");
  strictEqual(await fixture.received(), long);
  strictEqual(await fixture.received(), "second");
  channel.close();
});

Deno.test("websocket cuts off a hub that sends more than it may", async () => {
  await using fixture = await openWebSocket();
  const channel = await fixture.signaling.open({ signal: new AbortController().signal });
  channel.send("hello");
  await fixture.received();
  fixture.say("x".repeat(4 * MAX_MESSAGE_LENGTH + 1));
  await rejects(channel.messages.getReader().read());
});

Deno.test("websocket says why a hub cannot be reached", async () => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(address !== null && typeof address === "object");
  await new Promise<void>((resolve) => server.close(() => resolve()));
  const { port } = address;
  const opened = websocket(`ws://127.0.0.1:${port}`).open({ signal: new AbortController().signal });
  await rejects(
    opened,
    (error) => error instanceof Error && error.message.startsWith(`Cannot reach 127.0.0.1:${port}: `),
  );
});

Deno.test("websocket gives up a hub that accepts and says nothing, and stops when it is told to", async () => {
  const sockets = new Inbox<Socket>();
  const server = createTcpServer((socket) => sockets.put(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  ok(address !== null && typeof address === "object");
  const url = `wss://127.0.0.1:${address.port}`;
  const { signal } = new AbortController();
  await rejects(websocket(url, { connectTimeoutMs: 20 }).open({ signal }), /no answer for 20 ms/);
  const abort = new AbortController();
  const opened = websocket(url).open({ signal: abort.signal });
  (await sockets.next()).destroy();
  const second = await sockets.next();
  abort.abort(new Error("enough"));
  await rejects(opened, /enough/);
  second.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("websocket takes ws: and wss: URLs without query and password, and adds the path", () => {
  strictEqual(websocket("wss://Hub.Example").url, "wss://hub.example/signal");
  strictEqual(websocket("wss://hub.example:443/").hub, "hub.example");
  strictEqual(websocket("ws://[::1]:8080/x#y").url, "ws://[::1]:8080/x");
  for (const url of ["", "hub", "http://hub.example", "ws://a:b@hub.example", "ws://hub.example/?token=x"]) {
    throws(() => websocket(url), TypeError, url);
  }
});

Deno.test("MessageQueue ends with an error when nobody reads", async () => {
  const queue = new MessageQueue(() => {});
  for (let i = 0; i < MAX_WAITING_MESSAGES; i++) ok(queue.push("x"));
  strictEqual(queue.push("one too many"), false);
  await rejects(queue.stream.getReader().read(), /wait for a reader/);
  ok(queue.push("after the end: dropped"));
});

Deno.test("MemoryHub hands messages of one client to another's channel", async () => {
  const puppet = new PuppetHub();
  const signaling = new MemoryHub(puppet, { now: () => 0, hub: "here" });
  strictEqual(signaling.hub, "here");
  const channel = await signaling.open({ signal: new AbortController().signal });
  strictEqual(signaling.size, 1);
  await channel.messages.cancel();
  strictEqual(signaling.size, 0);
  deepStrictEqual([...puppet.clients], []);
});
