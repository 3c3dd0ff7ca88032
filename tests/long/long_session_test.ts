/**
 * A day of a session whose client never stays where it is.
 *
 * @module
 */

import { liveLong } from "../support/long_session.ts";
import { firstSeed } from "./seeds.ts";

Deno.test("A session lives for 24 hours, moved every minute at 5 % loss, and nothing grows (RFC 9000 §9)", () => {
  const seed = firstSeed();
  const { virtualHours, moves, answers, lostPackets, keyUpdates, sentDatagrams, sentBytes, heapGrowthBytes } = liveLong(
    seed,
    24,
  );
  const parts = [
    `${virtualHours.toFixed(1)} virtual hours`,
    `${moves} moves`,
    `${answers} questions answered`,
    `${keyUpdates} changes of keys`,
    `${sentDatagrams} datagrams of ${(sentBytes / 1024 / 1024).toFixed(1)} MiB`,
    `${lostPackets} packets lost`,
    `the heap differs by ${(heapGrowthBytes / 1024).toFixed(0)} KiB`,
  ];
  console.log(`| a session of a day, moved every minute, 5 % loss | ${seed} | 0 | ${parts.join(", ")} |`);
});
