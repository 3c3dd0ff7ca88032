import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Registry } from "../../transports/registry.ts";

Deno.test("Registry makes plugins by name, and by the part of the text before the colon", () => {
  const registry = new Registry<string, { readonly token?: string }>("signaling");
  registry.register("wss", ({ argument, token }) => `${argument} with ${token}`);
  registry.register("memory", () => "memory");
  strictEqual(registry.make("wss://hub.example", { token: "t" }), "wss://hub.example with t");
  strictEqual(registry.make("memory", {}), "memory");
  deepStrictEqual(registry.names, ["wss", "memory"]);
});

Deno.test("Registry refuses unknown names and names that cannot be typed", () => {
  const registry = new Registry<string, Record<never, never>>("transport");
  registry.register("one", () => "1");
  throws(() => registry.make("two", {}), /Cannot find transport "two": registered are one/);
  throws(() => registry.register("Two", () => ""), TypeError);
  registry.register("one", () => "anew");
  strictEqual(registry.make("one", {}), "anew");
});
