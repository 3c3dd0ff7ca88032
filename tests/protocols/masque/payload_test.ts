import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { encodeDatagram } from "../../../protocols/http3/http_datagrams.ts";
import { ContextTable } from "../../../protocols/masque/contexts.ts";
import { MAX_UDP_PAYLOAD_BYTES, PayloadCodec } from "../../../protocols/masque/payload.ts";

const SOURCE = addressOf("192.0.2.42", 50000);
const SOURCE_6 = addressOf("2001:db8::1", 443);

function codec(): { contexts: ContextTable; codec: PayloadCodec } {
  const contexts = new ContextTable("client");
  contexts.assign(undefined);
  contexts.assign(SOURCE);
  return { contexts, codec: new PayloadCodec(contexts) };
}

Deno.test("An HTTP Datagram of the uncompressed context has the bytes of draft-ietf-masque-connect-udp-listen-13", () => {
  const { contexts, codec: payloads } = codec();
  const prefix = payloads.prefix(contexts.uncompressed!, SOURCE);
  strictEqual(toHex(encodeDatagram(44, prefix, fromHex("6869"))), "0b0204c000022ac3506869");
  const decoded = payloads.decode(fromHex("0b 02 04 c000022a c350 6869"), 1);
  ok(typeof decoded === "object");
  strictEqual(decoded.remote, SOURCE);
  strictEqual(toHex(decoded.payload), "6869");
  strictEqual(toHex(payloads.prefix(contexts.uncompressed!, SOURCE_6)), "020620010db800000000000000000000000101bb");
});

Deno.test("An HTTP Datagram of a compressed context has the payload alone behind its Context ID", () => {
  const { contexts, codec: payloads } = codec();
  strictEqual(toHex(payloads.prefix(contexts.to(SOURCE)!, SOURCE)), "04");
  const decoded = payloads.decode(fromHex("04 6869"));
  ok(typeof decoded === "object");
  strictEqual(decoded.remote, SOURCE);
  strictEqual(toHex(decoded.payload), "6869");
  // An empty datagram is one: RFC 768.
  const empty = payloads.decode(fromHex("04"));
  ok(typeof empty === "object" && empty.payload.length === 0);
});

Deno.test("HTTP Datagrams cut short at any byte are dropped, others with a reason (RFC 9298 §4, §5)", () => {
  const { codec: payloads } = codec();
  const whole = fromHex("02 04 c000022a c350");
  for (let end = 0; end < whole.length; end++) strictEqual(payloads.decode(whole.subarray(0, end)), "truncated");
  const reasons = ["06 00", "03 00", "02 05 c000022a c350", "02 00 6869"].map((hex) => payloads.decode(fromHex(hex)));
  deepStrictEqual(reasons, ["unknown context", "unknown context", "IP version", "IP version"]);
});

Deno.test("HTTP Datagrams of context 0, or longer than UDP has them, end the tunnel (RFC 9298 §5)", () => {
  const { codec: payloads } = codec();
  throws(() => payloads.decode(fromHex("00 6869")), { code: "H3_MESSAGE_ERROR", message: /context 0/ });
  const bytes = new Uint8Array(MAX_UDP_PAYLOAD_BYTES + 2);
  bytes[0] = 4;
  throws(() => payloads.decode(bytes), { code: "H3_MESSAGE_ERROR", message: /65528 bytes/ });
  ok(typeof payloads.decode(bytes.subarray(1).with(0, 4)) === "object");
});
