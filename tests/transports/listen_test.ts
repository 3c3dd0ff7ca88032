import { rejects, strictEqual } from "node:assert/strict";
import { listen, memory } from "../../mod.ts";

Deno.test("A listener whose signaling has no URL is ready, and says that it has no ticket", async () => {
  const events: string[] = [];
  await using listener = listen({
    signaling: memory("no URL"),
    loopback: true,
    allow: { any: true, keys: [] },
    onEvent: ({ type }) => events.push(type),
  });
  await rejects(listener.ticket, /There is no ticket: signaling "memory" has no URL that a caller could use/);
  await listener.ready;
  strictEqual(events.includes("registered"), true);
});
