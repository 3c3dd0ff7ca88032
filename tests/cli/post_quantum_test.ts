import { match, strictEqual } from "node:assert/strict";
import { Command, run } from "../support/command.ts";

Deno.test("connect --post-quantum: a call as any other, over sockets (draft-ietf-tls-ecdhe-mlkem-00)", async () => {
  const answer = await Deno.makeTempFile();
  const words = ["--signaling", "ticket", "--loopback", "--json", "--once", "--answer", answer];
  await using listener = new Command(["listen", ...words], { input: "to the caller" });
  const { ticket } = await listener.fact("ready");
  const call = ["connect", String(ticket), "--loopback", "--json", "--post-quantum"];
  await using caller = new Command(call, { input: "to the listener" });
  const told = await caller.fact("answer");
  await Deno.writeTextFile(answer, `${told["answer"]}\n`);
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  strictEqual(called.code, 0, called.stderr);
  strictEqual(listened.code, 0, listened.stderr);
  strictEqual(new TextDecoder().decode(called.stdout), "to the caller");
  strictEqual(new TextDecoder().decode(listened.stdout), "to the listener");
  await Deno.remove(answer);
});

Deno.test("connect --help says what --post-quantum is; who listens takes it unasked", async () => {
  const { stdout } = await run(["connect", "--help"]);
  match(new TextDecoder().decode(stdout), /--post-quantum {5}a key exchange against quantum computers/);
  strictEqual((await run(["listen", "--post-quantum"])).code, 2);
});
