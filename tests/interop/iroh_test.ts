/**
 * Raw keys in both directions (RFC 7250) against iroh.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { IROH_PEER } from "./iroh.ts";
import { inNamespace } from "./namespace.ts";
import { peerTest } from "./peers.ts";

peerTest(IROH_PEER, "iroh exchanges 8 MiB each way with itself in a namespace", async () => {
  await using scenario = inNamespace("./iroh_scenario.ts", ["iroh-iroh"]);
  const done = await scenario.next("done");
  deepStrictEqual(done, { type: "done", echo: "ok", exchange: "ok", key: done["key"], accepted: done["key"] });
});
