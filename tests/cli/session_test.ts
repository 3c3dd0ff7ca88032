import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { call, Command, run, startHub, startListener } from "../support/command.ts";
import type { Fact } from "../support/command.ts";
import { seededRandom } from "../support/seeded_random.ts";

const MIB = 1024 * 1024;

function bytes(count: number, seed: number): Uint8Array<ArrayBuffer> {
  return seededRandom(seed).fill(new Uint8Array(count));
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

function isAddress(value: unknown): boolean {
  return typeof value === "string" && /^127\.0\.0\.1:\d+$/.test(value);
}

function keysOf(value: unknown): string[] {
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

function checkConnected(fact: Fact): void {
  deepStrictEqual(Object.keys(fact), ["type", "transport", "peer", "path", "ms"]);
  strictEqual(fact["transport"], "ice-then-quic");
  match(String(fact["peer"]), /^\w{43,44}$/);
  const { path } = fact;
  deepStrictEqual(keysOf(path), ["kind", "local", "remote"]);
  ok(typeof path === "object" && path !== null && "kind" in path && "local" in path && "remote" in path);
  strictEqual(path.kind, "direct");
  ok(isAddress(path.local) && isAddress(path.remote), JSON.stringify(path));
}

Deno.test("listen and connect carry both directions by ticket, tell --json as documented, and leave stdout to the data", async () => {
  await using hub = await startHub();
  const [toCaller, toListener] = [bytes(300_000, 1), bytes(200_000, 2)];
  const { listener, ticket } = await startListener(hub, ["--once"], { input: toCaller });
  await using _ = listener;
  await using caller = call(hub, ticket, [], { input: toListener });
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  deepStrictEqual([called.code, listened.code], [0, 0], caller.log + listener.log);
  deepStrictEqual(called.stdout, toCaller);
  deepStrictEqual(listened.stdout, toListener);
  for (const command of [caller, listener]) {
    const { type } = await command.fact("connected");
    strictEqual(type, "connected");
    checkConnected(await command.fact("connected"));
    for (const line of (command === caller ? called : listened).stderr.trim().split("\n")) JSON.parse(line);
  }
  deepStrictEqual(Object.keys(await listener.fact("ready")), ["type", "ticket"]);
  const { ms: reached } = await caller.fact("connected");
  deepStrictEqual(keysOf(reached), ["gathered", "signaled", "checked", "handshake"]);
  const closed = await caller.fact("closed");
  deepStrictEqual(Object.keys(closed), ["type", "sent", "received", "ms"]);
  deepStrictEqual([closed["sent"], closed["received"]], [200_000, 300_000]);
  deepStrictEqual(keysOf(closed["ms"]), ["gathered", "signaled", "checked", "handshake", "firstByte"]);
  const told = await listener.fact("closed");
  deepStrictEqual([told["sent"], told["received"]], [300_000, 200_000]);
});

Deno.test("connect and listen end well when neither has anything to say", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, ["--once"], { input: "" });
  await using _ = listener;
  await using caller = call(hub, ticket, [], { input: "" });
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  deepStrictEqual([called.code, listened.code], [0, 0], caller.log + listener.log);
  deepStrictEqual([called.stdout.length, listened.stdout.length], [0, 0]);
  const { sent, received, ms } = await caller.fact("closed");
  deepStrictEqual([sent, received], [0, 0]);
  // There was none.
  ok(!keysOf(ms).includes("firstByte"), caller.log);
});

Deno.test("a file of 64 MiB goes one way, and nothing the other", async () => {
  await using hub = await startHub();
  const file = bytes(64 * MIB, 3);
  const { listener, ticket } = await startListener(hub, ["--once"], { input: file });
  await using _ = listener;
  await using caller = call(hub, ticket, [], { input: "" });
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  deepStrictEqual([called.code, listened.code], [0, 0], caller.log + listener.log);
  deepStrictEqual(await digest(called.stdout), await digest(file));
});

async function digest(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

Deno.test("--echo returns every byte, then FIN, to several callers at once, and reads no stdin", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, ["--echo"], { input: "not for anybody" });
  await using _ = listener;
  await Promise.all([10, 20_000, 400_000].map(async (count, seed) => {
    const data = bytes(count, seed);
    await using caller = call(hub, ticket, [], { input: data });
    const { code, stdout } = await caller.ended();
    strictEqual(code, 0, caller.log);
    deepStrictEqual(stdout, data);
  }));
  listener.kill("SIGINT");
  const { code, stdout } = await listener.ended();
  strictEqual(code, 0, listener.log);
  strictEqual(stdout.length, 0);
  strictEqual(listener.facts("connected").length, 3);
  strictEqual(listener.facts("closed").length, 3);
});

Deno.test("a listener without --once serves one caller after another; a second at the same time is told busy", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, [], { input: "for the first only" });
  await using _ = listener;
  await using first = call(hub, ticket, []);
  await first.fact("connected");
  const second = await run(["connect", ticket, ...hub.peerWords]);
  strictEqual(second.code, 1);
  match(second.stderr, /"type":"error".*busy.*try again later.*"reason":"busy"/);
  await first.endInput();
  const ended = await first.ended();
  strictEqual(ended.code, 0, first.log);
  strictEqual(text(ended.stdout), "for the first only");
  await listener.fact("closed");
  const third = await run(["connect", ticket, ...hub.peerWords], { input: "more" });
  strictEqual(third.code, 0, third.stderr);
  listener.kill("SIGTERM");
  const { code, stdout } = await listener.ended();
  strictEqual(code, 0, listener.log);
  strictEqual(text(stdout), "more");
});

Deno.test("a hub that goes away takes no session with it", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, ["--once", "--echo"]);
  await using _ = listener;
  await using caller = call(hub, ticket, []);
  await Promise.all([caller.fact("connected"), listener.fact("connected")]);
  await hub[Symbol.asyncDispose]();
  await caller.write("still there");
  await caller.wrote(/still there/);
  await caller.endInput();
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  deepStrictEqual([called.code, listened.code], [0, 0], caller.log + listener.log);
});

Deno.test("demo sends data both ways between processes, and tells the result on stdout", async () => {
  const { code, stdout, stderr } = await run(["demo", "--size", "1", "--json"]);
  strictEqual(code, 0, stderr);
  const results = text(stdout).trim().split("\n").map((line) => JSON.parse(line));
  deepStrictEqual(results.map(({ transport, bytes, sha256 }) => [transport, bytes, sha256]), [
    ["auto", MIB, "ok"],
    ["ice-then-quic", MIB, "ok"],
    ["quic-native", MIB, "ok"],
  ]);
  for (const { connectMs, mbps } of results) ok(connectMs > 0 && mbps > 0, text(stdout));
  const common = ["transport", "bytes", "sha256", "connectMs", "mbps"];
  // Which of its two ways is first on this machine, chance decides.
  deepStrictEqual(results.slice(1).map((result) => Object.keys(result)), [common, [...common, "directMs"]]);
  ok(results[2].directMs > results[2].connectMs, text(stdout));
});

Deno.test("demo's last lines tell people when the session left the relay", async () => {
  const { code, stdout, stderr } = await run(["demo", "--size", "1", "--transport", "quic-native"]);
  strictEqual(code, 0, stderr);
  const ms = String.raw`\d+(?:\.\d)? ms`;
  match(
    text(stdout),
    new RegExp(`SHA-256 ok.*\nquic-native: relayed from ${ms} on,.*\nquic-native: direct {2}from ${ms} on,.*\n$`),
  );
});

Deno.test("people are told what happens, in words", async () => {
  await using hub = await startHub();
  const words = hub.peerWords.filter((word) => word !== "--json");
  await using listener = new Command(["listen", ...words, "--once"], { input: "" });
  await listener.said(/connect TV\w+\n/);
  const ticket = /connect (TV\w+)/.exec(listener.log)![1]!;
  const { code, stdout, stderr } = await run(["connect", ticket, ...words]);
  strictEqual(code, 0, stderr);
  strictEqual(stdout.length, 0);
  match(
    stderr,
    /calling[\s\S]*looking for the peer[\s\S]*connected to \w+ by ice-then-quic, direct[\s\S]*closed: 0 bytes sent/,
  );
});
