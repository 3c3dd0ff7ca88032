import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { resolveOwnAddress, resolveServer } from "../../io/resolve.ts";

async function resolved(server: string): Promise<string[]> {
  return (await resolveServer(server)).map(String);
}

Deno.test("resolveServer takes IP addresses with and without scheme and port", async () => {
  deepStrictEqual(await resolved("192.0.2.1:5"), ["192.0.2.1:5"]);
  deepStrictEqual(await resolved("stun:192.0.2.1"), ["192.0.2.1:3478"]);
  deepStrictEqual(await resolved("stun:[2001:DB8::1]:5"), ["[2001:db8::1]:5"]);
  deepStrictEqual(await resolved("[2001:db8::1]"), ["[2001:db8::1]:3478"]);
});

Deno.test("resolveServer asks the resolver for names", async () => {
  const found = await resolved("localhost:5");
  ok(found.length >= 1 && found.every((address) => address === "127.0.0.1:5" || address === "[::1]:5"), `${found}`);
});

Deno.test("resolveServer finds nothing for what is no server", async () => {
  const texts = [
    "",
    ":",
    ":5",
    "[]",
    "[::1",
    "::1",
    "[x]:5",
    "[localhost]:5",
    "192.0.2.1:0",
    "192.0.2.1:65536",
    "a:b:c",
  ];
  for (const text of texts) deepStrictEqual(await resolved(text), [], text);
});

Deno.test("resolveServer cut short at every byte, or with a separator in any place, never throws", async () => {
  for (const text of ["192.0.2.1:3478", "stun:192.0.2.1:3478", "[2001:db8::192.0.2.1]:3478"]) {
    const colon = text.lastIndexOf(":");
    for (let end = 0; end < text.length; end++) {
      const head = text.slice(0, end);
      // A name, which the system's resolver would be asked for.
      if (!/^[a-z]+$/.test(head)) {
        strictEqual((await resolveServer(head)).length, end >= colon && end !== colon + 1 ? 1 : 0);
      }
      for (const mark of text.startsWith("stun") ? "" : ":[]%. \n") {
        const changed = text.slice(0, end) + mark + text.slice(end + 1);
        for (const { port } of await resolveServer(changed)) ok(port >= 1 && port <= 65535, changed);
      }
    }
  }
});

Deno.test("resolveOwnAddress takes addresses, names, and port 0", async () => {
  strictEqual(`${await resolveOwnAddress("0.0.0.0:0")}`, "0.0.0.0:0");
  strictEqual(`${await resolveOwnAddress("[::]:80")}`, "[::]:80");
  strictEqual(`${await resolveOwnAddress("[fe80::1%eth0]:80")}`, "[fe80::1%eth0]:80");
  ok(["127.0.0.1:80", "[::1]:80"].includes(`${await resolveOwnAddress("localhost:80")}`));
});

Deno.test("resolveOwnAddress says what is wrong", async () => {
  const texts = [
    "",
    "80",
    "localhost",
    "localhost:",
    ":80",
    "[localhost]:80",
    "::1:80",
    "0.0.0.0:65536",
    "a b:80",
    "[]:80",
  ];
  for (const text of texts) await rejects(resolveOwnAddress(text), TypeError, text);
  // No name has a label of 64 characters: the resolver asks nobody.
  await rejects(resolveOwnAddress(`${"x".repeat(64)}:80`), /Cannot listen on "x+:80": there is no host/);
});

Deno.test("resolveOwnAddress cut short at every byte is another address or a TypeError", async () => {
  for (const text of ["192.0.2.1:8080", "[2001:db8::1]:8080"]) {
    const colon = text.lastIndexOf(":");
    for (let end = 0; end < text.length; end++) {
      const head = text.slice(0, end);
      if (end > colon + 1) strictEqual(`${await resolveOwnAddress(head)}`, head);
      else await rejects(resolveOwnAddress(head), TypeError, head);
    }
  }
});
