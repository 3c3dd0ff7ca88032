import { ok, strictEqual, throws } from "node:assert/strict";
import { fromHex } from "../../../../protocols/core/bytes.ts";
import { Http3Error } from "../../../../protocols/http3/errors.ts";
import { DecoderInstructions, receiveEncoderInstructions } from "../../../../protocols/http3/qpack/instructions.ts";

function refuses(code: string, act: () => void): void {
  throws(act, (error) => {
    ok(error instanceof Http3Error);
    strictEqual(error.code, code);
    return true;
  });
}

Deno.test("Encoder stream may set the capacity to 0, and nothing else (RFC 9204 §3.2.3, §4.3)", () => {
  receiveEncoderInstructions(fromHex("20 2020"));
  receiveEncoderInstructions(fromHex(""));
  const wrong = [
    "3fbd01", // §B.2: capacity 220
    "21",
    "3f00",
    "c00f7777772e6578616d706c652e636f6d", // insert with static name
    "80", // insert with dynamic name
    "4a637573746f6d2d6b65790c637573746f6d2d76616c7565", // insert with literal name
    "02", // duplicate
    "00",
  ];
  for (const hex of wrong) {
    refuses("QPACK_ENCODER_STREAM_ERROR", () => receiveEncoderInstructions(fromHex(hex)));
    refuses("QPACK_ENCODER_STREAM_ERROR", () => receiveEncoderInstructions(fromHex(`20${hex.slice(0, 2)}`)));
  }
});

Deno.test("Decoder stream may cancel streams, and acknowledge nothing (RFC 9204 §4.4)", () => {
  const instructions = new DecoderInstructions();
  instructions.receive(fromHex("40 48 7e"));
  // A stream ID in pieces.
  instructions.receive(fromHex("7f"));
  instructions.receive(fromHex("808001"));
  instructions.receive(fromHex("7f00 40"));
  for (const hex of ["84", "ff00", "01", "00", "3f00"]) {
    refuses("QPACK_DECODER_STREAM_ERROR", () => new DecoderInstructions().receive(fromHex(hex)));
  }
  refuses("QPACK_DECODER_STREAM_ERROR", () => new DecoderInstructions().receive(fromHex(`7f${"80".repeat(11)}`)));
});
