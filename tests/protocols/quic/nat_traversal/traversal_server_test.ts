import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { parseAddress } from "../../../../protocols/core/address.ts";
import { TransportError } from "../../../../protocols/quic/errors.ts";
import { MAX_NAMED_ADDRESSES, TraversalServer } from "../../../../protocols/quic/nat_traversal/traversal_server.ts";
import type { Probe } from "../../../../protocols/quic/nat_traversal/traversal.ts";
import {
  FREE_LEAVE,
  hostOf,
  runAlone,
  setupOf,
  socketAt,
  srflxOf,
  takeEvents,
  takeFrames,
  takeProbes,
} from "../../../support/traversal_ends.ts";

const LAN = socketAt("10.0.0.1:50000");
const DATA = new Uint8Array(8).fill(7);

function serverWith(...extra: string[]): TraversalServer {
  const server = new TraversalServer(setupOf());
  server.addCandidate(hostOf(LAN));
  for (const address of extra) server.addCandidate(srflxOf(LAN, address));
  return server;
}

function said(server: TraversalServer): string[] {
  return takeFrames(server, "server", 0).map((frame) => {
    switch (frame.type) {
      case "ADD_ADDRESS":
        return `+${frame.sequenceNumber} ${frame.address}`;
      case "REMOVE_ADDRESS":
        return `-${frame.sequenceNumber}`;
      case "PUNCH_ME_NOW":
        return frame.type;
    }
  });
}

function punch(server: TraversalServer, round: number, sequenceNumber: number, address: string, now: number): void {
  server.onFrame({
    type: "PUNCH_ME_NOW",
    round,
    pairedWithSequenceNumber: sequenceNumber,
    address: parseAddress(address),
  }, now);
}

const show = ({ base, remote }: Probe): string => `${base.local} ${remote}`;

Deno.test("TraversalServer names each address as soon as it is known, once (draft-seemann -02 §4.1)", () => {
  const server = serverWith("203.0.113.7:50000");
  server.addCandidate(hostOf(LAN));
  server.addCandidate({ type: "relay", address: parseAddress("203.0.113.99:1"), base: LAN });
  server.addCandidate(hostOf({ ...LAN, kind: "tunnel" }));
  deepStrictEqual(said(server), ["+0 10.0.0.1:50000", "+1 203.0.113.7:50000"]);
  strictEqual(server.hasFrame(), false);
  server.addCandidate(srflxOf(LAN, "203.0.113.7:50001"));
  deepStrictEqual(said(server), ["+2 203.0.113.7:50001"]);
});

Deno.test("TraversalServer names 32 addresses at most", () => {
  const server = new TraversalServer(setupOf());
  for (let n = 1; n <= 40; n++) server.addCandidate(srflxOf(LAN, `203.0.113.7:${n}`));
  strictEqual(said(server).length, MAX_NAMED_ADDRESSES);
});

Deno.test("TraversalServer takes back what it has said, and says nothing of what it has not (draft-seemann -02 §4.1)", () => {
  const server = serverWith("203.0.113.7:50000");
  server.removeCandidate(LAN, parseAddress("203.0.113.7:50000"));
  deepStrictEqual(said(server), ["+0 10.0.0.1:50000"]);
  server.removeBase(LAN);
  deepStrictEqual(said(server), ["-0"]);
  // A number is never used again.
  server.addCandidate(hostOf(LAN));
  deepStrictEqual(said(server), ["+2 10.0.0.1:50000"]);
});

Deno.test("TraversalServer repeats what was lost, unless it does not hold any more (draft-seemann -02 §4.1)", () => {
  const server = serverWith("203.0.113.7:50000");
  const [first, second] = takeFrames(server, "server", 0);
  server.onFrameLost(first!);
  deepStrictEqual(said(server), ["+0 10.0.0.1:50000"]);
  server.removeCandidate(LAN, parseAddress("203.0.113.7:50000"));
  const [removal] = takeFrames(server, "server", 0);
  server.onFrameLost(second!);
  strictEqual(server.hasFrame(), false);
  server.onFrameLost(removal!);
  deepStrictEqual(said(server), ["-1"]);
});

Deno.test("TraversalServer probes where it is asked to, from the base of the address named (draft-seemann -02 §4.3)", () => {
  const other = socketAt("10.0.1.1:50000");
  const server = serverWith();
  server.addCandidate(hostOf(other));
  server.enable(0);
  punch(server, 1, 1, "198.51.100.1:4000", 232);
  punch(server, 1, 0, "192.168.1.2:4000", 232);
  deepStrictEqual(takeProbes(server, 232).map(show), [
    "10.0.1.1:50000 198.51.100.1:4000",
    "10.0.0.1:50000 192.168.1.2:4000",
  ]);
  const sent = runAlone(server, 1e6);
  deepStrictEqual(
    sent.filter(({ probe }) => probe.base === LAN).map(({ at }) => at - 232),
    [33, 66, 132, 264, 528, 1056, 2112, 4112],
  );
  strictEqual(sent.every(({ probe }) => !probe.isFullSize && probe.bytes === 50), true);
  deepStrictEqual([server.pollReleased(), server.pollReleased(), server.pollReleased()], [0, 1, undefined]);
  deepStrictEqual(takeEvents(server), []);
});

Deno.test("TraversalServer acts on no request before the client's Finished has verified", () => {
  const server = serverWith();
  punch(server, 1, 0, "198.51.100.1:4000", 0);
  deepStrictEqual([takeProbes(server, 0), server.timeoutAt], [[], undefined]);
  server.enable(50);
  server.enable(51);
  deepStrictEqual(takeProbes(server, 51).map(show), ["10.0.0.1:50000 198.51.100.1:4000"]);
});

Deno.test("TraversalServer drops everything of a round for the next one, and ignores what comes late (draft-seemann -02 §4.3)", () => {
  const server = serverWith();
  server.enable(0);
  punch(server, 5, 0, "198.51.100.1:4000", 0);
  takeProbes(server, 0);
  punch(server, 7, 0, "198.51.100.2:4000", 10);
  strictEqual(server.round, 7);
  punch(server, 6, 0, "198.51.100.3:4000", 11);
  punch(server, 5, 0, "198.51.100.1:4000", 11);
  const targets = new Set(runAlone(server, 1e6).map(({ probe }) => probe.remote.host));
  deepStrictEqual([...targets], ["198.51.100.2"]);
  strictEqual(server.pollReleased(), 0);
  strictEqual(server.counts.framesIgnored, 2);
});

Deno.test("TraversalServer closes on more requests than it allows in a round; repeats are none, strays and refused ones are (draft-seemann -02 §4.2)", () => {
  const server = serverWith();
  server.enable(0);
  for (let n = 0; n < 5; n++) punch(server, 1, 0, `198.51.100.${n}:4000`, 0);
  for (let n = 0; n < 5; n++) punch(server, 1, 0, `198.51.100.${n}:4000`, 1);
  punch(server, 1, 9, "198.51.100.1:4000", 1);
  punch(server, 1, 0, "127.0.0.1:4000", 1);
  punch(server, 1, 0, "198.51.100.1:53", 1);
  deepStrictEqual([server.counts.framesIgnored, server.counts.addressesRefused], [1, 2]);
  throws(
    () => punch(server, 1, 0, "198.51.100.9:4000", 2),
    (error) => error instanceof TransportError && error.code === 0x0a,
  );
  const other = serverWith();
  for (let round = 1; round <= 3; round++) {
    for (let n = 0; n < 8; n++) punch(other, round, 0, `198.51.100.${n}:4000`, 0);
  }
  throws(() => punch(other, 3, 0, "198.51.100.9:4000", 2), TransportError);
});

Deno.test("TraversalServer probes a target that several pairs name once", () => {
  const server = serverWith("203.0.113.7:50000");
  server.enable(0);
  punch(server, 1, 0, "198.51.100.1:4000", 0);
  punch(server, 1, 1, "198.51.100.1:4000", 0);
  strictEqual(takeProbes(server, 0).length, 1);
});

Deno.test("TraversalServer answers a client that comes through another mapping, and asks it too (RFC 9000 §8.2)", () => {
  const server = serverWith();
  server.enable(0);
  punch(server, 1, 0, "198.51.100.1:4000", 0);
  takeProbes(server, 0);
  const path = { base: LAN, remote: parseAddress("198.51.100.1:61234") };
  server.onChallenge(path, DATA, 40, 20);
  const [probe] = takeProbes(server, 20);
  deepStrictEqual([probe!.remote, probe!.response, probe!.isFullSize], [path.remote, DATA, false]);
  strictEqual(server.isProven(path), false);
  strictEqual(server.onResponse(path, probe!.challenge!, 40, 100), true);
  strictEqual(server.isProven(path), true);
  strictEqual(server.probedPathId(path), probe!.id);
  // 1200 bytes follow.
  const [full] = takeProbes(server, 100).filter(({ remote }) => remote === path.remote);
  deepStrictEqual([full!.isFullSize, full!.response], [true, undefined]);
  server.onResponse(path, full!.challenge!, 1200, 180);
  strictEqual(server.isProven(path), true);
  // Asked for by name it begins anew, with small probes; so it does in another round, as another path.
  punch(server, 1, 0, "198.51.100.1:61234", 300);
  const [again] = takeProbes(server, 300).filter(({ remote }) => remote === path.remote);
  deepStrictEqual([again!.isFullSize, again!.id], [false, probe!.id]);
  server.onResponse(path, again!.challenge!, 40, 400);
  punch(server, 2, 0, "198.51.100.9:4000", 500);
  strictEqual(server.isProven(path), false);
  const released = [server.pollReleased(), server.pollReleased(), server.pollReleased()];
  deepStrictEqual(released, [0, probe!.id, undefined]);
});

Deno.test("TraversalServer stops probing from a base that has no name any more", () => {
  const server = serverWith("203.0.113.7:50000");
  server.enable(0);
  punch(server, 1, 1, "198.51.100.1:4000", 0);
  takeProbes(server, 0);
  server.removeCandidate(LAN, parseAddress("203.0.113.7:50000"));
  strictEqual(takeProbes(server, 33).length, 1);
  server.removeCandidate(LAN, LAN.local);
  deepStrictEqual(runAlone(server, 1e6), []);
  // A request that crossed with the removal means nothing.
  punch(server, 1, 0, "198.51.100.2:4000", 100);
  deepStrictEqual(takeProbes(server, 100), []);
});

Deno.test("TraversalServer leaves a target alone that the host cannot reach", () => {
  const server = serverWith();
  server.enable(0);
  punch(server, 1, 0, "198.51.100.1:4000", 0);
  server.onUnreachable(takeProbes(server, 0)[0]!);
  deepStrictEqual(runAlone(server, 1e6), []);
});

Deno.test("TraversalServer that is stopped sends nothing more", () => {
  const server = serverWith();
  server.enable(0);
  punch(server, 1, 0, "198.51.100.1:4000", 0);
  server.stop();
  punch(server, 2, 0, "198.51.100.1:4000", 0);
  server.onChallenge({ base: LAN, remote: parseAddress("198.51.100.1:4000") }, DATA, 40, 0);
  server.addCandidate(srflxOf(LAN, "203.0.113.7:1"));
  deepStrictEqual([said(server), takeProbes(server, 0), server.timeoutAt], [[], [], undefined]);
});

Deno.test("TraversalServer without connection IDs waits for one", () => {
  const server = serverWith();
  server.enable(0);
  punch(server, 1, 0, "198.51.100.1:4000", 0);
  const none = { ...FREE_LEAVE, hasFreshId: false };
  strictEqual(server.pollProbe(0, none), undefined);
  strictEqual(runAlone(server, 3000, none).length, 0);
  strictEqual(takeProbes(server, 3000).length, 1);
});
