import { auto } from "../../mod.ts";
import { testTraversal } from "../contract/traversal.ts";
import type { Surroundings } from "../contract/traversal.ts";
import { startHub } from "../support/command.ts";

/** A relay in a process of its own, on loopback. */
async function startRelay(): Promise<Surroundings> {
  const service = await startHub("--relay", "127.0.0.1:0");
  const via = String((await service.command.fact("ready"))["relay"]);
  return { listening: { via }, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

const WAYS = ["ice-then-quic", "quic-native"];

testTraversal({ name: "auto", newTraversal: auto, sessionTransports: WAYS });
testTraversal({ name: "auto with a relay", newTraversal: auto, sessionTransports: WAYS, start: startRelay });
