import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  CLIENT_ADDRESS,
  CLIENT_KEY,
  Pair,
  rawKeyTls,
  SERVER_ADDRESS,
  SERVER_KEY,
  testKey,
} from "../../support/quic_pair.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import { NODE_AEAD_BACKEND } from "../../../protocols/crypto/node_aead.ts";
import { PacketHeader, writeRetryWithoutTag } from "../../../protocols/quic/packet.ts";
import {
  deriveInitialSecrets,
  INITIAL_SUITE,
  PacketOpener,
  retryIntegrityTag,
} from "../../../protocols/quic/packet_protection.ts";
import { rawPublicKeyCredential } from "../../../protocols/tls/certificates.ts";
import { checkConnectionIds } from "../../../protocols/quic/handshake.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { DEFAULT_TRANSPORT_PARAMETERS } from "../../../protocols/quic/transport_parameters.ts";

Deno.test("Handshake completes whichever one datagram of it is lost (RFC 9002 §6.2)", () => {
  for (let lost = 0; lost < 8; lost++) {
    const pair = new Pair({ link: { latencyMs: 50 } });
    let count = 0;
    pair.filter = () => count++ !== lost;
    const { client, server } = pair.established();
    ok(pair.now < 2500, `datagram ${lost}: ${pair.now} ms`);
    strictEqual(client.isEstablished && server.isEstablished, true);
  }
});

Deno.test("Handshake completes at 50 % loss, seeds 1 to 50 (RFC 9002 §6.2)", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const pair = new Pair({ seed, link: { latencyMs: 20, loss: 0.5, jitterMs: 10, duplication: 0.2 } });
    try {
      pair.established({ transport: { ...pair.transport, idleTimeoutMs: 0 } });
    } catch (error) {
      // A server whose client is lost for 30 s gives up, which is no fault: so only a silent hang counts.
      if (!pair.client.eventTypes.includes("closed") && !pair.server.eventTypes.includes("closed")) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  }
});

Deno.test("Probe timeouts of a first flight that nobody answers back off: 999 ms, then twice (RFC 9002 §6.2)", () => {
  const pair = new Pair();
  pair.filter = () => false;
  pair.connect();
  pair.runTo(16_000);
  const times = pair.trace.map((line) => Number(line.split(" ")[0]));
  // kInitialRtt of 333 ms makes the first timeout 333 + 4 * 166.5.
  deepStrictEqual([...new Set(times)], [0, 999, 2997, 6993, 14985]);
  ok(pair.trace.every((line) => line.includes(" 1200")));
});

Deno.test("Server sends three times what it received and no more before the address is validated (RFC 9000 §8.1)", () => {
  const pair = new Pair();
  let fromClient = 0;
  pair.filter = (from) => from.name === "server" || fromClient++ === 0;
  pair.connect();
  pair.runTo(20_000);
  ok(pair.sentBytes.server <= 3600, `${pair.sentBytes.server}`);
  ok(pair.sentBytes.server >= 2400);
});

Deno.test("Every datagram with an Initial has 1200 bytes (RFC 9000 §14.1)", () => {
  const pair = new Pair({ seed: 4, link: { loss: 0.3 } });
  let initials = 0;
  pair.filter = (_from, bytes) => {
    if ((bytes[0]! & 0xf0) === 0xc0) {
      initials++;
      strictEqual(bytes.length, 1200);
    }
    return true;
  };
  pair.established();
  ok(initials >= 3);
});

Deno.test("Client that presents another key is refused, and the server tells it nothing (RFC 9001 §4.8)", () => {
  const pair = new Pair({ clientTls: rawKeyTls(testKey("somebody"), SERVER_KEY) });
  const client = pair.connect();
  pair.runUntil(() => client.closeReason !== undefined);
  strictEqual(client.closeReason?.by, "peer");
  strictEqual(client.closeReason?.code, 0x100 + 46);
  strictEqual(pair.server.eventTypes.includes("handshakeComplete"), false);
  strictEqual(pair.server.connections[0]!.closeReason?.by, "transport");
});

Deno.test("Server that presents another key is refused (RFC 9001 §4.8)", () => {
  const pair = new Pair({ clientTls: rawKeyTls(CLIENT_KEY, testKey("somebody")) });
  const client = pair.connect();
  pair.runUntil(() => client.closeReason !== undefined && pair.server.connections[0]?.closeReason !== undefined);
  deepStrictEqual([client.closeReason?.by, client.closeReason?.code], ["transport", 0x100 + 46]);
  deepStrictEqual(pair.server.connections[0]!.closeReason?.by, "peer");
  strictEqual(pair.client.eventTypes.includes("handshakeComplete"), false);
});

Deno.test("Server opens no stream and takes no data before the client's Finished (RFC 9001 §5.7)", () => {
  const pair = new Pair({ link: { latencyMs: 20 } });
  // The client's second flight is late; until then the server has its keys and must not use them.
  let fromClient = 0;
  pair.filter = (from) => from.name === "server" || fromClient++ === 0;
  pair.connect();
  pair.runTo(100);
  const server = pair.server.connections[0]!;
  strictEqual(server.state, "handshaking");
  strictEqual(server.openStream("bidirectional"), undefined);
  strictEqual(server.sendDatagram(new Uint8Array(1)), false);
});

Deno.test("Verdict about the peer is awaited, and what came meanwhile is kept (design: verifyPeer)", () => {
  const tls = rawKeyTls(SERVER_KEY, undefined);
  for (const accepted of [true, false]) {
    const pair = new Pair({ serverTls: { ...tls, peer: { ...tls.peer, ask: true } } });
    const client = pair.connect();
    pair.runUntil(() => client.isEstablished);
    const id = client.openStream("unidirectional")!;
    client.write(id, new Uint8Array(100));
    pair.runUntil(() => pair.server.eventTypes.includes("verifyPeer"));
    pair.runTo(pair.now + 200);
    const server = pair.server.connections[0]!;
    strictEqual(server.state, "handshaking");
    strictEqual(pair.server.eventTypes.includes("streamReadable"), false);
    server.provideVerdict(accepted ? { accepted: true } : { accepted: false, alert: "access_denied" }, pair.now);
    pair.runTo(pair.now + 500);
    strictEqual(server.state, accepted ? "confirmed" : server.state);
    strictEqual(pair.server.eventTypes.includes("streamReadable"), accepted);
    if (!accepted) strictEqual(client.closeReason?.code, 0x100 + 49);
  }
});

Deno.test("Signature by a key that is elsewhere is awaited, on either side (design: sign)", () => {
  for (const side of ["client", "server"] as const) {
    const own = side === "client" ? CLIENT_KEY : SERVER_KEY;
    const { sign: _, ...credential } = rawPublicKeyCredential(own);
    const clientTls = rawKeyTls(CLIENT_KEY, SERVER_KEY);
    const serverTls = rawKeyTls(SERVER_KEY, CLIENT_KEY);
    const pair = new Pair({
      link: { latencyMs: 20 },
      clientTls: side === "client" ? { ...clientTls, credentials: [credential] } : clientTls,
      serverTls: side === "server" ? { ...serverTls, credentials: [credential] } : serverTls,
    });
    const client = pair.connect();
    const peer = pair[side];
    pair.runUntil(() => peer.eventTypes.includes("sign"));
    const asked = peer.events.find(({ event }) => event.type === "sign")!;
    // Timers go on meanwhile; half a second is nothing for a person with a security key.
    pair.runTo(pair.now + 500);
    strictEqual(client.state === "confirmed", false);
    if (asked.event.type !== "sign") throw new Error("It is not the event");
    asked.connection.provideSignature(own.sign(asked.event.input), pair.now);
    pair.runUntil(() => client.state === "confirmed");
  }
});

Deno.test("Key log has the secrets of both sides alike, if it is asked for", () => {
  const clientTls = { ...rawKeyTls(CLIENT_KEY, SERVER_KEY), keyLog: true };
  const serverTls = { ...rawKeyTls(SERVER_KEY, CLIENT_KEY), keyLog: true };
  const pair = new Pair({ clientTls, serverTls });
  pair.established();
  const logOf = (peer: typeof pair.client): string[] =>
    peer.events.flatMap(({ event }) => event.type === "keyLog" ? [`${event.label} ${event.secret}`] : []).sort();
  strictEqual(logOf(pair.client).length, 5);
  deepStrictEqual(logOf(pair.client), logOf(pair.server));
});

Deno.test("Both ends export the same keying material (RFC 8446 §7.5)", () => {
  const { client, server } = new Pair().established();
  const context = new Uint8Array([1, 2, 3]);
  deepStrictEqual(
    client.exportKeyingMaterial("EXPORTER-test", context, 32),
    server.exportKeyingMaterial("EXPORTER-test", context, 32),
  );
});

/** A Retry that answers `initial`, with another source connection ID and a token. */
function retryFor(initial: Uint8Array, source: string, token: string): Uint8Array {
  const writer = new Writer(new Uint8Array(256));
  writeRetryWithoutTag(writer, {
    destinationConnectionId: initial.slice(15, 23),
    sourceConnectionId: fromHex(source),
    token: fromHex(token),
  });
  writer.bytes(retryIntegrityTag(NODE_AEAD_BACKEND, initial.slice(6, 14), writer.written()));
  return writer.written().slice();
}

Deno.test("Client follows one Retry that is authentic, with its token and new keys (RFC 9000 §17.2.5.2)", () => {
  const pair = new Pair();
  const sent: Uint8Array[] = [];
  pair.filter = (_from, bytes) => {
    sent.push(bytes);
    return false;
  };
  const client = pair.connect();
  pair.drain();
  const [initial] = sent;
  const forged = retryFor(initial!, "5555555555555555", "beef");
  forged[forged.length - 1]! ^= 1;
  const sameId = retryFor(initial!, toHex(initial!.slice(6, 14)), "beef");
  const withoutToken = retryFor(initial!, "5555555555555555", "");
  for (const bad of [forged, sameId, withoutToken]) pair.inject(bad, SERVER_ADDRESS, CLIENT_ADDRESS);
  pair.runTo(50);
  strictEqual(sent.length, 1);
  strictEqual(pair.client.endpoint.drops.get("unexpected Retry"), 3);

  pair.inject(retryFor(initial!, "5555555555555555", "c0ffee"), SERVER_ADDRESS, CLIENT_ADDRESS);
  pair.inject(retryFor(initial!, "6666666666666666", "c0ffee"), SERVER_ADDRESS, CLIENT_ADDRESS);
  pair.runTo(70);
  strictEqual(sent.length, 2);
  strictEqual(pair.client.endpoint.drops.get("unexpected Retry"), 4);
  const [, again] = sent;
  const header = new PacketHeader();
  strictEqual(header.read(again!, 0, 1200), undefined);
  deepStrictEqual([toHex(header.destinationConnectionId), toHex(header.token)], ["5555555555555555", "c0ffee"]);
  // Under keys of the new ID, and with a number that goes on: RFC 9000 §17.2.5.3.
  const opener = new PacketOpener(
    NODE_AEAD_BACKEND,
    INITIAL_SUITE,
    deriveInitialSecrets(fromHex("5555555555555555")).client,
  );
  strictEqual(opener.open(again!.slice(), 0, header.payloadStart, header.end, 0), true);
  strictEqual(opener.packetNumber, 1);
  strictEqual(client.state, "handshaking");
});

Deno.test("Connection IDs of the handshake are authenticated (RFC 9000 §7.3)", () => {
  const id = (byte: number): Uint8Array => new Uint8Array(8).fill(byte);
  const parameters = {
    ...DEFAULT_TRANSPORT_PARAMETERS,
    initialSourceConnectionId: id(1),
    originalDestinationConnectionId: id(2),
    retrySourceConnectionId: id(3),
  };
  const seen = { peerSource: id(1), originalDestination: id(2), retrySource: id(3) };
  const isRefused = (role: "client" | "server", changed: Partial<typeof parameters & typeof seen>): boolean => {
    try {
      const { peerSource = id(1), originalDestination = id(2), retrySource = id(3) } = changed;
      checkConnectionIds(role, { ...parameters, ...changed }, { peerSource, originalDestination, retrySource });
      return false;
    } catch (error) {
      return error instanceof TransportError && error.code === 0x08;
    }
  };
  strictEqual(isRefused("client", {}), false);
  strictEqual(isRefused("client", { peerSource: id(9) }), true);
  strictEqual(isRefused("client", { originalDestination: id(9) }), true);
  strictEqual(isRefused("client", { retrySource: id(9) }), true);
  strictEqual(isRefused("server", { peerSource: id(9) }), true);
  const { retrySourceConnectionId: _, ...withoutRetry } = parameters;
  throwsParameterError(() => checkConnectionIds("client", withoutRetry, seen));
  const { retrySource: __, ...unseen } = seen;
  throwsParameterError(() => checkConnectionIds("client", parameters, unseen));
});

function throwsParameterError(action: () => void): void {
  try {
    action();
  } catch (error) {
    strictEqual(error instanceof TransportError && error.code, 0x08);
    return;
  }
  throw new Error("Nothing was thrown");
}
