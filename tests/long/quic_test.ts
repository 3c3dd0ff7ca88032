/**
 * QUIC over harsh links, many seeds.
 *
 * @module
 */

import { Pair } from "../support/quic_pair.ts";
import { runOperations } from "../support/quic_operations.ts";
import { Transfer } from "../support/quic_transfer.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("QUIC keeps its promises through random operations (RFC 9000 §2, §3, §4, §9)", () => {
  forSeeds("QUIC, 300 random operations", 1500, (seed) => {
    const { virtualMs, streams, bytes, lostDatagrams } = runOperations(seed, 300);
    return {
      "virtual hours": virtualMs / 3_600_000,
      streams,
      "MiB": bytes / 1024 / 1024,
      "lost datagrams": lostDatagrams,
    };
  });
});

Deno.test("QUIC keeps its promises while paths come and go (RFC 9000 §9, draft-seemann-quic-nat-traversal-02)", () => {
  forSeeds("QUIC with NAT traversal, 300 random operations, moves and cuts", 1500, (seed) => {
    const { virtualMs, streams, bytes, lostDatagrams } = runOperations(seed, 300, { traverses: true });
    return {
      "virtual hours": virtualMs / 3_600_000,
      streams,
      "MiB": bytes / 1024 / 1024,
      "lost datagrams": lostDatagrams,
    };
  });
});

Deno.test("Every byte arrives once and in order at 10 to 40 % loss (RFC 9002)", () => {
  forSeeds("QUIC, 256 KiB each way at 10 to 40 % loss, 10 % duplicated, reordered", 1000, (seed) => {
    const totalBytes = 256 * 1024;
    const link = { latencyMs: seed % 100, loss: 0.1 + 0.3 * (seed % 31) / 30, duplication: 0.1, jitterMs: seed % 47 };
    const pair = new Pair({ seed, link, transport: { idleTimeoutMs: 600_000 } });
    const client = new Transfer(pair.client, totalBytes, { echo: false });
    const server = new Transfer(pair.server, totalBytes, { echo: true });
    const connection = pair.connect();
    pair.runUntil(() => connection.isEstablished);
    const id = connection.openStream("bidirectional")!;
    client.start(connection, id);
    pair.runUntil(() => client.ended.has(id) && server.ended.has(id), 200_000);
    return { "virtual hours": pair.now / 3_600_000, "datagrams": pair.sent.client + pair.sent.server };
  });
});
