/**
 * Our HTTP/3 against aioquic's, in both roles.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { fromHex, toHex } from "../../protocols/core/bytes.ts";
import type { RequestHead } from "../../protocols/http3/message.ts";
import { selfSignedCertificate } from "../support/certificate.ts";
import { sameBytes } from "../support/same_bytes.ts";
import { AIOQUIC_PEER, aioquicHttp3Client, aioquicHttp3Server } from "./aioquic.ts";
import { countingBytes } from "./http3_peer.ts";
import { http3ClientTls, http3ServerTls, Http3Socket } from "./http3_socket.ts";
import { peerTest, pemFiles } from "./peers.ts";

const GET: RequestHead = {
  method: "GET",
  scheme: "https",
  authority: "localhost",
  path: "/bytes/100000",
  fields: [["user-agent", "traverse"], ["x-utf8", "\xc3\xa9"]],
};

peerTest(AIOQUIC_PEER, "Our HTTP/3 client asks aioquic's server (RFC 9114 §4.1)", async () => {
  const certificate = selfSignedCertificate("P-256");
  using files = pemFiles(certificate);
  const server = await aioquicHttp3Server(files);
  await using _process = server.process;
  await using socket = new Http3Socket();
  const peer = await socket.connect(server.port, http3ClientTls(certificate));
  deepStrictEqual(
    { ...peer.http3.peerSettings },
    { maxFieldSectionBytes: Infinity, enableConnectProtocol: true, enableDatagrams: true },
  );

  const got = await peer.fetch(GET);
  deepStrictEqual(got.response, {
    status: 200,
    fields: [["server", "aioquic"], ["x-saw", "/bytes/100000"], ["content-length", "100000"]],
  });
  sameBytes(got.content, countingBytes(100_000));

  strictEqual((await peer.fetch({ ...GET, path: "/nothing" })).response.status, 404);

  const upload = randomFillSync(new Uint8Array(1024 * 1024));
  const posted = await peer.fetch({ ...GET, method: "POST", fields: [["content-length", `${upload.length}`]] }, upload);
  sameBytes(posted.content, upload);

  // Fields that repeat: what its encoder would put into a table, if ours had room.
  for (let round = 0; round < 100; round++) {
    const { content } = await peer.fetch({ ...GET, path: "/bytes/10", fields: [["x-round", `${round % 7}`]] });
    strictEqual(content.length, 10);
  }
});

peerTest(
  AIOQUIC_PEER,
  "Our HTTP/3 client opens a tunnel at aioquic's server, with datagrams (RFC 9220, RFC 9297)",
  async () => {
    const certificate = selfSignedCertificate("P-256");
    using files = pemFiles(certificate);
    const server = await aioquicHttp3Server(files);
    await using _process = server.process;
    await using socket = new Http3Socket();
    const peer = await socket.connect(server.port, http3ClientTls(certificate));
    const head: RequestHead = {
      method: "CONNECT",
      scheme: "https",
      authority: "localhost",
      path: "/tunnel",
      protocol: "connect-udp",
      fields: [["capsule-protocol", "?1"]],
    };
    const datagrams = [fromHex("00aabb"), new Uint8Array(1000).fill(3), new Uint8Array(0)];
    const answer = await peer.tunnel(head, new TextEncoder().encode("ping"), datagrams);
    strictEqual(answer.response.status, 200);
    strictEqual(new TextDecoder().decode(answer.content), "ping");
    deepStrictEqual(answer.datagrams.map(toHex).sort(), datagrams.map(toHex).sort());
  },
);

for (const algorithm of ["P-256", "Ed25519"] as const) {
  peerTest(
    AIOQUIC_PEER,
    `Our HTTP/3 server serves aioquic's client, ${algorithm} (RFC 9114, RFC 9220, RFC 9297)`,
    async () => {
      const certificate = selfSignedCertificate(algorithm);
      using files = pemFiles(certificate);
      await using socket = Http3Socket.server(http3ServerTls(certificate));
      deepStrictEqual(await aioquicHttp3Client(socket.port, files, ["--rounds", "100"]), {
        type: "done",
        get: "ok",
        status: "200",
        missing: "404",
        post: "ok",
        rounds: 100,
        tunnel: "ping",
        datagrams: ["", "006f6e65", "0074776f"],
      });
      deepStrictEqual(socket.events.filter(({ type }) => type === "failed" || type === "reset"), []);
    },
  );
}
