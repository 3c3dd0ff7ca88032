/**
 * Every decoder of what comes from strangers: whole, cut at every byte, with every bit flipped, and of random bytes. Each
 * answers, or refuses in its own way; it throws nothing else, and takes no time that grows faster than what it is given.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { addressOf, parseAddress } from "../../protocols/core/address.ts";
import { concatBytes, fromHex, toHex } from "../../protocols/core/bytes.ts";
import { Reader, TruncatedError } from "../../protocols/core/reader.ts";
import { CapsuleParser } from "../../protocols/http3/capsule.ts";
import { Http3Error, Http3StreamError } from "../../protocols/http3/errors.ts";
import { FrameParser } from "../../protocols/http3/frame_parser.ts";
import { HttpDatagrams } from "../../protocols/http3/http_datagrams.ts";
import { LineParser } from "../../protocols/http3/line_stream.ts";
import { decodeFieldSection, encodeFieldSection } from "../../protocols/http3/qpack/field_section.ts";
import { DecoderInstructions, receiveEncoderInstructions } from "../../protocols/http3/qpack/instructions.ts";
import { decodeSettings } from "../../protocols/http3/settings.ts";
import { bindRequest, bindResponse, readBindResponse } from "../../protocols/masque/bind_request.ts";
import { decodeCompressionCapsule } from "../../protocols/masque/compression_capsule.ts";
import { ContextTable } from "../../protocols/masque/contexts.ts";
import { parseKeyProof } from "../../protocols/masque/key_proof.ts";
import { PayloadCodec } from "../../protocols/masque/payload.ts";
import { formatStringList, isTrueItem, parseStringList } from "../../protocols/masque/structured_field.ts";
import { readUdpRequest } from "../../protocols/masque/udp_request.ts";
import { decodeAddressDiscovery } from "../../protocols/quic/address_discovery.ts";
import { TransportError } from "../../protocols/quic/errors.ts";
import { FrameDecoder } from "../../protocols/quic/frame.ts";
import { decodeParameter } from "../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../protocols/quic/nat_traversal/draft_seemann_02.ts";
import { PacketHeader } from "../../protocols/quic/packet.ts";
import { decodePreferredAddress } from "../../protocols/quic/preferred_address.ts";
import {
  decodeTransportParameters,
  DEFAULT_TRANSPORT_PARAMETERS,
  encodeTransportParameters,
} from "../../protocols/quic/transport_parameters.ts";
import { issueRelayToken, verifyRelayToken } from "../../service/relay_token.ts";
import { decodeClientMessage, decodeHubMessage, encodeMessage } from "../../signaling/messages.ts";
import { decodeTicket, encodeRelayedTicket } from "../../signaling/ticket_codec.ts";
import { parseRelayUrl } from "../../transports/relay_access.ts";
import { beginnings, damaged } from "../support/damaged_text.ts";
import { decodeExtension } from "../support/packet_tap.ts";
import { seededRandom } from "../support/seeded_random.ts";

/** Random inputs of each decoder. */
const ROUNDS = 400;
/** Longest of them. */
const MAX_RANDOM_BYTES = 200;

type ErrorClass = abstract new (...parameters: never[]) => Error;

interface BytesRow {
  readonly name: string;
  /** Whole and right, in hexadecimal. */
  readonly samples: readonly string[];
  readonly decode: (bytes: Uint8Array) => unknown;
  /** What it refuses with. */
  readonly errors: readonly ErrorClass[];
}

interface TextRow {
  readonly name: string;
  readonly samples: readonly string[];
  readonly decode: (text: string) => unknown;
  readonly errors: readonly ErrorClass[];
}

function allFrames(bytes: Uint8Array, packet: "I" | "H" | "0" | "1"): number {
  const decoder = new FrameDecoder();
  decoder.extensions = { decode: decodeExtension };
  decoder.reset(bytes, packet);
  let count = 0;
  while (decoder.next() !== undefined) count++;
  return count;
}

function allHttp3Frames(bytes: Uint8Array, step: number): void {
  const parser = new FrameParser();
  for (let at = 0; at < bytes.length; at += step) {
    parser.push(bytes.subarray(at, at + step));
    for (let next = parser.next(); next !== "more"; next = parser.next()) {
      if (next === "header") parser.lengthBytes < 100 ? parser.collect() : parser.skip();
    }
  }
}

function allCapsules(bytes: Uint8Array): void {
  const parser = new CapsuleParser({ types: new Set([0, 0x11, 0x12, 0x13]), maxValueBytes: 1500 });
  for (let at = 0; at < bytes.length; at += 7) {
    parser.push(bytes.subarray(at, at + 7));
    for (let capsule = parser.next(); capsule !== undefined; capsule = parser.next()) decodeCompressionCapsule(capsule);
  }
}

const PARAMETERS = encodeTransportParameters({
  ...DEFAULT_TRANSPORT_PARAMETERS,
  initialMaxData: 100_000,
  activeConnectionIdLimit: 16,
  natTraversal: fromHex("08"),
  addressDiscovery: fromHex("02"),
  preferredAddress: new Uint8Array(24 + 1 + 8 + 16).fill(8),
});

const CONTEXTS = new ContextTable("proxy");
CONTEXTS.handle({ type: "COMPRESSION_ASSIGN", contextId: 2, target: undefined }, () => true);
CONTEXTS.handle({ type: "COMPRESSION_ASSIGN", contextId: 4, target: addressOf("192.0.2.42", 1234) }, () => true);

const BYTES: readonly BytesRow[] = [
  {
    name: "Frames of a 1-RTT packet, with those of NAT traversal and address discovery",
    samples: [
      "803d7e9000c00002011151",
      "803d7e910120010db800000000000000000000000101bb",
      "803d7e920100cb007107c350",
      "803d7e93010020010db800000000000000000000000101bb",
      "803d7e9400",
      "809f81a600cb007107c350",
      "809f81a70020010db800000000000000000000000101bb",
      "1a01020304050607081b0102030405060708",
      "18050008aabbccddeeff0011000102030405060708090a0b0c0d0e0f1905",
      "0240640a01030104",
      "1c0a4018056f6f707321",
    ],
    decode: (bytes) => allFrames(bytes, "1"),
    errors: [TransportError],
  },
  {
    name: "Frames of an Initial packet",
    samples: ["0600050102030405" + "0203000100" + "0000" + "1c0a0600"],
    decode: (bytes) => allFrames(bytes, "I"),
    errors: [TransportError],
  },
  {
    name: "Packet headers (RFC 9000 §17)",
    samples: [
      "c00000000108000102030405060704aabbccdd0201024010" + "00".repeat(16),
      "4001020304050607080102030405060708090a0b0c0d0e0f101112131415161718",
      "ff000000010004aabbccdd" + "00".repeat(20),
    ],
    decode: (bytes) => {
      const header = new PacketHeader();
      for (let at = 0; at < bytes.length && header.read(bytes, at, bytes.length) === undefined;) at = header.end;
    },
    errors: [],
  },
  {
    name: "Transport parameters of a server (RFC 9000 §18)",
    samples: [toHex(PARAMETERS)],
    decode: (bytes) => {
      const { preferredAddress, natTraversal, addressDiscovery } = decodeTransportParameters(bytes, "server");
      if (preferredAddress !== undefined) decodePreferredAddress(preferredAddress);
      if (natTraversal !== undefined) decodeParameter(DRAFT_SEEMANN_02, "server", new Reader(natTraversal));
      if (addressDiscovery !== undefined) decodeAddressDiscovery(new Reader(addressDiscovery));
    },
    errors: [TransportError],
  },
  {
    name: "Transport parameters of a client (RFC 9000 §18)",
    samples: ["fd7e9f0bca12fea600" + "c00000009f81a1760102" + "0e0110" + "04048001ffff"],
    decode: (bytes) => {
      const { natTraversal } = decodeTransportParameters(bytes, "client");
      if (natTraversal !== undefined) decodeParameter(DRAFT_SEEMANN_02, "client", new Reader(natTraversal));
    },
    errors: [TransportError],
  },
  {
    name: "preferred_address (RFC 9000 §18.2)",
    samples: [`c00002011151${"20010db8".padEnd(32, "0")}01bb08${"ab".repeat(8)}${"cd".repeat(16)}`],
    decode: decodePreferredAddress,
    errors: [TransportError, TruncatedError],
  },
  {
    name: "Frames of HTTP/3 (RFC 9114 §7.1)",
    samples: ["0004080133010601ff" + "0103aabbcc" + "40214003010203" + "000568656c6c6f"],
    decode: (bytes) => [1, 3, 1000].forEach((step) => allHttp3Frames(bytes, step)),
    errors: [],
  },
  {
    name: "SETTINGS (RFC 9114 §7.2.4)",
    samples: ["0100068000400007000801330140210f"],
    decode: decodeSettings,
    errors: [Http3Error],
  },
  {
    name: "Field sections (RFC 9204 §4.5)",
    samples: [
      toHex(encodeFieldSection([[":method", "CONNECT"], [":protocol", "connect-udp"], ["capsule-protocol", "?1"]])),
      "0000d1c1d7",
      "000023666f6f03626172",
    ],
    decode: (bytes) => decodeFieldSection(bytes, 4096),
    errors: [Http3Error, Http3StreamError],
  },
  {
    name: "Instructions to a decoder of QPACK (RFC 9204 §4.3)",
    samples: ["202020"],
    decode: receiveEncoderInstructions,
    errors: [Http3Error],
  },
  {
    name: "Instructions to an encoder of QPACK (RFC 9204 §4.4)",
    samples: ["40447f8001"],
    decode: (bytes) => new DecoderInstructions().receive(bytes),
    errors: [Http3Error],
  },
  {
    name: "HTTP Datagrams (RFC 9297 §2.1)",
    samples: ["0b0204c000022ac3506869", "800000040401"],
    decode: (bytes) => new HttpDatagrams().decode(bytes),
    errors: [],
  },
  {
    name: "Capsules (RFC 9297 §3.2, draft-ietf-masque-connect-udp-listen-13)",
    samples: ["11020200" + "11080404c000022a04d2" + "120104" + "130104" + "000a0404c000022a04d26869" + "290101"],
    decode: allCapsules,
    errors: [Http3StreamError],
  },
  {
    name: "Payloads of a tunnel (RFC 9298 §5, draft-ietf-masque-connect-udp-listen-13)",
    samples: ["0204c000022ac3506869", "046869", "020620010db8000000000000000000000001c35068"],
    decode: (bytes) => new PayloadCodec(CONTEXTS).decode(bytes),
    errors: [Http3StreamError],
  },
  {
    name: "Lines in a request",
    samples: [toHex(new TextEncoder().encode('{"t":"ping"}\n{"t":"\u00e9"}\nrest'))],
    decode: (bytes) => {
      const parser = new LineParser(64);
      for (let at = 0; at < bytes.length; at += 5) {
        parser.push(bytes.slice(at, at + 5));
        while (parser.next() !== undefined);
      }
    },
    errors: [Http3StreamError],
  },
];

const RECORD = new Uint8Array(150).map((_, i) => i);
const SECRET = new Uint8Array(32).fill(7);
const TICKET = encodeRelayedTicket({
  keyId: new Uint8Array(16).fill(1),
  token: new Uint8Array(16).fill(2),
  addresses: [addressOf("192.0.2.45", 54321)],
}).text;

const TEXTS: readonly TextRow[] = [
  {
    name: "Tickets",
    samples: [TICKET],
    decode: (text) => decodeTicket(text, 0),
    errors: [],
  },
  {
    name: "Messages to a hub",
    samples: [
      encodeMessage({ t: "register", record: RECORD, registration: RECORD }),
      encodeMessage({ t: "candidates", call: "abc", candidates: RECORD }),
      encodeMessage({ t: "refuse", call: "abc", reason: "denied" }),
    ],
    decode: decodeClientMessage,
    errors: [],
  },
  {
    name: "Messages of a hub",
    samples: [
      encodeMessage({ t: "registered", stun: [":3478"], relays: [{ url: "https://relay.example", token: "T" }] }),
      encodeMessage({ t: "answer", record: RECORD, stun: ["[2001:db8::1]:3478"] }),
      encodeMessage({ t: "error", reason: "nameTaken" }),
    ],
    decode: decodeHubMessage,
    errors: [],
  },
  {
    name: "URLs of relays",
    samples: [`https://192.0.2.1:4443#${"ab".repeat(32)}`, "https://relay.example", "https://[2001:db8::1]:443/"],
    decode: parseRelayUrl,
    errors: [TypeError],
  },
  {
    name: "Addresses",
    samples: ["192.0.2.1:4443", "[2001:db8::1]:443", "[fe80::1%eth0]:1"],
    decode: parseAddress,
    errors: [TypeError, RangeError],
  },
  {
    name: "Lists of strings (RFC 8941 §4.2.1)",
    samples: [formatStringList(["192.0.2.45:54321", "[2001:db8::1234]:54321", 'a"b\\c']), '"a";x=1,  "b"'],
    decode: parseStringList,
    errors: [],
  },
  { name: "Boolean items (RFC 8941 §3.3.6)", samples: ["?1", "?1;a=b"], decode: isTrueItem, errors: [] },
  {
    name: "Proofs of a key to a relay",
    samples: [RECORD.subarray(0, 96).toBase64({ alphabet: "base64url", omitPadding: true })],
    decode: parseKeyProof,
    errors: [],
  },
  {
    name: "Tokens of a relay",
    samples: [issueRelayToken(SECRET, new Uint8Array(32), 0)],
    decode: (text) => verifyRelayToken(SECRET, text, 0),
    errors: [],
  },
  {
    name: "Paths of requests for tunnels (RFC 9298 §2)",
    samples: [bindRequest({ authority: "a" }).path ?? "", "/.well-known/masque/udp/2001%3Adb8%3A%3A1/443/"],
    decode: (path) => readUdpRequest({ ...bindRequest({ authority: "a" }), path }),
    errors: [],
  },
  {
    name: "Public addresses of a relay",
    samples: bindResponse([addressOf("192.0.2.45", 54321)]).fields.slice(2).map(([, value]) => value),
    decode: (value) =>
      readBindResponse({ status: 200, fields: [["connect-udp-bind", "?1"], ["proxy-public-address", value]] }),
    errors: [],
  },
];

/** @returns Whether it was taken. */
function decodes<Input>(
  { decode, errors }: { readonly decode: (input: Input) => unknown; readonly errors: readonly ErrorClass[] },
  input: Input,
  what: string,
): boolean {
  try {
    decode(input);
    return true;
  } catch (error) {
    if (errors.some((known) => error instanceof known)) return false;
    throw new Error(`${what}: ${input instanceof Uint8Array ? toHex(input) : JSON.stringify(input)}`, { cause: error });
  }
}

for (const row of BYTES) {
  Deno.test(`${row.name}: whole, cut at every byte, with every bit flipped, and of random bytes`, () => {
    for (const sample of row.samples) {
      const whole = fromHex(sample);
      ok(decodes(row, whole, "whole"), sample);
      for (let end = 0; end < whole.length; end++) decodes(row, whole.slice(0, end), `cut at ${end}`);
      for (let bit = 0; bit < 8 * whole.length; bit++) {
        const flipped = whole.slice();
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        decodes(row, flipped, `bit ${bit}`);
      }
    }
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const random = seededRandom(seed);
      const bytes = random.fill(new Uint8Array(seed % MAX_RANDOM_BYTES));
      decodes(row, bytes, `seed ${seed}`);
      // And behind something that is right: decoders get further then.
      const sample = row.samples[seed % row.samples.length];
      if (sample !== undefined) decodes(row, concatBytes(fromHex(sample), bytes), `seed ${seed}, behind a sample`);
    }
  });
}

for (const row of TEXTS) {
  Deno.test(`${row.name}: whole, cut at every character, damaged, and of random characters`, () => {
    for (const sample of row.samples) {
      ok(decodes(row, sample, "whole"), sample);
      for (const beginning of beginnings(sample)) decodes(row, beginning, "cut");
      for (const text of damaged(sample, 1, ROUNDS)) decodes(row, text, "damaged");
      decodes(row, sample.repeat(1000), "repeated");
    }
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const bytes = seededRandom(seed).fill(new Uint8Array(seed % MAX_RANDOM_BYTES));
      decodes(row, String.fromCharCode(...bytes), `seed ${seed}`);
      decodes(row, String.fromCharCode(...new Uint16Array(bytes)), `seed ${seed}`);
    }
  });
}
