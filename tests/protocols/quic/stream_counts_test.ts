import { strictEqual } from "node:assert/strict";
import { StreamCounts } from "../../../protocols/quic/stream_counts.ts";
import { directionalityOf, indexOf, initiatorOf, streamIdOf } from "../../../protocols/quic/stream_id.ts";

Deno.test("Stream IDs carry initiator and directionality in their low bits (RFC 9000 §2.1, Table 1)", () => {
  strictEqual(streamIdOf("client", "bidirectional", 0), 0);
  strictEqual(streamIdOf("server", "bidirectional", 0), 1);
  strictEqual(streamIdOf("client", "unidirectional", 0), 2);
  strictEqual(streamIdOf("server", "unidirectional", 5), 23);
  for (
    const [id, initiator, directionality, index] of [
      [0, "client", "bidirectional", 0],
      [5, "server", "bidirectional", 1],
      [2, "client", "unidirectional", 0],
      [0x400000003, "server", "unidirectional", 0x100000000],
    ] as const
  ) {
    strictEqual(initiatorOf(id), initiator);
    strictEqual(directionalityOf(id), directionality);
    strictEqual(indexOf(id), index);
    strictEqual(streamIdOf(initiator, directionality, index), id);
  }
});

Deno.test("StreamCounts says once that a wanted stream is blocked, and once that it is not (RFC 9000 §4.6)", () => {
  const counts = new StreamCounts(10);
  counts.block();
  strictEqual(counts.hasFrame, false); // There is no limit yet that could be said.
  counts.raise(2);
  strictEqual(counts.takeAvailable(), true);
  strictEqual(counts.takeAvailable(), false);
  counts.block();
  strictEqual(counts.hasFrame, true);
  strictEqual(counts.takeBlocked(), 2);
  counts.block();
  strictEqual(counts.hasFrame, false);
  counts.onBlockedLost(2);
  strictEqual(counts.hasFrame, true);
  counts.raise(2);
  strictEqual(counts.hasFrame, true);
  counts.raise(3);
  strictEqual(counts.hasFrame, false);
  strictEqual(counts.takeAvailable(), true);
});

Deno.test("StreamCounts allows more streams once a quarter of them has ended (RFC 9000 §4.6)", () => {
  const counts = new StreamCounts(8);
  counts.onRemoteEnded();
  strictEqual(counts.isUpdatePending, false);
  counts.onRemoteEnded();
  strictEqual(counts.isUpdatePending, true);
  strictEqual(counts.remoteMaximum, 8);
  strictEqual(counts.takeUpdate(), 10);
  strictEqual(counts.remoteMaximum, 10);
  counts.onUpdateLost(10);
  strictEqual(counts.isUpdatePending, true);
  counts.onRemoteEnded();
  strictEqual(counts.takeUpdate(), 11);
  counts.onUpdateLost(10);
  strictEqual(counts.isUpdatePending, false);

  const one = new StreamCounts(1);
  one.onRemoteEnded();
  strictEqual(one.takeUpdate(), 2);
});

Deno.test("StreamCounts that allowed none allow more when they are told to, and say it once (RFC 9000 §4.6)", () => {
  const counts = new StreamCounts(0);
  strictEqual(counts.hasFrame, false);
  counts.allow(100);
  strictEqual(counts.isUpdatePending, true);
  strictEqual(counts.remoteMaximum, 0);
  strictEqual(counts.takeUpdate(), 100);
  counts.allow(50);
  counts.allow(100);
  strictEqual(counts.hasFrame, false);
  counts.onUpdateLost(100);
  strictEqual(counts.takeUpdate(), 100);
});
