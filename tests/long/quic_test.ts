/**
 * Random operations over harsh links, many seeds.
 *
 * @module
 */

import { runOperations } from "../support/quic_operations.ts";
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
