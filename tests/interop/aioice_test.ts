/**
 * Our ICE against aioice, in both roles.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { IceCredentials } from "../../protocols/ice/types.ts";
import { IceSocket } from "./ice_socket.ts";
import { AIOICE, PEER_SECONDS, PeerProcess, peerTest, program, pythonPackages } from "./peers.ts";

const SCRIPT = new URL("./peers/aioice_peer.py", import.meta.url).pathname;
const packages = pythonPackages(AIOICE);
const python = program("python3");
const AIOICE_PEER = {
  name: `aioice ${AIOICE.version}`,
  missing: python === undefined ? "no python3" : packages === undefined ? "not installed" : undefined,
};
const OURS: IceCredentials = { ufrag: "ourFragment", password: "ourPasswordOf26Characters+" };

peerTest(AIOICE_PEER, "aioice connects to itself in both roles", async () => {
  await using controlling = aioice("controlling", ["--send", "hello"]);
  await using controlled = aioice("controlled");
  const [one, other] = await Promise.all([controlling.next("local"), controlled.next("local")]);
  await Promise.all([controlling.tell(other), controlled.tell(one)]);
  await Promise.all([controlling.next("connected"), controlled.next("connected")]);
  deepStrictEqual(await controlled.next("received"), { type: "received", text: "hello" });
  deepStrictEqual(await controlling.next("received"), { type: "received", text: "hello" });
});

peerTest(AIOICE_PEER, "Our controlling agent nominates a pair with aioice, and bytes go both ways", async () => {
  await using peer = aioice("controlled");
  using ours = new IceSocket("controlling", OURS);
  const port = await introduce(ours, peer);
  const pair = await ours.nominated;
  strictEqual(pair.remote.port, port);
  await peer.next("connected");
  ours.send(pair, "hello");
  strictEqual(await ours.text, "hello");
});

peerTest(AIOICE_PEER, "Our controlled agent agrees to the pair aioice nominates, and bytes go both ways", async () => {
  await using peer = aioice("controlling");
  using ours = new IceSocket("controlled", OURS);
  const port = await introduce(ours, peer);
  const pair = await ours.nominated;
  strictEqual(pair.remote.port, port);
  await peer.next("connected");
  ours.send(pair, "hello");
  strictEqual(await ours.text, "hello");
});

peerTest(AIOICE_PEER, "Two controlling agents resolve the conflict (RFC 8445 §7.3.1.1)", async () => {
  await using peer = aioice("controlling");
  using ours = new IceSocket("controlling", OURS);
  await introduce(ours, peer);
  const pair = await ours.nominated;
  await peer.next("connected");
  ours.send(pair, "hello");
  strictEqual(await ours.text, "hello");
});

/** Tells each side of the other; resolves to the peer's port. */
async function introduce(ours: IceSocket, peer: PeerProcess): Promise<number> {
  const local = await peer.next("local");
  const port = Number(local["port"]);
  await peer.tell({ ...ours.credentials, port: ours.port });
  ours.start({ ufrag: String(local["ufrag"]), password: String(local["password"]) }, port);
  return port;
}

function aioice(role: string, args: readonly string[] = []): PeerProcess {
  const common = [SCRIPT, role, "--packages", packages ?? "", "--seconds", String(PEER_SECONDS)];
  return new PeerProcess(python ?? "python3", [...common, ...args]);
}
