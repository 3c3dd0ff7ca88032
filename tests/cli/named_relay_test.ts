import { match, ok, strictEqual } from "node:assert/strict";
import { Command, run, type RunningHub, startHub } from "../support/command.ts";

/** Looks at the metrics of a service until something has happened there: each takes a millisecond or more. */
const MAX_LOOKS = 2000;

/** Calls of one listener: each takes a good part of a second. */
const MAX_CALLS = 10;

async function portsOf(hub: RunningHub): Promise<number> {
  const response = await fetch(new URL("/metrics", hub.url.replace("ws:", "http:")));
  return Number(/^traverse_relay_ports (\d+)$/m.exec(await response.text())?.[1]);
}

/** The listener has its address there soon after it is registered. */
async function untilBound(hub: RunningHub): Promise<void> {
  for (let tries = 0; tries < MAX_LOOKS; tries++) if (await portsOf(hub) === 1) return;
  throw new Error(`Nobody has a port at the relay: ${hub.command.log}`);
}

/** Calls until it goes through: the relay has the listener's address a moment before the hub has. */
async function connectedBy(words: readonly string[]): Promise<[Command, Awaited<ReturnType<Command["fact"]>>]> {
  for (let tries = 1;; tries++) {
    const caller = new Command(words);
    try {
      return [caller, await caller.fact("connected")];
    } catch (error) {
      await caller[Symbol.asyncDispose]();
      if (tries === MAX_CALLS || !caller.log.includes("The peer has no address at a relay")) throw error;
    }
  }
}

Deno.test("a hub that has a relay names it: who listens there needs no option to be reached through it", async () => {
  await using hub = await startHub("--relay", "127.0.0.1:0");
  const words = ["listen", "--name", "bob", "--allow", "any", "--once", ...hub.peerWords];
  await using listener = new Command(words, { input: "through the hub's relay" });
  const { ticket } = await listener.fact("ready");
  await untilBound(hub);
  // Whoever insists on a relay gets one too, with the ticket of the hub.
  const [caller, connected] = await connectedBy(["connect", String(ticket), "--relay", "required", ...hub.peerWords]);
  await using _caller = caller;
  strictEqual(connected["transport"], "quic-native", caller.log);
  match(JSON.stringify(connected["path"]), /"kind":"relayed"/);
  await caller.endInput();
  const { code, stdout } = await caller.ended();
  strictEqual(code, 0, caller.log);
  strictEqual(new TextDecoder().decode(stdout), "through the hub's relay");
});

Deno.test("who listens with --relay never uses no relay that a hub names", async () => {
  await using hub = await startHub("--relay", "127.0.0.1:0");
  const words = ["listen", "--name", "bob", "--allow", "any", "--once", "--relay", "never", ...hub.peerWords];
  await using listener = new Command(words, { input: "directly" });
  await listener.fact("ready");
  const { code, stdout, stderr } = await run(["connect", "bob", ...hub.peerWords]);
  strictEqual(code, 0, stderr);
  strictEqual(new TextDecoder().decode(stdout), "directly");
  strictEqual(await portsOf(hub), 0);
});

Deno.test("a hub names a relay elsewhere that has its secret, and none of its own that asks for more than the hub", async () => {
  const secret = ["--relay-secret", "0123456789abcdef"];
  await using elsewhere = await startHub("--relay", "127.0.0.1:0", ...secret);
  const { relay } = await elsewhere.command.fact("ready");
  ok(Array.isArray(relay), elsewhere.command.log);
  await using hub = await startHub("--relay-url", String(relay[0]), ...secret);
  await using listener = new Command(["listen", ...hub.peerWords], { input: "" });
  await listener.fact("ready");
  await untilBound(elsewhere);
  await using guarded = await startHub("--relay", "127.0.0.1:0", "--relay-token", "sesame");
  await using other = new Command(["listen", ...guarded.peerWords], { input: "" });
  await other.fact("ready");
  strictEqual(await portsOf(guarded), 0);
});

Deno.test("serve --relay-anyone: a relay on any address, for listeners at the hub and for nobody without its word", async () => {
  await using hub = await startHub("--relay", "0.0.0.0:0", "--relay-anyone");
  const { relay } = await hub.command.fact("ready");
  ok(Array.isArray(relay) && relay.length > 0, hub.command.log);
  const via = String(relay.at(-1));
  match(via, /^https:\/\/127\.0\.0\.1:/);
  const refused = await run(["listen", "--via", via, "--loopback"]);
  strictEqual(refused.code, 1);
  match(refused.stderr, /opened no port: the relay asks for another token/);
  await using listener = new Command(["listen", ...hub.peerWords], { input: "" });
  await listener.fact("ready");
  await untilBound(hub);
});
