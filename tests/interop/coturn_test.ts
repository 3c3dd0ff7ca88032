/**
 * Our STUN client against coturn.
 *
 * @module
 */

import { notStrictEqual } from "node:assert/strict";
import { coturn, COTURN_PEER } from "./coturn.ts";
import { peerTest } from "./peers.ts";

peerTest(COTURN_PEER, "coturn answers on loopback", async () => {
  await using server = await coturn();
  notStrictEqual(server.port, 0);
});
