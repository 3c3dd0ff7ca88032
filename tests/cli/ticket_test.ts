import { match, strictEqual } from "node:assert/strict";
import { Command, run } from "../support/command.ts";
import type { CommandOptions } from "../support/command.ts";

/** Runs the command on a pseudo-terminal of its own: `script` of util-linux. Its output is the terminal's. */
function onTerminal(words: readonly string[]): Command {
  const options: CommandOptions = {
    // Quoted for the shell that script starts.
    shell: 'exec script --quiet --return --echo never --command "$(printf "\'%s\' " "$@")" /dev/null',
  };
  return new Command(words, options);
}

const hasScript = await new Deno.Command("script", { args: ["--version"] }).output().then(
  ({ success, stdout }) => success && new TextDecoder().decode(stdout).includes("util-linux"),
  () => false,
);

Deno.test("without a hub: the ticket goes one way, the answer comes back in --answer FILE", async () => {
  const answer = await Deno.makeTempFile();
  const words = ["--signaling", "ticket", "--loopback", "--json", "--once", "--answer", answer];
  await using listener = new Command(["listen", ...words], { input: "to the caller" });
  const { ticket } = await listener.fact("ready");
  match(String(ticket), /^TV\w{10,158}$/);
  // First somebody pastes the wrong string, and it is said.
  await Deno.writeTextFile(answer, `${ticket}\n`);
  match(String((await listener.fact("mispaste"))["message"]), /This is a ticket, not the answer to one/);
  await using caller = new Command(["connect", String(ticket), "--loopback", "--json"], { input: "to the listener" });
  const told = await caller.fact("answer");
  match(String(told["answer"]), /^TV\w{10,158}$/);
  await Deno.writeTextFile(answer, `${told["answer"]}\n`);
  const [called, listened] = await Promise.all([caller.ended(), listener.ended()]);
  strictEqual(called.code, 0, called.stderr);
  strictEqual(listened.code, 0, listened.stderr);
  strictEqual(new TextDecoder().decode(called.stdout), "to the caller");
  strictEqual(new TextDecoder().decode(listened.stdout), "to the listener");
  await Deno.remove(answer);
});

Deno.test("without a hub: an answer is no ticket to call", async () => {
  await using listener = new Command(["listen", "--signaling", "ticket", "--loopback", "--json"], { input: "" });
  const { ticket } = await listener.fact("ready");
  await using caller = new Command(["connect", String(ticket), "--loopback", "--json"], { input: "" });
  const { answer } = await caller.fact("answer");
  const { code, stderr } = await run(["connect", String(answer)]);
  strictEqual(code, 2);
  match(stderr, /^error: This is the answer to a ticket, not a ticket: paste it where the ticket was made/m);
});

Deno.test({
  name: "without a hub: the answer is the first line that is typed, what follows is data",
  // There is no pseudo-terminal without it.
  ignore: !hasScript,
  fn: async () => {
    await using listener = onTerminal(["listen", "--signaling", "ticket", "--loopback", "--once"]);
    const ticket = await listener.wrote(/connect (TV\w+)/);
    await listener.wrote(/paste the answer/);
    await listener.write("no answer\n");
    await listener.wrote(/answer is damaged|not an answer/);
    await using caller = new Command(["connect", ticket, "--loopback", "--json"], { input: "to the listener\n" });
    const { answer } = await caller.fact("answer");
    await listener.write(`${answer}\nto the caller\n`);
    await caller.fact("connected");
    await listener.wrote(/(to the listener)/);
    // Ctrl-D.
    await listener.write("\x04");
    const { code, stdout } = await caller.ended();
    strictEqual(code, 0, caller.log);
    strictEqual(new TextDecoder().decode(stdout), "to the caller\n");
    await listener.wrote(/(closed: 14 bytes sent, 16 bytes received)/);
  },
});
