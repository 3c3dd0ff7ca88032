import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { call, run, startHub, startListener } from "../support/command.ts";

/** A folder of files for one test. */
class Folder implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync();

  file(name: string, text?: string): string {
    const path = `${this.path}/${name}`;
    if (text !== undefined) Deno.writeTextFileSync(path, text);
    return path;
  }

  /** Makes a key file; returns its path and its public key. */
  async key(name: string): Promise<{ readonly path: string; readonly key: string }> {
    const path = this.file(name);
    const { stdout } = await run(["identity", "--key", path]);
    return { path, key: new TextDecoder().decode(stdout).trim() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

Deno.test("identity makes a key that only its owner may read, shows it again, and says so with --json", async () => {
  await using folder = new Folder();
  const { path, key } = await folder.key("me.key");
  match(key, /^\w{43,44}$/);
  if (Deno.build.os !== "windows") strictEqual((await Deno.stat(path)).mode! & 0o777, 0o600);
  const again = await run(["identity", "--key", path, "--json"]);
  deepStrictEqual(JSON.parse(again.stderr), { type: "identity", key, isNew: false });
  strictEqual(again.code, 0);
  const other = folder.file("other.txt", "not a key");
  const refused = await run(["identity", "--key", other]);
  strictEqual(refused.code, 1);
  match(
    refused.stderr,
    /^error: Cannot read key: .*other\.txt is not a key file of ours; name another, or remove it\n$/,
  );
});

Deno.test("a name is answered to whom --allow names: any, a key, a file of keys; nobody else", async () => {
  await using folder = new Folder();
  await using hub = await startHub();
  const [alice, mallory] = await Promise.all([folder.key("alice.key"), folder.key("mallory.key")]);
  const friends = folder.file("friends", `# my friends\n${alice.key} Alice\n`);
  for (const [name, allow] of [["any", "any"], ["key", alice.key], ["file", friends]] as const) {
    const { listener } = await startListener(hub, ["--name", name, "--allow", allow, "--echo"]);
    await using _ = listener;
    const [friend, stranger] = await Promise.all([
      run(["connect", name, ...hub.peerWords, "--key", alice.path], { input: name }),
      run(["connect", name, ...hub.peerWords, "--key", mallory.path]),
    ]);
    strictEqual(friend.code, 0, friend.stderr);
    strictEqual(new TextDecoder().decode(friend.stdout), name);
    strictEqual(stranger.code, allow === "any" ? 0 : 1, stranger.stderr);
    if (allow !== "any") {
      match(stranger.stderr, /"reason":"denied"/);
      const refused = await listener.fact("refused");
      deepStrictEqual([refused["reason"], refused["caller"]], ["denied", mallory.key]);
    }
    strictEqual(
      (await listener.fact("connected"))["peer"],
      allow === "any" ? listener.facts("connected")[0]!["peer"] : alice.key,
    );
  }
});

Deno.test("NAME@KEY calls that key and no other", async () => {
  await using folder = new Folder();
  await using hub = await startHub();
  const [bob, eve] = await Promise.all([folder.key("bob.key"), folder.key("eve.key")]);
  const { listener } = await startListener(hub, ["--name", "bob", "--allow", "any", "--echo", "--key", bob.path]);
  await using _ = listener;
  await using right = call(hub, `bob@${bob.key}`, [], { input: "hello" });
  const { code, stdout } = await right.ended();
  strictEqual(code, 0, right.log);
  strictEqual(new TextDecoder().decode(stdout), "hello");
  strictEqual((await right.fact("connected"))["peer"], bob.key);
  const wrong = await run(["connect", `bob@${eve.key}`, ...hub.peerWords]);
  strictEqual(wrong.code, 1);
  match(wrong.stderr, /Nobody is registered as bob with the key/);
});

Deno.test("--known FILE pins the first key of a name; another key later is refused with both shown", async () => {
  await using folder = new Folder();
  await using hub = await startHub();
  const [bob, eve] = await Promise.all([folder.key("bob.key"), folder.key("eve.key")]);
  const known = folder.file("known");
  const words = ["--name", "bob", "--allow", "any", "--once"];
  const connect = ["connect", "bob", ...hub.peerWords, "--known", known];
  for (let i = 0; i < 2; i++) {
    const { listener } = await startListener(hub, [...words, "--key", bob.path], { input: "" });
    await using _ = listener;
    const { code, stderr } = await run(connect);
    strictEqual(code, 0, stderr);
    await listener.ended();
  }
  const pinned = await Deno.readTextFile(known);
  strictEqual(pinned, `bob ${new URL(hub.url).host} ${bob.key}\n`);
  // The name is held by the key that took it: at another hub of the same address it is free.
  const { host } = new URL(hub.url);
  await hub[Symbol.asyncDispose]();
  await using liar = await startHub("--listen", host);
  const { listener } = await startListener(liar, [...words, "--key", eve.path], { input: "" });
  await using _ = listener;
  const refused = await run(["connect", "bob", ...liar.peerWords, "--known", known]);
  strictEqual(refused.code, 1, refused.stderr);
  const error = JSON.parse(refused.stderr.trim().split("\n").at(-1)!);
  deepStrictEqual([error.type, error.reason, error.expected, error.actual], ["error", "otherKey", bob.key, eve.key]);
  match(error.message, new RegExp(`key is ${eve.key}, not ${bob.key}`));
  strictEqual(await Deno.readTextFile(known), pinned);
});
