import { ok, strictEqual } from "node:assert/strict";
import { concatBytes, fromHex } from "../../../protocols/core/bytes.ts";
import { randomBytes, randomUnit } from "../../../protocols/core/random.ts";
import { HTTP3_ERROR } from "../../../protocols/http3/errors.ts";
import {
  dataFrame,
  EXTENDED_FIELDS,
  EXTENDED_HEAD,
  GET_FIELDS,
  GET_HEAD,
  headersFrame,
  type Http3End,
  rawPair,
} from "../../support/http3_pair.ts";
import { seededRandom } from "../../support/seeded_random.ts";

const UNIDIRECTIONAL = [
  fromHex("00 04 08 0100 0680004000 0801 21 00 07 01 00"),
  fromHex("00 04 04 0801 3301 0d 01 05 0d 01 06 21 04 00000000"),
  fromHex("02 20 20"),
  fromHex("03 40 7f8001 48"),
  fromHex("01 00 01 02 0000"),
  fromHex("4054 00 0102"),
];

const BIDIRECTIONAL = [
  concatBytes(headersFrame(GET_FIELDS), dataFrame("content"), headersFrame([["checksum", "1"]])),
  concatBytes(headersFrame([...GET_FIELDS, ["content-length", "7"]]), dataFrame("content")),
  concatBytes(headersFrame(EXTENDED_FIELDS), dataFrame("\x00\x03abc"), fromHex("21 02 0000")),
  concatBytes(headersFrame([[":method", "CONNECT"], [":authority", "a:1"]]), dataFrame("x")),
  concatBytes(headersFrame([[":status", "103"]]), headersFrame([[":status", "200"]]), dataFrame("x")),
];

/** Does something with everything that is reported, as an application would. */
function behave(end: Http3End, now: () => number): void {
  end.onEvent = (event) => {
    const { http3 } = end;
    if (event.type === "request") http3.respond(event.streamId, { status: 200, fields: [] });
    if (event.type === "readable") {
      const content = end.readAll(event.streamId, now());
      if (http3.role === "server") http3.write(event.streamId, content);
      if (http3.isAtEnd(event.streamId)) http3.finish(event.streamId);
    }
    if (event.type === "reset") http3.abort(event.streamId, "H3_REQUEST_CANCELLED");
    if (event.type === "datagramReadable") {
      for (let datagram = http3.readDatagram(now()); datagram !== undefined; datagram = http3.readDatagram(now())) {
        http3.sendDatagram(datagram.streamId, datagram.bytes.subarray(datagram.payloadAt));
      }
    }
  };
}

for (const ours of ["server", "client"] as const) {
  Deno.test(`HTTP/3 ${ours} survives 300 peers that say almost the right thing`, () => {
    const codes: readonly number[] = Object.values(HTTP3_ERROR);
    const met = new Set<number>();
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const pick = (count: number): number => Math.floor(randomUnit(random) * count);
      const { pair, end, raw } = rawPair(ours, { seed });
      behave(end, () => pair.now);
      if (ours === "client") {
        raw.openControl();
        pair.runUntil(() => end.http3.peerSettings !== undefined);
        end.http3.request(GET_HEAD, { isEnd: true });
        end.http3.request(EXTENDED_HEAD);
      }
      const mangled = (whole: Uint8Array): Uint8Array => {
        const bytes = whole.slice();
        switch (pick(5)) {
          case 0:
            return bytes.subarray(0, pick(bytes.length));
          case 1:
            bytes[pick(bytes.length)]! ^= 1 << pick(8);
            return bytes;
          case 2:
            return concatBytes(bytes, randomBytes(random, pick(8)));
          default:
            return bytes;
        }
      };
      const finished = new Set<number>();
      for (let action = 0; action < 12 && raw.quic.isEstablished; action++) {
        const choice = pick(10);
        if (choice === 0) {
          raw.quic.sendDatagram(randomBytes(random, pick(6)));
        } else if (choice < 4) {
          const id = raw.open("unidirectional", mangled(UNIDIRECTIONAL[pick(UNIDIRECTIONAL.length)]!));
          if (pick(6) === 0) raw.quic.finish(id);
        } else if (choice < 5 && action > 3) {
          raw.quic.stopSending(4 * pick(3), pick(0x120));
        } else if (ours === "client") {
          const id = 4 * pick(2);
          if (finished.has(id)) continue;
          raw.quic.write(id, mangled(BIDIRECTIONAL.at(-1)!));
          if (pick(3) > 0) continue;
          finished.add(id);
          raw.quic.finish(id);
        } else {
          const id = raw.open("bidirectional", mangled(BIDIRECTIONAL[pick(BIDIRECTIONAL.length)]!));
          const ending = pick(4);
          if (ending === 0) raw.quic.reset(id, pick(0x120));
          else if (ending < 3) raw.quic.finish(id);
        }
        if (pick(3) === 0) pair.runTo(pair.now + 15);
      }
      pair.runTo(pair.now + 300);
      const closed = end.of("closed")[0];
      if (closed !== undefined) {
        ok(closed.by === "local" && codes.includes(closed.code), `seed ${seed}: ${JSON.stringify(closed)}`);
        met.add(closed.code);
        strictEqual(end.http3.streamCount, 0, `seed ${seed}`);
      }
      ok(end.http3.streamCount <= 12, `seed ${seed}`);
      for (const event of end.of("failed")) met.add(HTTP3_ERROR[event.code]);
    }
    // Otherwise nothing was tried.
    ok(met.size >= 6, `${met.size} different errors`);
  });
}
