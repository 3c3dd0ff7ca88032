import { match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { dial, listen } from "../../mod.ts";
import type { TraversalEvent } from "../../mod.ts";
import { startHub } from "../support/command.ts";
import { direct } from "./direct_transport.ts";

const DIGEST = "ab".repeat(32);

Deno.test("listen and dial through the hub at a relay: by name, and by a ticket that has all of it", async () => {
  await using service = await startHub("--relay", "127.0.0.1:0");
  const via = String((await service.command.fact("ready"))["relay"]);
  const common = { loopback: true, transports: ["quic-native"] };
  await using listener = listen({
    ...common,
    via,
    signaling: "relay",
    name: "bob",
    allow: { any: true, keys: [] },
    maxSessions: 2,
  });
  const serving = (async (): Promise<void> => {
    for await (const session of listener) {
      for await (const { readable, writable } of session.incomingStreams) {
        // A caller that has read all of it may be gone before it has acknowledged the end.
        await readable.pipeTo(writable).catch(() => {});
      }
    }
  })();
  await listener.ready;
  for (const whom of [{ peer: "bob", signaling: "relay", via }, { peer: await listener.ticket }]) {
    const events: TraversalEvent[] = [];
    await using session = await dial({ ...common, ...whom, onEvent: (event) => events.push(event) });
    const { readable, writable } = await session.openStream();
    const reply = new Response(readable).text();
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("there and back"));
    await writer.close();
    strictEqual(await reply, "there and back");
    // The messages were not for the runner to carry.
    ok(events.some(({ type }) => type === "openChannel") && !events.some(({ type }) => type === "message"));
  }
  listener.close();
  await serving;
});

Deno.test("signaling relay needs the relay's URL, and a transport that can", async () => {
  throws(() => listen({ signaling: "relay" }), /^TypeError: Cannot signal through a relay: give its URL as via$/);
  await rejects(dial({ peer: "bob", signaling: "relay" }), TypeError);
  for (const url of ["https://127.0.0.1:9/signal", "https://127.0.0.1:9#12", "https://a:b@127.0.0.1:9", "https://"]) {
    throws(() => listen({ signaling: url }), /it is not https:\/\/HOST:PORT#SHA-256, as serve prints it/, url);
  }
  const via = `https://127.0.0.1:9#${DIGEST}`;
  throws(() => listen({ signaling: via, relay: "never" }), /Cannot use a relay under the relay policy never/);
  const call = dial({
    peer: "bob",
    signaling: via,
    transports: [direct()],
    candidates: [],
    loopback: true,
  });
  await rejects(call, (error) => {
    ok(error instanceof Error);
    match(error.message, /^The transport cannot signal through a relay: choose another of the two/);
    return true;
  });
});
