/**
 * What `iroh_test.ts` runs in a namespace: the first argument names the pair. Prints JSON, one object a line.
 *
 * @module
 */

import { irohClient, irohServer } from "./iroh.ts";

const [pair] = Deno.args;
const server = await irohServer();
await using _server = server.process;
switch (pair) {
  case "iroh-iroh": {
    await using client = irohClient(server.port, server.key);
    const done = await client.next("done");
    const accepted = await server.process.next("accepted");
    console.log(JSON.stringify({ ...done, accepted: accepted["peer"] }));
    break;
  }
  default:
    console.log(JSON.stringify({ type: "error", error: `There is no pair ${pair}` }));
}
