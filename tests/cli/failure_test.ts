import { match, ok, strictEqual } from "node:assert/strict";
import { call, Command, run, startHub, startListener } from "../support/command.ts";
import type { Ended } from "../support/command.ts";

/** One line that says what, why and what to try; an exit code; nothing on stdout. */
function checkFailure(
  { code, stdout, stderr }: Ended,
  expected: { readonly code: number; readonly error: RegExp },
): void {
  strictEqual(code, expected.code, stderr);
  strictEqual(stdout.length, 0);
  const errors = stderr.split("\n").filter((line) => line.startsWith("error: ") || line.startsWith('{"type":"error"'));
  strictEqual(errors.length, 1, stderr);
  match(errors[0]!, expected.error);
}

Deno.test("wrong usage is exit code 2, and says what to write instead", async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["listen"], /--signaling is missing: the URL of a hub, or ticket/],
    [["listen", "--signaling", "http://x"], /http/],
    [["listen", "--signaling", "ticket", "extra"], /one word too many/],
    [["listen", "--signaling", "ws://127.0.0.1:9", "--answer", "/x"], /--answer goes with --signaling ticket/],
    [
      ["listen", "--signaling", "ws://127.0.0.1:9", "--allow", "nobody/at/all"],
      /--allow takes a key, a file of keys, or any, not "nobody\/at\/all"/,
    ],
    [["connect"], /ticket or name to call is missing/],
    [["connect", "bob"], /Cannot call bob: give signaling/],
    [["connect", "bob", "--signaling", "ws://127.0.0.1:9", "--transport", "pigeon"], /pigeon.*ice-then-quic/],
    [
      ["connect", "bob", "--signaling", "ws://127.0.0.1:9", "--idle", "soon"],
      /--idle takes a whole number from 1 to 3600/,
    ],
    [["connect", "bob@nonsense", "--signaling", "ws://127.0.0.1:9"], /not a key of 44 characters/],
    [["connect", "What is this?"], /neither a ticket nor a name/],
    [["candidates", "--stun", "not a server"], /not HOST:PORT/],
    [["serve", "--cert", "/x"], /--cert and --cert-key go together/],
    [["serve", "--listen", "nowhere"], /nowhere/],
    [["identity"], /--key FILE is missing/],
    [["demo", "--size", "0"], /--size takes a whole number from 1/],
  ];
  await Promise.all(cases.map(async ([words, error]) => checkFailure(await run(words), { code: 2, error })));
});

Deno.test("a ticket with a typo and a string that never was a ticket get different errors, both of usage", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, []);
  await using _ = listener;
  const last = ticket.at(-1) === "a" ? "b" : "a";
  const [typo, foreign] = await Promise.all([
    run(["connect", ticket.slice(0, -1) + last]),
    run(["connect", "node" + "a4c2".repeat(30)]),
  ]);
  checkFailure(typo, { code: 2, error: /This ticket is damaged: a character is missing or wrong/ });
  checkFailure(foreign, { code: 2, error: /neither a ticket nor a name, tickets begin with TV/ });
  ok(!foreign.stderr.includes("damaged"), foreign.stderr);
});

Deno.test("nobody of that name, nobody admitted, a token that is wrong, a hub that is not there: exit code 1", async () => {
  await using hub = await startHub();
  const { listener } = await startListener(hub, ["--name", "bob"]);
  await using _ = listener;
  await using guarded = await startHub("--token", "secret");
  const words = ["--loopback", "--signaling", guarded.url];
  const [unknown, denied, wrong, down] = await Promise.all([
    run(["connect", "alice", ...hub.peerWords]),
    run(["connect", "bob", ...hub.peerWords]),
    run(["connect", "bob", ...words, "--token", "guess"]),
    run(["connect", "bob", "--loopback", "--signaling", "ws://127.0.0.1:9"]),
  ]);
  checkFailure(unknown, {
    code: 1,
    error: /Nobody is registered as alice.*is the other side listening there.*unknown/,
  });
  checkFailure(denied, { code: 1, error: /bob does not admit our key \w+: ask for a ticket or for --allow.*denied/ });
  checkFailure(wrong, { code: 1, error: /another --token is asked for/ });
  checkFailure(down, { code: 1, error: /127\.0\.0\.1:9.*refused.*is the hub running, and the URL right/i });
  // A listener does not try for ever what cannot come right.
  const [held, unheard] = await Promise.all([
    run(["listen", ...hub.peerWords, "--name", "bob"]),
    run(["listen", ...words, "--json", "--token", "guess"]),
  ]);
  checkFailure(held, { code: 1, error: /The name bob is held by another key.*choose another --name/ });
  checkFailure(unheard, { code: 1, error: /another --token is asked for/ });
  // With the token it would have been heard.
  const right = await run(["connect", "bob", ...words, "--token", "secret"]);
  checkFailure(right, { code: 1, error: /Nobody is registered as bob/ });
});

Deno.test("our own ticket is refused", async () => {
  const path = await Deno.makeTempFile();
  await Deno.remove(path);
  strictEqual((await run(["identity", "--key", path])).code, 0);
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, ["--key", path]);
  await using _ = listener;
  checkFailure(await run(["connect", ticket, "--loopback", "--key", path]), {
    code: 1,
    error: /this is our own key, use another --key on one side/,
  });
  await Deno.remove(path);
});

Deno.test("a peer that vanishes without FIN is exit code 1 when the idle timeout is over", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, ["--once", "--idle", "2"]);
  await using _ = listener;
  await using caller = call(hub, ticket, ["--idle", "2"]);
  await Promise.all([caller.fact("connected"), listener.fact("connected")]);
  listener.kill("SIGKILL");
  const { code, stderr } = await caller.ended();
  strictEqual(code, 1, stderr);
  match(stderr, /"type":"closed"/);
  match(stderr, /"type":"error","message":"The peer has vanished \(Nothing was heard for 2000 ms\)/);
});

Deno.test("Ctrl-C ends a session at both ends at once", async () => {
  await using hub = await startHub();
  for (const [who, signal] of [["caller", "SIGINT"], ["listener", "SIGTERM"]] as const) {
    const { listener, ticket } = await startListener(hub, ["--once", "--idle", "3600"]);
    await using _ = listener;
    await using caller = call(hub, ticket, ["--idle", "3600"]);
    await Promise.all([caller.fact("connected"), listener.fact("connected")]);
    (who === "caller" ? caller : listener).kill(signal);
    const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
    strictEqual(called.code, 1, called.stderr);
    strictEqual(listened.code, 1, listened.stderr);
    const told = who === "caller" ? listened : called;
    match(told.stderr, /The peer closed the session \(code 1, interrupted\)/);
  }
});

Deno.test("Ctrl-C ends a listener that waits, and a call that has not come through", async () => {
  await using hub = await startHub();
  const { listener } = await startListener(hub, []);
  await using _ = listener;
  listener.kill("SIGINT");
  strictEqual((await listener.ended()).code, 0, listener.log);
  await using waiting = new Command(["listen", "--signaling", "ws://127.0.0.1:9", "--loopback"]);
  await waiting.said("trying again");
  waiting.kill("SIGINT");
  strictEqual((await waiting.ended()).code, 0, waiting.log);
  await using calling = new Command(["connect", "bob", "--signaling", "ws://127.0.0.1:9", "--loopback"]);
  await calling.said("calling");
  calling.kill("SIGINT");
  checkFailure(await calling.ended(), { code: 1, error: /Interrupted/ });
});

Deno.test("whoever reads our stdout may go: exit code 1, and the peer is told why", async () => {
  await using hub = await startHub();
  const data = new Uint8Array(4 * 1024 * 1024).fill(120);
  const { listener, ticket } = await startListener(hub, ["--once"], { input: data });
  await using _ = listener;
  // POSIX sh has no pipefail: the command's own code is told on descriptor 3.
  await using caller = call(hub, ticket, [], {
    input: "",
    shell: 'exec 3>&2; { "$@"; echo "code $?" >&3; } | head -c 10',
  });
  const { stdout, stderr } = await caller.ended();
  strictEqual(new TextDecoder().decode(stdout), "xxxxxxxxxx");
  match(stderr, /Cannot write to stdout: the program that reads it has ended/);
  match(stderr, /code 1\n/);
  const listened = await listener.ended();
  strictEqual(listened.code, 1);
  match(listened.stderr, /The peer (?:closed the session|does not want the rest)/);
});

Deno.test({
  name: "a disk that is full is exit code 1, and says so",
  // Other systems have no device that is always full.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using hub = await startHub();
    const { listener, ticket } = await startListener(hub, ["--once"], { input: "too much" });
    await using _ = listener;
    await using caller = call(hub, ticket, [], { input: "", shell: '"$@" > /dev/full' });
    const { code, stderr } = await caller.ended();
    strictEqual(code, 1, stderr);
    match(stderr, /Cannot write to stdout: No space left on device.*is the disk full/);
  },
});

Deno.test("a permission that is missing is named", async () => {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-env=WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE",
      "mod.ts",
      "candidates",
    ],
    cwd: new URL("../../", import.meta.url),
  });
  const { code, stderr } = await process.output();
  strictEqual(code, 1);
  match(new TextDecoder().decode(stderr), /^error: .*--allow-net/m);
});
