import { match, ok, strictEqual } from "node:assert/strict";
import { authority, dnsName, ipAddress, server } from "../support/certificate_chain.ts";
import { Command, run } from "../support/command.ts";

const WORDS = ["--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--json"];
const DAY_MS = 86_400_000;

/** Files of a chain for `localhost` that is valid now, and of its authority. */
async function chainFiles(
  folder: string,
): Promise<{ readonly cert: string; readonly key: string; readonly ca: string }> {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
  const root = authority("Root", validity);
  const middle = authority("Middle", { issuer: root, ...validity });
  const leaf = server(middle, { names: [dnsName("localhost"), ipAddress(127, 0, 0, 1)], ...validity });
  const [cert, key, ca] = [`${folder}/cert.pem`, `${folder}/key.pem`, `${folder}/ca.pem`];
  await Promise.all([
    Deno.writeTextFile(cert, leaf.pem + middle.pem),
    Deno.writeTextFile(key, leaf.keyPem),
    Deno.writeTextFile(ca, root.pem),
  ]);
  return { cert, key, ca };
}

async function startRelay(...words: readonly string[]): Promise<{ readonly service: Command; readonly port: string }> {
  const service = new Command(["serve", "--relay", "127.0.0.1:0", ...words, ...WORDS]);
  const { relay } = await service.fact("ready");
  ok(Array.isArray(relay), service.log);
  return { service, port: new URL(String(relay[0])).port };
}

Deno.test("a relay by its name: its chain is verified with --ca, and refused without", async () => {
  const folder = await Deno.makeTempDir();
  {
    const { cert, key, ca } = await chainFiles(folder);
    const { service, port } = await startRelay("--cert", cert, "--cert-key", key);
    await using _ = service;
    // The name has an IPv6 address too, maybe, where nobody answers: the other one is tried as well.
    const words = ["listen", "--via", `https://localhost:${port}`, "--loopback", "--json", "--once"];
    const [trusting, wary] = await Promise.all([
      (async (): Promise<string> => {
        await using listener = new Command([...words, "--ca", ca], { input: "by name" });
        const { ticket } = await listener.fact("ready");
        const { code, stdout, stderr } = await run(["connect", String(ticket), "--loopback"]);
        strictEqual(code, 0, stderr + listener.log);
        return new TextDecoder().decode(stdout);
      })(),
      run(words),
    ]);
    strictEqual(trusting, "by name");
    strictEqual(wary.code, 1);
    const { stderr } = wary;
    match(stderr, /The relay https:\/\/localhost:\d+ opened no port: the relay's certificate is refused: no authority/);
    match(stderr, /those of the runtime may not be read: give --allow-sys, or --ca FILE/);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("--ca that is no certificate, or a relay whose name nobody knows: exit code 1 and one line", async () => {
  const folder = await Deno.makeTempDir();
  {
    const file = `${folder}/ca.pem`;
    await Deno.writeTextFile(file, "nothing\n");
    const [noCertificate, nobody] = await Promise.all([
      run(["listen", "--via", "https://localhost:1", "--loopback", "--ca", file]),
      run(["listen", "--via", "https://relay.invalid", "--loopback"]),
    ]);
    ok(noCertificate.code > 0);
    match(noCertificate.stderr, /^error: Cannot trust an authority: there is no certificate in PEM/m);
    strictEqual(nobody.code, 1);
    match(nobody.stderr, /^error: The relay https:\/\/relay\.invalid opened no port: nobody knows the name/m);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("--via twice: one relay that is gone does not hold up the other, and its ticket is good", async () => {
  const { service: gone, port: gonePort } = await startRelay();
  const { relay: relays } = await gone.fact("ready");
  await gone[Symbol.asyncDispose]();
  const { service } = await startRelay("--relay-token", "sesame");
  await using _ = service;
  const { relay } = await service.fact("ready");
  ok(Array.isArray(relay) && Array.isArray(relays) && String(relays[0]).includes(gonePort));
  const words = [
    "--via",
    String(relays[0]),
    "--via",
    String(relay[0]),
    "--via-token",
    "other",
    "--via-token",
    "sesame",
  ];
  await using listener = new Command(["listen", ...words, "--loopback", "--json", "--once"], { input: "by the other" });
  const { ticket } = await listener.fact("ready");
  const { code, stdout, stderr } = await run(["connect", String(ticket), "--loopback"]);
  strictEqual(code, 0, stderr + listener.log);
  strictEqual(new TextDecoder().decode(stdout), "by the other");
});

Deno.test("--via twice: both relays carry callers, and one that ends takes nothing with it", async () => {
  const [{ service: first }, { service: second }] = await Promise.all([startRelay(), startRelay()]);
  await using _ = first;
  await using __ = second;
  const urls = await Promise.all([first, second].map(async (service) => {
    const { relay } = await service.fact("ready");
    return Array.isArray(relay) ? String(relay[0]) : "";
  }));
  const words = urls.flatMap((url) => ["--via", url]);
  await using listener = new Command(["listen", ...words, "--loopback", "--json", "--echo"]);
  const { ticket } = await listener.fact("ready");
  const call = async (): Promise<void> => {
    const { code, stdout, stderr } = await run(["connect", String(ticket), "--loopback"], { input: "hello" });
    strictEqual(code, 0, stderr + listener.log);
    strictEqual(new TextDecoder().decode(stdout), "hello");
  };
  await call();
  await first[Symbol.asyncDispose]();
  await call();
});
