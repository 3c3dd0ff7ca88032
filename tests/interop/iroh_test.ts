/**
 * Raw keys in both directions (RFC 7250) against iroh.
 *
 * @module
 */

import { deepStrictEqual, match } from "node:assert/strict";
import { IROH_PEER } from "./iroh.ts";
import { inNamespace } from "./namespace.ts";
import { peerTest } from "./peers.ts";

peerTest(IROH_PEER, "iroh exchanges 8 MiB each way with itself in a namespace", async () => {
  const done = await scenario("iroh-iroh");
  deepStrictEqual(done, { type: "done", echo: "ok", exchange: "ok", key: done["key"], accepted: done["key"] });
});

peerTest(IROH_PEER, "Our client exchanges 8 MiB each way with iroh, raw keys both ways (RFC 7250)", async () => {
  const done = await scenario("ours-iroh");
  deepStrictEqual(done, { type: "done", key: done["key"], accepted: done["key"] });
});

peerTest(IROH_PEER, "Our server exchanges 8 MiB each way with iroh, raw keys both ways (RFC 7250)", async () => {
  const done = await scenario("iroh-ours");
  deepStrictEqual(done, { type: "done", echo: "ok", exchange: "ok", key: done["key"], accepted: done["key"] });
});

peerTest(IROH_PEER, "Our client refuses an iroh endpoint that has another key", async () => {
  const done = await scenario("ours-iroh-other-key");
  match(String(done["error"]), /handshake failed/);
});

async function scenario(pair: string): Promise<Readonly<Record<string, unknown>>> {
  await using process = inNamespace("./iroh_scenario.ts", [pair]);
  return await process.next("done");
}
