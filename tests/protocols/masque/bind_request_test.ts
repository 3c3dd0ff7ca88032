import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Field } from "../../../protocols/http3/message.ts";
import { bindRequest, bindResponse, readBindResponse } from "../../../protocols/masque/bind_request.ts";

const HEAD = bindRequest({ authority: "relay.example:443", token: "abc.DEF-_~+/==" });

Deno.test("A bind request is an extended CONNECT to a wildcard (RFC 9298 §3, draft-ietf-masque-connect-udp-listen-13)", () => {
  deepStrictEqual(HEAD, {
    method: "CONNECT",
    scheme: "https",
    authority: "relay.example:443",
    path: "/.well-known/masque/udp/%2A/%2A/",
    protocol: "connect-udp",
    fields: [
      ["capsule-protocol", "?1"],
      ["connect-udp-bind", "?1"],
      ["authorization", "Bearer abc.DEF-_~+/=="],
    ],
  });
});

Deno.test("A bind response tells the public addresses (draft-ietf-masque-connect-udp-listen-13)", () => {
  const addresses = [addressOf("192.0.2.45", 54321), addressOf("2001:db8::1234", 54321)];
  const response = bindResponse(addresses);
  deepStrictEqual(response.fields[2], ["proxy-public-address", '"192.0.2.45:54321", "[2001:db8::1234]:54321"']);
  deepStrictEqual(readBindResponse(response), addresses);
  const loopback = [addressOf("127.0.0.1", 54321)];
  deepStrictEqual(readBindResponse(bindResponse(loopback), true), loopback);
});

Deno.test("A response that grants nothing says why", () => {
  const ok: Field = ["connect-udp-bind", "?1"];
  const cases: readonly (readonly [number, readonly Field[], string])[] = [
    [401, [ok], "the proxy answered 401"],
    [200, [], "the proxy does not bind"],
    [200, [["connect-udp-bind", "1"]], "the proxy does not bind"],
    [200, [ok], "the proxy tells no public address"],
    [200, [ok, ["proxy-public-address", "192.0.2.1:1"]], "the proxy tells no public address"],
    [200, [ok, ["proxy-public-address", '"192.0.2.1"']], "the proxy tells a public address that is none"],
    [200, [ok, ["proxy-public-address", '"192.0.2.1:99999"']], "the proxy tells a public address that is none"],
    [200, [ok, ["proxy-public-address", '"relay.example:443"']], "the proxy tells a public address that is none"],
    [200, [ok, ["proxy-public-address", '"192.0.2.1:0"']], "the proxy tells an address with port 0"],
    [200, [ok, ["proxy-public-address", '"0.0.0.0:7"']], "the proxy tells 0.0.0.0, which is unspecified"],
    [200, [ok, ["proxy-public-address", '"224.0.0.1:7"']], "the proxy tells 224.0.0.1, which is multicast"],
    [200, [ok, ["proxy-public-address", '"192.0.2.1:7", "[::1]:7"']], "the proxy tells ::1, which is loopback"],
    [
      200,
      [ok, ["proxy-public-address", Array(9).fill('"192.0.2.1:1"').join(",")]],
      "the proxy tells more than 8 public addresses",
    ],
  ];
  for (const [status, fields, reason] of cases) strictEqual(readBindResponse({ status, fields }), reason);
});
