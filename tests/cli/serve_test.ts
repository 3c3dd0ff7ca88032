import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { Command, run, startHub, startListener } from "../support/command.ts";
import { selfSignedCertificate } from "../support/certificate.ts";

Deno.test("serve runs with no options: hub on 8080, STUN on 3478 of every address", async () => {
  await using hub = new Command(["serve", "--json"]);
  const ready = await hub.fact("ready").catch(() => undefined);
  if (ready === undefined) {
    // Somebody else has one of the ports: then this is said, and nothing else can be tested here.
    const { code, stderr } = await hub.ended();
    strictEqual(code, 1);
    match(stderr, /Cannot listen on .*(?:8080|3478)/);
    return;
  }
  deepStrictEqual(Object.keys(ready), ["type", "url", "stun"]);
  match(String(ready["url"]), /^ws:\/\/(?!0\.0\.0\.0)\d+\.\d+\.\d+\.\d+:8080\/signal$/);
  ok(Array.isArray(ready["stun"]) && ready["stun"].includes("127.0.0.1:3478"), hub.log);
  strictEqual(await (await fetch("http://127.0.0.1:8080/health")).text(), "ok\n");
  // Two hubs on one machine: the second says what is in the way.
  const second = await run(["serve"]);
  strictEqual(second.code, 1);
  match(second.stderr, /^error: Cannot listen on .*(?:3478|8080).*\n$/m);
  hub.kill("SIGINT");
  const { code, stdout } = await hub.ended();
  deepStrictEqual([code, stdout.length], [0, 0]);
});

Deno.test("serve counts for Prometheus what clients do", async () => {
  await using hub = await startHub();
  const { listener, ticket } = await startListener(hub, ["--once"], { input: "" });
  await using _ = listener;
  strictEqual((await run(["connect", ticket, ...hub.peerWords])).code, 0);
  const url = new URL("/metrics", hub.url.replace("ws:", "http:"));
  const response = await fetch(url);
  match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  match(await response.text(), /^traverse_hub_listeners \d+$/m);
});

Deno.test("serve with a certificate is wss:, and its clients trust it by DENO_CERT or --ca", async () => {
  const folder = await Deno.makeTempDir();
  const { pem, keyPem } = selfSignedCertificate("P-256");
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  await Promise.all([Deno.writeTextFile(cert, pem), Deno.writeTextFile(key, keyPem)]);
  {
    await using hub = await startHub("--cert", cert, "--cert-key", key);
    match(hub.url, /^wss:\/\/127\.0\.0\.1:\d+\/signal$/);
    const env = { DENO_CERT: cert };
    const { listener, ticket } = await startListener(hub, ["--once"], { input: "over TLS", env });
    await using _ = listener;
    const [trusting, wary] = await Promise.all([
      run(["connect", ticket, ...hub.peerWords, "--ca", cert]),
      run(["connect", "bob", ...hub.peerWords]),
    ]);
    strictEqual(trusting.code, 0, trusting.stderr);
    strictEqual(new TextDecoder().decode(trusting.stdout), "over TLS");
    strictEqual(wary.code, 1);
    match(wary.stderr, /certificate/i);
    const missing = await run(["serve", "--cert", "/nowhere.pem", "--cert-key", key]);
    strictEqual(missing.code, 1);
    match(missing.stderr, /^error: .*\/nowhere\.pem/m);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("candidates shows host candidates, and what a STUN server says or that it does not answer", async () => {
  await using hub = await startHub();
  const [found, people] = await Promise.all([
    run(["candidates", "--loopback", "--stun", hub.stun, "--json"]),
    run(["candidates", "--loopback", "--stun", hub.stun]),
  ]);
  strictEqual(found.code, 0, found.stderr);
  strictEqual(found.stdout.length, 0);
  const lines = found.stderr.trim().split("\n").map((line) => JSON.parse(line));
  deepStrictEqual(lines.map(({ type, kind }) => [type, kind]), [["candidate", "host"], ["nat", undefined]]);
  strictEqual(lines[0].address, lines[0].base);
  // By a server with one address (RFC 5780 §4.3, §4.4).
  deepStrictEqual(
    [lines[1].isMapped, lines[1].mapping, lines[1].filtering],
    [false, "not port-dependent", "not port-dependent"],
  );
  match(
    people.stderr,
    /^host {2}127\.0\.0\.1:\d+ from 127\.0\.0\.1:\d+\nno NAT, not port-dependent filtering, .*\nno server saw us under another address/,
  );
});
