import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import { Writer } from "../../../protocols/core/writer.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { Extensions } from "../../../protocols/quic/extensions.ts";
import type { ExtensionSetup } from "../../../protocols/quic/extensions.ts";
import { FrameDecoder } from "../../../protocols/quic/frame.ts";
import { ProbeBudget } from "../../../protocols/quic/nat_traversal/probe_budget.ts";
import { TraversalClient } from "../../../protocols/quic/nat_traversal/traversal_client.ts";
import { TraversalServer } from "../../../protocols/quic/nat_traversal/traversal_server.ts";
import type { Role } from "../../../protocols/quic/stream_id.ts";
import { DEFAULT_TRANSPORT_PARAMETERS } from "../../../protocols/quic/transport_parameters.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const BASE: Base = { kind: "socket", local: addressOf("192.168.1.2", 4000), maxPayloadBytes: 1472 };
const REMOTE = addressOf("203.0.113.7", 50000);

/** One of each frame, by who sends it. */
const FRAMES: readonly (readonly [Role | "both", string])[] = [
  ["server", "803d7e90 00 c0000201 1151"],
  ["server", "803d7e91 01 20010db8000000000000000000000001 01bb"],
  ["client", "803d7e92 01 00 cb007107 c350"],
  ["client", "803d7e93 01 00 20010db8000000000000000000000001 01bb"],
  ["server", "803d7e94 00"],
  ["both", "809f81a6 00 cb007107 c350"],
  ["both", "809f81a7 00 20010db8000000000000000000000001 01bb"],
];

function extensionsOf(role: Role, options: Partial<ExtensionSetup> = {}): Extensions {
  return new Extensions({
    role,
    natTraversal: { concurrencyLimit: 8, rules: { allowLoopback: false } },
    addressDiscovery: "reports and wants",
    random: seededRandom(1),
    budget: new ProbeBudget(),
    ...options,
  });
}

/** As if the peer had asked for the same. */
function agreed(role: Role, options: Partial<ExtensionSetup> = {}): Extensions {
  const extensions = extensionsOf(role, options);
  const peer = extensionsOf(role === "client" ? "server" : "client");
  extensions.applyPeer({ ...DEFAULT_TRANSPORT_PARAMETERS, ...peer.parameters }, 0);
  return extensions;
}

function decoderOf(extensions: Extensions | undefined, packet: "I" | "H" | "0" | "1", bytes: Uint8Array): FrameDecoder {
  const decoder = new FrameDecoder();
  decoder.extensions = extensions;
  decoder.reset(bytes, packet);
  return decoder;
}

const hasCode = (code: number) => (error: unknown): boolean => error instanceof TransportError && error.code === code;

Deno.test("Extensions declare what they were asked for, and no more", () => {
  const shown = (extensions: Extensions): (string | undefined)[] => {
    const { natTraversal, addressDiscovery } = extensions.parameters;
    return [natTraversal, addressDiscovery].map((value) => value === undefined ? undefined : toHex(value));
  };
  deepStrictEqual(shown(extensionsOf("client")), ["", "02"]);
  deepStrictEqual(shown(extensionsOf("server")), ["08", "02"]);
  deepStrictEqual(shown(extensionsOf("server", { natTraversal: undefined, addressDiscovery: "reports" })), [
    undefined,
    "00",
  ]);
});

Deno.test("Extensions begin when both ends have asked (draft-seemann -02 §4, address-discovery-00 §4)", () => {
  ok(agreed("client").traversal instanceof TraversalClient);
  ok(agreed("server").traversal instanceof TraversalServer);
  const alone = extensionsOf("client");
  alone.applyPeer(DEFAULT_TRANSPORT_PARAMETERS, 0);
  deepStrictEqual([alone.traversal, alone.observer, alone.isAny], [undefined, undefined, false]);
  // What was not asked for is passed over, whatever it says (RFC 9000 §7.4.2).
  const unasked = extensionsOf("client", { natTraversal: undefined, addressDiscovery: undefined });
  const value = fromHex("0102030405060708090a");
  unasked.applyPeer({ ...DEFAULT_TRANSPORT_PARAMETERS, natTraversal: value, addressDiscovery: value }, 0);
  strictEqual(unasked.traversal, undefined);
});

Deno.test("Extensions refuse parameters of the wrong form (draft-seemann -02 §4, address-discovery-00 §4)", () => {
  const rows: readonly (readonly [Role, Partial<Record<"natTraversal" | "addressDiscovery", string>>])[] = [
    ["server", { natTraversal: "08" }],
    ["client", { natTraversal: "" }],
    ["client", { natTraversal: "00" }],
    ["client", { natTraversal: "0808" }],
    ["client", { addressDiscovery: "03" }],
    ["server", { addressDiscovery: "" }],
  ];
  for (const [role, values] of rows) {
    const parameters = Object.fromEntries(Object.entries(values).map(([key, hex]) => [key, fromHex(hex)]));
    throws(
      () => extensionsOf(role).applyPeer({ ...DEFAULT_TRANSPORT_PARAMETERS, ...parameters }, 0),
      hasCode(0x08),
    );
  }
});

Deno.test("Extension frames are read once they are agreed on, in 1-RTT packets, from the end that sends them", () => {
  for (const [sender, hex] of FRAMES) {
    const bytes = fromHex(hex);
    for (const role of ["client", "server"] as const) {
      const read = () => decoderOf(agreed(role), "1", bytes).next();
      if (sender === role) throws(read, hasCode(0x0a), `${hex} at a ${role}`);
      else strictEqual(read()?.type === undefined, false);
    }
    const receiver = sender === "client" ? "server" : "client";
    // RFC 9000 §12.4: not known means FRAME_ENCODING_ERROR, also in packets that do not carry such frames.
    throws(() => decoderOf(undefined, "1", bytes).next(), hasCode(0x07));
    throws(() => decoderOf(agreed(receiver), "H", bytes).next(), hasCode(0x07));
    const unagreed = extensionsOf(receiver, { addressDiscovery: undefined });
    throws(() => decoderOf(unagreed, "1", bytes).next(), hasCode(0x07));
    for (let length = 1; length < bytes.length; length++) {
      throws(
        () => decoderOf(agreed(receiver), "1", bytes.subarray(0, length)).next(),
        hasCode(0x07),
        `${hex} ${length}`,
      );
    }
  }
});

Deno.test("OBSERVED_ADDRESS that nobody asked for is a PROTOCOL_VIOLATION (address-discovery-00 §5)", () => {
  const extensions = agreed("client", { addressDiscovery: "reports" });
  throws(() => decoderOf(extensions, "1", fromHex("809f81a6 00 cb007107 c350")).next(), hasCode(0x0a));
});

Deno.test("Extension frames have packets acknowledged; only OBSERVED_ADDRESS is a probing frame (address-discovery-00 §5)", () => {
  const marks = FRAMES.map(([sender, hex]) => {
    const decoder = decoderOf(agreed(sender === "client" ? "server" : "client"), "1", fromHex(hex));
    const frame = decoder.next();
    return [frame?.type, decoder.isAckEliciting, decoder.isProbing];
  });
  deepStrictEqual(marks, [
    ["ADD_ADDRESS", true, false],
    ["ADD_ADDRESS", true, false],
    ["PUNCH_ME_NOW", true, false],
    ["PUNCH_ME_NOW", true, false],
    ["REMOVE_ADDRESS", true, false],
    ["OBSERVED_ADDRESS", true, true],
    ["OBSERVED_ADDRESS", true, true],
  ]);
  // Between others, as they come.
  const mixed = concatBytes(fromHex("01"), fromHex("803d7e94 07"), fromHex("00 00 01"));
  const decoder = decoderOf(agreed("client"), "1", mixed);
  const types: unknown[] = [];
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) types.push(frame.type);
  deepStrictEqual(types, ["PING", "REMOVE_ADDRESS", "PADDING", "PING"]);
});

Deno.test("Extensions keep candidates until it is known whether the peer wants them", () => {
  const extensions = extensionsOf("server");
  extensions.addCandidate({ type: "host", address: BASE.local, base: BASE }, 0);
  extensions.addCandidate({ type: "srflx", address: REMOTE, base: BASE }, 0);
  extensions.removeCandidate(BASE, REMOTE, 0);
  const peer = {
    ...DEFAULT_TRANSPORT_PARAMETERS,
    ...extensionsOf("client", { addressDiscovery: undefined }).parameters,
  };
  extensions.applyPeer(peer, 0);
  const writer = new Writer(new Uint8Array(64));
  const path = { base: BASE, remote: REMOTE };
  strictEqual(extensions.hasFrame(path, 0), true);
  strictEqual(extensions.writeFrame(path, writer, 0)?.type, "ADD_ADDRESS");
  strictEqual(toHex(writer.written()), "803d7e9000c0a801020fa0");
  strictEqual(extensions.hasFrame(path, 0), false);
});

Deno.test("Extensions report the path in use once, and again when the connection comes back to it (address-discovery-00 §5)", () => {
  const extensions = agreed("server", { natTraversal: undefined });
  const [one, other] = [{ base: BASE, remote: REMOTE }, { base: BASE, remote: addressOf("203.0.113.7", 1) }];
  const reports: string[] = [];
  for (const path of [one, one, other, one]) {
    const writer = new Writer(new Uint8Array(64));
    if (extensions.hasFrame(path, 0)) extensions.writeFrame(path, writer, 0);
    reports.push(toHex(writer.written()));
  }
  deepStrictEqual(reports, ["809f81a600cb007107c350", "", "809f81a601cb0071070001", "809f81a602cb007107c350"]);
});
