import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { Command, run, startHub } from "../support/command.ts";
import type { RunningHub } from "../support/command.ts";

/** A port that is free for TCP and UDP. */
function freePort(): number {
  for (let i = 0; i < 20; i++) {
    using tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    try {
      Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: tcp.addr.port }).close();
      return tcp.addr.port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("There is no port that is free for both");
}

/** A service whose hub and relay have one port, TCP and UDP. */
async function startService(
  ...words: readonly string[]
): Promise<{ readonly service: RunningHub; readonly via: string }> {
  const place = `127.0.0.1:${freePort()}`;
  const service = await startHub("--listen", place, "--relay", place, ...words);
  const { relay } = await service.command.fact("ready");
  ok(Array.isArray(relay) && relay.length === 1, service.command.log);
  return { service, via: String(relay[0]) };
}

async function echo(caller: Command, text: string): Promise<void> {
  await caller.write(text);
  await caller.endInput();
  const { code, stdout } = await caller.ended();
  strictEqual(code, 0, caller.log);
  strictEqual(new TextDecoder().decode(stdout), text);
}

Deno.test("--signaling relay: called by name and by ticket, by those who ask the relay and by those with a WebSocket", async () => {
  const { service, via } = await startService();
  await using _ = service;
  const common = ["--loopback", "--json"];
  const native = ["--transport", "quic-native"];
  const byRelay = ["--signaling", "relay", "--via", via];
  const listener = new Command(["listen", ...byRelay, ...common, "--name", "bob", "--allow", "any", "--echo"]);
  await using __ = listener;
  const { ticket, name } = await listener.fact("ready");
  strictEqual(name, "bob");
  match(String(ticket), /^TV\w{10,158}$/);
  const ways: readonly (readonly [string, readonly string[]])[] = [
    ["bob", byRelay],
    ["bob", ["--signaling", service.url, ...native]],
    // The relay's URL says as much, and the ticket says all.
    ["bob", ["--signaling", via, ...native]],
    [String(ticket), native],
  ];
  for (const [peer, words] of ways) {
    await using caller = new Command(["connect", peer, ...words, ...common]);
    await caller.fact("connected");
    await echo(caller, `to ${peer} ${words[1]}`);
  }
});

Deno.test("--signaling relay: a listener with a WebSocket is found", async () => {
  const { service, via } = await startService();
  await using _ = service;
  await using listener = new Command(["listen", ...service.peerWords, "--name", "bob", "--allow", "any", "--echo"]);
  await listener.fact("ready");
  await using caller = new Command(["connect", "bob", "--signaling", via, "--loopback", "--json"]);
  await caller.fact("connected");
  await echo(caller, "hello");
});

Deno.test("--signaling relay: with a wrong token, without a hub, or with nobody there, one line says why", async () => {
  const { service, via } = await startService("--token", "sesame");
  await using _ = service;
  const byRelay = ["--signaling", "relay", "--via", via, "--loopback"];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["connect", "bob", ...byRelay], /the answer is 401, a --token is asked for/],
    [["connect", "bob", ...byRelay, "--token", "guess"], /the answer is 401, another --token is asked for/],
    [["listen", "--name", "bob", ...byRelay, "--via-token", "sesame"], /the answer is 401, a --token is asked for/],
    [["connect", "bob", ...byRelay, "--token", "sesame"], /Nobody is registered as bob/],
  ];
  await Promise.all(cases.map(async ([words, error]) => {
    const { code, stderr } = await run(words);
    strictEqual(code, 1, stderr);
    match(stderr, error);
  }));
});

Deno.test("--signaling relay goes with --via, and names a relay", async () => {
  const via = `https://127.0.0.1:9#${"ab".repeat(32)}`;
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["connect", "bob", "--signaling", "relay"], /--via and --signaling relay go together/],
    [["connect", "bob", "--via", via], /--via and --signaling relay go together/],
    [["listen", "--signaling", "relay"], /--signaling relay goes with --via, the URL of the relay/],
    [["connect", "bob", "--signaling", "https://127.0.0.1:9/x"], /it is not https:\/\/HOST:PORT#SHA-256/],
  ];
  for (const [words, error] of cases) {
    const { code, stderr } = await run(words);
    deepStrictEqual([code, stderr.split("\n").length], [2, 2], stderr);
    match(stderr, error);
  }
});
