import { strictEqual } from "node:assert/strict";
import { HTTP3_ERROR, nameHttp3Error } from "../../../protocols/http3/errors.ts";

Deno.test("HTTP/3 error codes are those of the registry (RFC 9114 §8.1, RFC 9204 §6, RFC 9297 §5.2)", () => {
  strictEqual(nameHttp3Error(0x010e), "H3_MESSAGE_ERROR");
  strictEqual(nameHttp3Error(0x33), "H3_DATAGRAM_ERROR");
  strictEqual(nameHttp3Error(0x0200), "QPACK_DECOMPRESSION_FAILED");
  strictEqual(nameHttp3Error(0x1f * 3 + 0x21), "0x7e");
  strictEqual(new Set(Object.values(HTTP3_ERROR)).size, 21);
});
