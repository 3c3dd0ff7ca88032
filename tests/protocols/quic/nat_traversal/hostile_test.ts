import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex } from "../../../../protocols/core/bytes.ts";
import type { TransportSettings } from "../../../../protocols/quic/config.ts";
import type { QuicConnection } from "../../../../protocols/quic/connection.ts";
import { TRANSPORT_ERROR } from "../../../../protocols/quic/errors.ts";
import { DirectPath } from "../../../support/quic_direct_path.ts";
import { RawPeer } from "../../../support/raw_peer.ts";
import type { SayingOptions } from "../../../support/raw_peer.ts";

// What a peer of NAT traversal does wrong on a live connection, and the code that the other end answers with, as it comes in
// on the wire: draft-seemann-quic-nat-traversal-02 §4, draft-ietf-quic-address-discovery-00 §5, RFC 9000 §12.4.

type Side = "client" | "server";

const PROTOCOL_VIOLATION = 0x0a;
const FRAME_ENCODING_ERROR = 0x07;
const OFF = { natTraversal: undefined } as const;

const ADD_4 = "803d7e90 00 c0000201 1151";
const ADD_6 = "803d7e91 01 20010db8000000000000000000000001 01bb";
const PUNCH_4 = "803d7e92 01 00 cb007107 c350";
const PUNCH_6 = "803d7e93 01 00 20010db8000000000000000000000001 01bb";
const REMOVE = "803d7e94 00";
const OBSERVED_4 = "809f81a6 00 cb007107 c350";
const OBSERVED_6 = "809f81a7 00 20010db8000000000000000000000001 01bb";

/** PUNCH_ME_NOW of a round, for so many targets. */
export function requests(round: number, count: number, from = 0): string {
  return Array.from(
    { length: count },
    (_, i) => `803d7e92 ${byte(round)} 00 c6336400 ${(0x9000 + from + i).toString(16)}`,
  ).join("");
}

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

interface Row {
  readonly what: string;
  /** Who does wrong. */
  readonly by: Side;
  readonly says: string | readonly string[];
  readonly code: number;
  readonly client?: Partial<TransportSettings>;
  readonly server?: Partial<TransportSettings>;
  readonly saying?: SayingOptions;
}

const FRAMES: readonly (readonly [name: string, sender: Side, bytes: string])[] = [
  ["ADD_ADDRESS of IPv4", "server", ADD_4],
  ["ADD_ADDRESS of IPv6", "server", ADD_6],
  ["PUNCH_ME_NOW of IPv4", "client", PUNCH_4],
  ["PUNCH_ME_NOW of IPv6", "client", PUNCH_6],
  ["REMOVE_ADDRESS", "server", REMOVE],
];

const otherThan = (side: Side): Side => side === "client" ? "server" : "client";

const ROWS: readonly Row[] = [
  ...FRAMES.map(([name, sender, says]): Row => ({
    what: `${name} from a ${otherThan(sender)}`,
    by: otherThan(sender),
    says,
    code: PROTOCOL_VIOLATION,
  })),
  ...FRAMES.flatMap(([name, sender, says]): Row[] => [
    { what: `${name} that we did not offer`, by: sender, says, code: FRAME_ENCODING_ERROR, [otherThan(sender)]: OFF },
    { what: `${name} that the sender did not offer`, by: sender, says, code: FRAME_ENCODING_ERROR, [sender]: OFF },
  ]),
  {
    what: "OBSERVED_ADDRESS for a client that knows of none",
    by: "server",
    says: OBSERVED_4,
    code: FRAME_ENCODING_ERROR,
  },
  {
    what: "OBSERVED_ADDRESS for a server that knows of none",
    by: "client",
    says: OBSERVED_6,
    code: FRAME_ENCODING_ERROR,
  },
  {
    what: "OBSERVED_ADDRESS for a client that only reports",
    by: "server",
    says: OBSERVED_4,
    code: PROTOCOL_VIOLATION,
    client: { addressDiscovery: "reports" },
    server: { addressDiscovery: "reports and wants" },
  },
  {
    what: "OBSERVED_ADDRESS for a server that only reports",
    by: "client",
    says: OBSERVED_6,
    code: PROTOCOL_VIOLATION,
    client: { addressDiscovery: "reports and wants" },
    server: { addressDiscovery: "reports" },
  },
  {
    what: "OBSERVED_ADDRESS of a peer that said it would not report",
    by: "client",
    says: OBSERVED_4,
    code: PROTOCOL_VIOLATION,
    client: { addressDiscovery: "wants" },
    server: { addressDiscovery: "reports and wants" },
  },
  { what: "more requests than the limit, in one packet", by: "client", says: requests(9, 9), code: PROTOCOL_VIOLATION },
  {
    what: "more requests than the limit, one in each packet",
    by: "client",
    says: Array.from({ length: 9 }, (_, i) => requests(9, 1, i)),
    code: PROTOCOL_VIOLATION,
  },
  {
    what: "more requests than the limit, all of them for addresses that nobody has",
    by: "client",
    says: Array.from({ length: 9 }, (_, i) => `803d7e92 09 3f cb0071${byte(i)} c350`).join(""),
    code: PROTOCOL_VIOLATION,
  },
  { what: "a frame of the dialect that does not exist", by: "client", says: "803d7e95 00", code: FRAME_ENCODING_ERROR },
  { what: "PUNCH_DONE of another dialect", by: "server", says: "803d7e95 00 00", code: FRAME_ENCODING_ERROR },
  // RFC 9000 §12.4: in these packets there are no extensions.
  ...(["Initial", "Handshake"] as const).flatMap((packet): Row[] => [
    { what: `PUNCH_ME_NOW in a packet of type ${packet}`, by: "client", says: PUNCH_4, code: 0x07, saying: { packet } },
    { what: `ADD_ADDRESS in a packet of type ${packet}`, by: "server", says: ADD_4, code: 0x07, saying: { packet } },
    {
      what: `OBSERVED_ADDRESS in a packet of type ${packet}`,
      by: "server",
      says: OBSERVED_4,
      code: 0x07,
      saying: { packet },
      client: { addressDiscovery: "wants" },
    },
  ]),
];

interface Stage {
  readonly path: DirectPath;
  readonly raw: RawPeer;
  /** The end that is ours. */
  readonly ours: () => QuicConnection;
}

function stage(by: Side, options: Pick<Row, "client" | "server"> = {}): Stage {
  const path = new DirectPath({ ...options, keyLog: true });
  const raw = new RawPeer(path.pair, by);
  const { pair } = path;
  return { path, raw, ours: () => pair[otherThan(by)].connections[0]! };
}

/** A stage where both ends are connected, and nobody has moved. */
function connected(by: Side, options: Pick<Row, "client" | "server"> = {}): Stage {
  const made = stage(by, options);
  const { pair } = made.path;
  made.path.connected();
  pair.runTo(1000);
  deepStrictEqual(pair.client.connections[0]?.state, "confirmed");
  return made;
}

function play(row: Row): void {
  const packets = typeof row.says === "string" ? [row.says] : row.says;
  if (row.saying?.packet === undefined) {
    const { raw, ours, path } = connected(row.by, row);
    for (const says of packets) raw.say(says);
    strictEqual(raw.closeCode, row.code, `${ours().closeReason?.reason}`);
    deepStrictEqual([ours().closeReason?.by, ours().closeReason?.code], ["transport", row.code]);
    path.pair.runTo(path.pair.now + 60_000);
    strictEqual(ours().state, "drained");
    return;
  }
  const { raw, path } = stage(row.by, row);
  for (const says of packets) raw.prepare(says, row.saying);
  path.pair.connect({ remote: path.tunnel.local });
  path.pair.runTo(1000);
  strictEqual(raw.closeCode, row.code);
}

for (const row of ROWS) {
  Deno.test(`NAT traversal: a ${otherThan(row.by)} that gets ${row.what} closes with 0x${row.code.toString(16)}`, () => {
    play(row);
  });
}

Deno.test("NAT traversal: frames cut at every byte close the connection with FRAME_ENCODING_ERROR (RFC 9000 §12.4)", () => {
  const all = [...FRAMES, ["OBSERVED_ADDRESS", "server", OBSERVED_4], [
    "OBSERVED_ADDRESS",
    "client",
    OBSERVED_6,
  ]] as const;
  for (const [name, by, text] of all) {
    const whole = fromHex(text);
    for (let length = 1; length < whole.length; length++) {
      const discovery = { addressDiscovery: "reports and wants" } as const;
      const { raw } = connected(by, { client: discovery, server: discovery });
      raw.say(concatBytes(fromHex("010000"), whole.subarray(0, length)), { alone: true });
      strictEqual(raw.closeCode, TRANSPORT_ERROR.FRAME_ENCODING_ERROR, `${name}, ${length} bytes`);
    }
    // And whole, they close nothing.
    const discovery = { addressDiscovery: "reports and wants" } as const;
    const { raw, ours } = connected(by, { client: discovery, server: discovery });
    raw.say(whole, { alone: true });
    ok(ours().state === "confirmed", name);
  }
});
