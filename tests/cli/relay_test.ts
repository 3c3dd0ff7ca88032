import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Command, run, startHub } from "../support/command.ts";
import type { RunningHub } from "../support/command.ts";

/** A service with a relay on loopback, and the relay's URL. */
async function startRelay(
  ...words: readonly string[]
): Promise<{ readonly service: RunningHub; readonly via: string }> {
  const service = await startHub("--relay", "127.0.0.1:0", ...words);
  const { relay } = await service.command.fact("ready");
  ok(Array.isArray(relay) && relay.length === 1, service.command.log);
  const via: unknown = relay[0];
  match(String(via), /^https:\/\/127\.0\.0\.1:\d+#[0-9a-f]{64}$/);
  return { service, via: String(via) };
}

function kindOf(path: unknown): unknown {
  return typeof path === "object" && path !== null && "kind" in path ? path.kind : undefined;
}

Deno.test("listen --via needs no hub: the ticket is all, the session is relayed at first and direct soon", async () => {
  const { service, via } = await startRelay();
  await using _ = service;
  const data = new Uint8Array(3_000_000).map((_, i) => i % 251);
  const words = ["--transport", "quic-native", "--loopback", "--json"];
  await using listener = new Command(["listen", "--via", via, "--once", "--echo", ...words]);
  const ready = await listener.fact("ready");
  deepStrictEqual(Object.keys(ready), ["type", "ticket"]);
  match(String(ready["ticket"]), /^TV\w{10,158}$/);
  // Without --transport: a ticket of this kind says which.
  await using caller = new Command(["connect", String(ready["ticket"]), "--loopback", "--json"]);
  const connected = await caller.fact("connected");
  deepStrictEqual(Object.keys(connected), ["type", "transport", "peer", "path", "ms"]);
  strictEqual(connected["transport"], "quic-native");
  strictEqual(kindOf(connected["path"]), "relayed");
  strictEqual(kindOf((await listener.fact("connected"))["path"]), "relayed");
  for (const side of [caller, listener]) {
    const path = await side.fact("path");
    deepStrictEqual(Object.keys(path), ["type", "kind", "ms"]);
    strictEqual(path["kind"], "direct");
    ok(Number(path["ms"]) > 0, side.log);
  }
  // The server is in nobody's way any more.
  await service[Symbol.asyncDispose]();
  await caller.write(data);
  await caller.endInput();
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  deepStrictEqual([called.code, listened.code], [0, 0], caller.log + listener.log);
  deepStrictEqual(called.stdout, data);
  for (const line of called.stderr.trim().split("\n")) JSON.parse(line);
});

Deno.test("people are told that the path is direct, in words", async () => {
  const { service, via } = await startRelay("--relay-token", "sesame");
  await using _ = service;
  await using listener = new Command(["listen", "--via", via, "--via-token", "sesame", "--loopback", "--once"]);
  await listener.said(/opening a port at the relay[\s\S]*connect TV\w+\n/);
  const ticket = /connect (TV\w+)/.exec(listener.log)![1]!;
  await using caller = new Command(["connect", ticket, "--loopback"]);
  await Promise.all([caller, listener].map(async (side) => {
    await side.said(/connected to \w+ by quic-native, relayed [\s\S]*the path is direct, \d+ ms after the start/);
    await side.endInput();
  }));
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  deepStrictEqual([called.code, listened.code], [0, 0], caller.log + listener.log);
});

Deno.test("a relay with another token, with another certificate or not there at all: exit code 1 and one line", async () => {
  const { service, via } = await startRelay("--relay-token", "sesame");
  await using _ = service;
  const { via: gone, service: stopped } = await startRelay();
  await stopped[Symbol.asyncDispose]();
  const other = via.replace(/.{8}$/, (end) => end === "00000000" ? "11111111" : "00000000");
  const listen = ["listen", "--loopback", "--via"];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[via], /asks for another token/],
    [[via, "--via-token", "guess"], /asks for another token/],
    [[other, "--via-token", "sesame"], /another certificate than the pinned one/],
    [[gone], /no answer within 8 s/],
  ];
  await Promise.all(cases.map(async ([words, reason]) => {
    const { code, stdout, stderr } = await run([...listen, ...words]);
    strictEqual(code, 1, stderr);
    strictEqual(stdout.length, 0);
    const [error, ...rest] = stderr.trim().split("\n").filter((line) => line !== "opening a port at the relay ...");
    deepStrictEqual(rest, []);
    match(error!, /^error: The relay https:\/\/127\.0\.0\.1:\d+ opened no port: .*; check that it runs, and --via/);
    match(error!, reason);
  }));
});

Deno.test("a ticket whose relay is gone: exit code 1, and whom to ask", async () => {
  const { service, via } = await startRelay();
  await using listener = new Command(["listen", "--via", via, "--loopback", "--json"]);
  const { ticket } = await listener.fact("ready");
  await service[Symbol.asyncDispose]();
  const { code, stderr } = await run(["connect", String(ticket), "--loopback"]);
  strictEqual(code, 1, stderr);
  match(stderr, /^error: No connection: nobody answered at the relayed address 127\.0\.0\.1:\d+; ask the peer/m);
});

Deno.test("a listener with a key that comes back finds its port at the relay, and its ticket holds", async () => {
  const folder = await Deno.makeTempDir();
  const key = `${folder}/key`;
  {
    strictEqual((await run(["identity", "--key", key])).code, 0);
    const { service, via } = await startRelay();
    await using _ = service;
    const words = ["listen", "--via", via, "--key", key, "--loopback", "--json", "--once"];
    const first = new Command(words);
    const { ticket } = await first.fact("ready");
    await first[Symbol.asyncDispose]();
    await using second = new Command(words, { input: "here again" });
    strictEqual((await second.fact("ready"))["ticket"], ticket, second.log);
    const { code, stdout, stderr } = await run(["connect", String(ticket), "--loopback"]);
    strictEqual(code, 0, stderr);
    strictEqual(new TextDecoder().decode(stdout), "here again");
    // Another key gets another port.
    await using other = new Command(["listen", "--via", via, "--loopback", "--json"]);
    notStrictEqual((await other.fact("ready"))["ticket"], ticket);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("with a hub besides, a listener at a relay is called by name, or by the hub's ticket", async () => {
  const { service, via } = await startRelay();
  await using _ = service;
  const words = [...service.peerWords, "--transport", "quic-native"];
  await using listener = new Command(
    ["listen", "--via", via, ...words, "--name", "bob", "--allow", "any", "--echo"],
  );
  const { ticket, name } = await listener.fact("ready");
  strictEqual(name, "bob");
  // Whose transport does not reach it is told.
  const unable = await run(["connect", "bob", ...service.peerWords, "--transport", "ice-then-quic"]);
  strictEqual(unable.code, 1);
  match(unable.stderr, /the peer tells only its address at a relay; call it with quic-native/);
  const unwilling = await run(["connect", "bob", ...service.peerWords, "--relay", "never"]);
  strictEqual(unwilling.code, 1);
  match(unwilling.stderr, /our relay policy, never, takes no way through one: allow it with --relay until-direct/);
  for (const peer of ["bob", String(ticket)]) {
    await using caller = new Command(["connect", peer, ...words]);
    const connected = await caller.fact("connected");
    strictEqual(connected["transport"], "quic-native");
    strictEqual(kindOf(connected["path"]), "relayed");
    await caller.fact("path");
    await caller.write(`to ${peer}`);
    await caller.endInput();
    const { code, stdout } = await caller.ended();
    strictEqual(code, 0, caller.log + listener.log);
    strictEqual(new TextDecoder().decode(stdout), `to ${peer}`);
  }
});

Deno.test("a second caller of a listener through a relay is told busy", async () => {
  const { service, via } = await startRelay();
  await using _ = service;
  await using listener = new Command(["listen", "--via", via, "--loopback", "--json"], { input: "for the first" });
  const { ticket } = await listener.fact("ready");
  await using first = new Command(["connect", String(ticket), "--loopback", "--json"]);
  await first.fact("connected");
  const second = await run(["connect", String(ticket), "--loopback"]);
  strictEqual(second.code, 1, second.stderr);
  match(second.stderr, /busy/);
  await first.endInput();
  strictEqual((await first.ended()).code, 0, first.log);
});

Deno.test("serve --relay starts without a token on loopback only", async () => {
  const { code, stderr } = await run([
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--stun",
    "127.0.0.1:0",
    "--relay",
    "0.0.0.0:0",
  ]);
  strictEqual(code, 1);
  match(stderr, /^error: Cannot open a relay on 0\.0\.0\.0:0: everybody could use it; give --relay-token/m);
});

Deno.test("options of relays that do not go together are wrong usage", async () => {
  const via = `https://127.0.0.1:9#${"ab".repeat(32)}`;
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["listen", "--via", "http://relay.example"], /it is not https:\/\/HOST:PORT#SHA-256, as serve prints it/],
    [["listen", "--via", via.slice(0, -1)], /what follows # is not a SHA-256 in hexadecimal, of 64 digits/],
    [["listen", "--via", via, "--via-token", "a", "--via-token", "b"], /once for all relays, or once for each --via/],
    [["listen", "--via", via, "--signaling", "ticket"], /--via needs no --signaling ticket/],
    [["listen", "--via", via, "--name", "bob"], /--name is for the hub: give --signaling besides --via/],
    [["listen", "--via", via, "--transport", "ice-then-quic"], /Cannot use ice-then-quic through a relay/],
    [["listen", "--via-token", "sesame", "--signaling", "ticket"], /--via-token goes with --via/],
    [["listen", "--signaling", "ticket", "--transport", "quic-native"], /--transport quic-native goes with --via/],
    [["listen", "--signaling", "ticket", "--relay", "required"], /--relay required goes with --via/],
    [["listen", "--via", via, "--relay", "never"], /--relay never does not go with --via/],
    [
      ["connect", "bob", "--relay", "sometimes"],
      /--relay takes never, signal-only, until-direct, allowed, required, not/,
    ],
    [["connect", "bob", "--relay", "never", "--transport", "quic-native"], /does not go with --transport quic-native/],
    [["connect", "bob", "--relay", "required", "--transport", "ice-then-quic"], /ice-then-quic, which uses none/],
  ];
  await Promise.all(cases.map(async ([words, error]) => {
    const { code, stderr } = await run(words);
    strictEqual(code, 2, stderr);
    match(stderr, /^error: [^\n]*\n$/);
    match(stderr, error);
  }));
});

Deno.test("--relay required keeps a session at the relay, on whichever side; signal-only connects when it is direct", async () => {
  const { service, via } = await startRelay();
  await using _ = service;
  const cases: readonly (readonly [listener: readonly string[], caller: readonly string[], kind: string])[] = [
    [["--relay", "required"], [], "relayed"],
    [[], ["--relay", "required"], "relayed"],
    [[], ["--relay", "signal-only"], "direct"],
  ];
  for (const [ours, theirs, kind] of cases) {
    await using listener = new Command(["listen", "--via", via, "--loopback", "--json", "--echo", ...ours]);
    const { ticket } = await listener.fact("ready");
    await using caller = new Command(["connect", String(ticket), "--loopback", "--json", ...theirs]);
    strictEqual(kindOf((await caller.fact("connected"))["path"]), kind);
    await caller.write("hello");
    await caller.endInput();
    const { code, stdout } = await caller.ended();
    strictEqual(code, 0, caller.log + listener.log);
    strictEqual(new TextDecoder().decode(stdout), "hello");
    strictEqual(caller.log.includes('"type":"path"'), false, caller.log);
  }
});
