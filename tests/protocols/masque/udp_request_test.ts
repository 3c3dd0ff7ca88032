import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Field, RequestHead } from "../../../protocols/http3/message.ts";
import { bindRequest } from "../../../protocols/masque/bind_request.ts";
import { proxyErrorResponse, readUdpRequest, TARGET_RESPONSE } from "../../../protocols/masque/udp_request.ts";

const HEAD = bindRequest({ authority: "relay.example:443", token: "abc.DEF-_~+/==" });
const BIND: Field = ["connect-udp-bind", "?1"];

/** The request for one target, as a client of RFC 9298 sends it. */
const toTarget = (host: string, port: string): RequestHead => ({
  method: "CONNECT",
  scheme: "https",
  authority: "relay.example:443",
  path: `/.well-known/masque/udp/${host}/${port}/`,
  protocol: "connect-udp",
  fields: [["capsule-protocol", "?1"], ["authorization", "Bearer abc"]],
});

function verdictOf(request: RequestHead): string {
  const verdict = readUdpRequest(request);
  switch (verdict.type) {
    case "bind":
      return `bind ${verdict.token}`;
    case "target":
      return `${verdict.target} ${verdict.token}`;
    case "refused":
      return [verdict.response.status, ...verdict.response.fields.map(([, value]) => value)].join(" ");
  }
}

const malformed = (details: string): string => `400 traverse; error=http_request_error; details="${details}"`;

Deno.test("A request for wildcards is one to bind (draft-ietf-masque-connect-udp-listen-13)", () => {
  strictEqual(verdictOf(HEAD), "bind abc.DEF-_~+/==");
  strictEqual(verdictOf({ ...HEAD, path: "/.well-known/masque/udp/*/*/" }), "bind abc.DEF-_~+/==");
  const proxyField: Field = ["proxy-authorization", "bearer xyz"];
  strictEqual(verdictOf({ ...HEAD, fields: [["connect-udp-bind", "?1;v=2"], proxyField] }), "bind xyz");
});

Deno.test("A request that asks for no tunnel has its own status (RFC 9298 §3)", () => {
  const wildcards = malformed("Wildcards are for connect-udp-bind");
  const one = malformed("One wildcard without the other names nothing");
  const cases: readonly (readonly [Partial<RequestHead>, string])[] = [
    [{ path: "/" }, "404"],
    [{ path: "/.well-known/masque/udp/%2A/%2A" }, "404"],
    [{ path: "/.well-known/masque/udp/%2A//" }, "404"],
    [{ path: "/.well-known/masque/udp/192.0.2.1/443/?x" }, "404"],
    [{ method: "GET" }, "405"],
    [{ protocol: "connect-ip" }, "501"],
    [{ path: "/.well-known/masque/udp/%2A/443/" }, one],
    [{ path: "/.well-known/masque/udp/192.0.2.1/%2A/" }, one],
    [{ path: "/.well-known/masque/udp/%/%2A/" }, malformed("The path is not percent-encoded")],
    [{ path: "/.well-known/masque/udp/%ff/443/" }, malformed("The path is not percent-encoded")],
    [{ fields: [] }, wildcards],
    [{ fields: [["connect-udp-bind", "?0"]] }, wildcards],
    [{ fields: [BIND, BIND] }, wildcards],
    [{ fields: [BIND, ["authorization", "Basic YTpi"]] }, "bind undefined"],
    [{ fields: [BIND, ["authorization", "Bearer a b"]] }, "bind undefined"],
  ];
  for (const [change, verdict] of cases) {
    strictEqual(verdictOf({ ...HEAD, ...change }), verdict, JSON.stringify(change));
  }
});

Deno.test("A target is an IP address and a port, colons percent-encoded (RFC 9298 §2)", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["192.0.2.6", "443", "192.0.2.6:443 abc"],
    ["192.0.2.6", "1", "192.0.2.6:1 abc"],
    ["192.0.2.6", "65535", "192.0.2.6:65535 abc"],
    ["2001%3Adb8%3A%3A42", "443", "[2001:db8::42]:443 abc"],
    ["2001%3adb8:0:0::42", "443", "[2001:db8::42]:443 abc"],
  ];
  for (const [host, port, verdict] of cases) strictEqual(verdictOf(toTarget(host, port)), verdict, host);
  strictEqual(verdictOf({ ...toTarget("192.0.2.6", "443"), fields: [BIND] }), "192.0.2.6:443 undefined");
});

Deno.test("A target that is none is refused, and a name says that it is not resolved (RFC 9298 §3.1, RFC 9209 §2.3)", () => {
  const port = malformed("The port is not 1 to 65535");
  for (const text of ["0", "65536", "-1", "4a", "443%20", "%2B443", "000443"]) {
    strictEqual(verdictOf(toTarget("192.0.2.6", text)), port, text);
  }
  const host = malformed("The host is neither an IP address nor a name");
  const hosts = [
    "%5B2001%3Adb8%3A%3A1%5D",
    "fe80%3A%3A1%25eth0",
    "a..b",
    "a b",
    "a%20b",
    "a%2Fb",
    "%22",
    "x".repeat(254),
  ];
  for (const text of hosts) strictEqual(verdictOf(toTarget(text, "443")), host, text);
  const name = '502 traverse; error=dns_error; details="names are not resolved here"';
  for (const text of ["target.example", "localhost", "a_b.example.", "192.0.2.256", "1"]) {
    strictEqual(verdictOf(toTarget(text, "443")), name, text);
  }
});

Deno.test("Heads of a proxy's answers to a request for a target (RFC 9298 §3.5, RFC 9209 §2)", () => {
  deepStrictEqual(TARGET_RESPONSE, { status: 200, fields: [["capsule-protocol", "?1"]] });
  deepStrictEqual(proxyErrorResponse("destination_ip_prohibited", "loopback address"), {
    status: 502,
    fields: [["proxy-status", 'traverse; error=destination_ip_prohibited; details="loopback address"']],
  });
  const verdict = readUdpRequest(toTarget("192.0.2.6", "443"));
  strictEqual(verdict.type === "target" && verdict.target, addressOf("192.0.2.6", 443));
});
