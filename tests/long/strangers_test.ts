/**
 * Strangers, many seeds: a million datagrams at QUIC endpoints, others at whole nodes and at a relay, and peers that have the keys and say almost the right thing.
 *
 * @module
 */

import { keyedStorm } from "../support/keyed_storm.ts";
import { DOORS, quicStorm } from "../support/quic_storm.ts";
import { stormedCall, stormedRelay } from "../support/stormed_nodes.ts";
import { forSeeds } from "./seeds.ts";

Deno.test("A million datagrams of strangers harm no QUIC connection (RFC 9000 §21)", () => {
  forSeeds("strangers without keys, 1,000 datagrams at QUIC endpoints", 1000, (seed) => {
    const door = DOORS[seed % DOORS.length] ?? "open";
    const { datagrams, honestConnections, strangersConnections, answers } = quicStorm(seed, door, 1000);
    return {
      datagrams,
      "honest connections": honestConnections,
      "connections begun by strangers": strangersConnections,
      answers,
    };
  });
});

Deno.test("Peers that have the keys and damage what they say are borne, or told why not (RFC 9000 §11, §20)", () => {
  forSeeds("peers with keys that damage their packets before sealing, either end", 2000, (seed) => {
    const { datagrams, damaged, code, isEstablished } = keyedStorm(seed, seed % 2 === 0 ? "client" : "server");
    return {
      datagrams,
      damaged,
      [code === undefined ? "borne" : "closed with a code"]: 1,
      "handshakes completed": Number(isEstablished),
    };
  });
});

Deno.test("Strangers around calls and relays harm nothing (RFC 8489 §16, RFC 9298 §7)", () => {
  forSeeds("strangers around a call and around a relay", 100, (seed) => ({
    "datagrams at a call": stormedCall(seed),
    "datagrams at a relay": stormedRelay(seed),
  }));
});
