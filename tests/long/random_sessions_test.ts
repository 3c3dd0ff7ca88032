/**
 * Random sessions, many seeds: everything that a connection may meet at once, and nothing that it says may get lost for good.
 *
 * @module
 */

import { runSession } from "../support/random_session.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("A session carries 1 MiB each way through bad weather, moves and key updates (RFC 9000, 9001, 9002)", () => {
  forSeeds(
    "QUIC sessions, 1 MiB each way on 12 streams and more, up to 30 % loss, moves, key updates",
    1000,
    (seed) => {
      const counts = runSession(seed);
      return {
        "virtual hours": counts.virtualMs / 3_600_000,
        streams: counts.streams,
        MiB: counts.receivedBytes / 1024 / 1024,
        "lost datagrams": counts.lostDatagrams,
        "corrupted ones": counts.corruptedDatagrams,
        "changes of path": counts.pathChanges,
        "of keys": counts.keyUpdates,
      };
    },
  );
});
