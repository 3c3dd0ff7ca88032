/**
 * Our ICE against aioice, in both roles.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { AIOICE, PEER_SECONDS, PeerProcess, peerTest, program, pythonPackages } from "./peers.ts";

const SCRIPT = new URL("./peers/aioice_peer.py", import.meta.url).pathname;
const packages = pythonPackages(AIOICE);
const python = program("python3");
const AIOICE_PEER = {
  name: `aioice ${AIOICE.version}`,
  missing: python === undefined ? "no python3" : packages === undefined ? "not installed" : undefined,
};

peerTest(AIOICE_PEER, "aioice connects to itself in both roles", async () => {
  await using controlling = aioice("controlling", ["--send", "hello"]);
  await using controlled = aioice("controlled");
  const [one, other] = await Promise.all([controlling.next("local"), controlled.next("local")]);
  await Promise.all([controlling.tell(other), controlled.tell(one)]);
  await Promise.all([controlling.next("connected"), controlled.next("connected")]);
  deepStrictEqual(await controlled.next("received"), { type: "received", text: "hello" });
  deepStrictEqual(await controlling.next("received"), { type: "received", text: "hello" });
});

function aioice(role: string, args: readonly string[] = []): PeerProcess {
  const common = [SCRIPT, role, "--packages", packages ?? "", "--seconds", String(PEER_SECONDS)];
  return new PeerProcess(python ?? "python3", [...common, ...args]);
}
