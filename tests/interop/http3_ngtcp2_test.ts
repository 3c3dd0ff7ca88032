/**
 * Our HTTP/3 against ngtcp2's (nghttp3), in both roles.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import type { RequestHead } from "../../protocols/http3/message.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { sameBytes } from "../support/same_bytes.ts";
import { countingBytes } from "./http3_peer.ts";
import { http3ClientTls, http3ServerTls, Http3Socket } from "./http3_socket.ts";
import { NGTCP2_CLIENT, NGTCP2_SERVER, ngtcp2Client, ngtcp2Server } from "./ngtcp2.ts";
import { peerTest, pemFiles } from "./peers.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const GET: RequestHead = { method: "GET", scheme: "https", authority: "localhost", path: "/file", fields: [] };

peerTest(
  NGTCP2_SERVER,
  "Our HTTP/3 client fetches from ngtcp2's server, trailers and all (RFC 9114 §4.1)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    using folder = temporaryFolder();
    const content = randomFillSync(new Uint8Array(2_000_000));
    Deno.writeFileSync(`${folder.path}/file`, content);
    await using server = await ngtcp2Server(files, folder.path, ["--send-trailers"]);
    await using socket = new Http3Socket();
    const peer = await socket.connect(server.port, http3ClientTls(certificate));

    const got = await peer.fetch(GET);
    strictEqual(got.response.status, 200);
    ok(got.response.fields.some(([name, value]) => name === "content-length" && value === "2000000"));
    sameBytes(got.content, content);
    strictEqual((await peer.fetch({ ...GET, path: "/missing" })).response.status, 404);
    strictEqual((await peer.fetch({ ...GET, method: "HEAD" })).content.length, 0);
    // Several at once.
    const answers = await Promise.all(Array.from({ length: 5 }, () => peer.fetch(GET)));
    for (const answer of answers) sameBytes(answer.content, content);
    deepStrictEqual(socket.events.filter(({ type }) => type === "failed" || type === "reset"), []);
  },
);

peerTest(NGTCP2_CLIENT, "Our HTTP/3 server serves ngtcp2's client (RFC 9114 §4.1)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using folder = temporaryFolder();
  await using socket = Http3Socket.server(http3ServerTls(certificate));
  const sizes = [0, 1, 1000, 100_000, 3_000_000];
  await ngtcp2Client(socket.port, sizes.map((size) => `/bytes/${size}`), folder.path);
  for (const size of sizes.slice(1)) {
    sameBytes(Deno.readFileSync(`${folder.path}/${size}`), countingBytes(size));
  }
  const requests = socket.events.filter((event) => event.type === "request");
  strictEqual(requests.length, sizes.length);
  const { request } = requests[0]!;
  deepStrictEqual([request.method, request.scheme, request.authority], [
    "GET",
    "https",
    `localhost:${socket.port}`,
  ]);
});

peerTest(NGTCP2_CLIENT, "Our HTTP/3 server echoes what ngtcp2's client posts (RFC 9114 §4.1)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using folder = temporaryFolder();
  const content = randomFillSync(new Uint8Array(1_000_000));
  Deno.writeFileSync(`${folder.path}/upload`, content);
  await using socket = Http3Socket.server(http3ServerTls(certificate));
  await ngtcp2Client(socket.port, ["/echo"], folder.path, [`--data=${folder.path}/upload`, "--http-method=POST"]);
  sameBytes(Deno.readFileSync(`${folder.path}/echo`), content);
});
