import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { CLIENT_ADDRESS, Pair, readAll, SERVER_ADDRESS } from "../../support/quic_pair.ts";
import { Transfer } from "../../support/quic_transfer.ts";

const OTHER_PORT = addressOf(CLIENT_ADDRESS.host, 61000);
const OTHER_HOST = addressOf("192.0.2.77", 50000);
const VICTIM = addressOf("203.0.113.50", 53);

Deno.test("Server follows a client whose NAT forgot it, in the middle of a transfer (RFC 9000 §9.3)", () => {
  for (const address of [OTHER_PORT, OTHER_HOST]) {
    for (let seed = 1; seed <= 5; seed++) {
      const pair = new Pair({ seed, link: { latencyMs: 20, loss: seed === 1 ? 0 : 0.1 } });
      const client = new Transfer(pair.client, 200_000, { echo: false });
      const server = new Transfer(pair.server, 200_000, { echo: true });
      const { client: connection, server: accepted } = pair.established();
      const id = connection.openStream("bidirectional")!;
      client.start(connection, id);
      pair.runTo(pair.now + 200);
      pair.rebindClient(address);
      pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 50_000);
      pair.runTo(pair.now + 2000);
      strictEqual(accepted.path.remote, address);
      strictEqual(accepted.path.isValidated, true);
      const types = pair.server.eventTypes.filter((type) => type.startsWith("path"));
      deepStrictEqual(types, ["pathChanged", "pathValidated"], `seed ${seed}`);
    }
  }
});

Deno.test("Client whose NAT moves it before it knows that the server is done is found again (RFC 9002 §6.2.4)", () => {
  for (const isFinishedLost of [false, true]) {
    const pair = new Pair({ link: { latencyMs: 20 }, transport: { idleTimeoutMs: 0 } });
    const client = pair.connect();
    pair.runUntil(() => client.isEstablished);
    if (isFinishedLost) pair.rebindClient(OTHER_PORT);
    pair.runUntil(() => pair.server.connections[0]?.state === "confirmed");
    // HANDSHAKE_DONE is on its way to where nobody is any more, and the server has no Handshake keys left.
    pair.rebindClient(OTHER_PORT);
    pair.runTo(pair.now + 3000);
    strictEqual(client.state, "confirmed");
    strictEqual(pair.server.connections[0]!.path.remote, OTHER_PORT);
    strictEqual(pair.server.connections[0]!.path.isValidated, true);
  }
});

Deno.test("Server that waits follows a client that has only a PING to say (RFC 9000 §9.3)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  pair.rebindClient(OTHER_PORT);
  client.ping();
  pair.runTo(pair.now + 1000);
  strictEqual(server.path.remote, OTHER_PORT);
  strictEqual(server.path.isValidated, true);
  const id = server.openStream("unidirectional")!;
  server.write(id, new Uint8Array(10));
  pair.runTo(pair.now + 100);
  strictEqual(readAll(client, id).length, 10);
});

Deno.test("Path is proven at full size, in a second step where the first had no leave for it (RFC 9000 §8.2.1)", () => {
  const pair = new Pair();
  const { client } = pair.established();
  pair.runTo(pair.now + 100);
  pair.rebindClient(OTHER_PORT);
  client.ping();
  const from = pair.trace.length;
  pair.runTo(pair.now + 500);
  const sizes = pair.trace.slice(from).filter((line) => line.includes("server")).map((line) =>
    Number(line.split(" ")[2])
  );
  // Three times the PING's datagram first; 1200 bytes once the address is proven.
  ok(sizes.some((bytes) => bytes < 200) && sizes.includes(1200), sizes.join());
});

Deno.test("Packets copied from another address do not carry the connection off (RFC 9000 §9.3.3)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  const id = client.openStream("unidirectional")!;
  let copies = 0;
  pair.filter = (from, bytes) => {
    // Somebody off the path is faster with the same packet than the client itself.
    if (from.name === "client" && copies < 3) {
      copies++;
      const { link } = pair;
      pair.link = { ...link, latencyMs: 1 };
      pair.inject(bytes, VICTIM, SERVER_ADDRESS);
      pair.link = link;
    }
    return true;
  };
  let read = 0;
  pair.server.onEvent = (connection, event) => {
    if (event.type === "streamReadable") read += readAll(connection, event.id).length;
  };
  for (let i = 0; i < 20; i++) {
    client.write(id, new Uint8Array(100));
    pair.runTo(pair.now + 100);
  }
  pair.runTo(pair.now + 5000);
  strictEqual(read, 2000);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
});

Deno.test("A victim whose address is used gets three times what came from there at most (RFC 9000 §9.3.1)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  const id = server.openStream("unidirectional")!;
  server.write(id, new Uint8Array(200_000));
  // The client is gone after one packet, which somebody sends on from the victim's address.
  let copied = 0;
  pair.filter = (from, bytes) => {
    if (from.name === "server") return true;
    if (copied === 0) {
      copied = bytes.length;
      pair.inject(bytes, VICTIM, SERVER_ADDRESS);
    }
    return false;
  };
  client.ping();
  pair.drain();
  const toVictim: number[] = [];
  pair.onSent = (to, bytes) => {
    if (to === VICTIM) toVictim.push(bytes.length);
  };
  pair.runTo(pair.now + 20_000);
  ok(copied > 0);
  ok(toVictim.reduce((sum, bytes) => sum + bytes, 0) <= 3 * copied, toVictim.join());
});

Deno.test("Connection goes back to its last proven path when the new one does not answer (RFC 9000 §9.3.2)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  let isCopied = false;
  pair.filter = (from, bytes) => {
    if (from.name === "client" && !isCopied) {
      isCopied = true;
      pair.inject(bytes, VICTIM, SERVER_ADDRESS);
      return false;
    }
    return true;
  };
  client.ping();
  pair.runUntil(() => server.path.remote === VICTIM);
  pair.filter = (from) => from.name === "server";
  pair.runTo(pair.now + 4000);
  strictEqual(server.path.remote, CLIENT_ADDRESS);
  pair.filter = () => true;
  client.ping();
  pair.runTo(pair.now + 5000);
  strictEqual(server.state, "confirmed");
  strictEqual(client.state, "confirmed");
});

Deno.test("Client drops what comes from an address of the server that it does not know (RFC 9000 §9)", () => {
  const pair = new Pair();
  const { client, server } = pair.established();
  pair.runTo(pair.now + 100);
  pair.filter = (from, bytes) => {
    if (from.name !== "server") return true;
    pair.inject(bytes, addressOf("198.51.100.2", 4433), CLIENT_ADDRESS);
    return false;
  };
  server.ping();
  pair.runTo(pair.now + 50);
  ok(pair.client.endpoint.drops.get("unknown path")! >= 1);
  strictEqual(client.path.remote, SERVER_ADDRESS);
});
