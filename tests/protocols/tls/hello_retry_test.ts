import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { toHex } from "../../../protocols/core/bytes.ts";
import type { TlsConfig } from "../../../protocols/tls/config.ts";
import type { Extension } from "../../../protocols/tls/extensions.ts";
import { TlsHandshake } from "../../../protocols/tls/handshake.ts";
import { MAX_COOKIE_BYTES } from "../../../protocols/tls/hello_retry.ts";
import { decodeMessage, encodeMessage, isHelloRetryRequest } from "../../../protocols/tls/messages.ts";
import type { ClientHello } from "../../../protocols/tls/messages.ts";
import { NAMED_GROUPS } from "../../../protocols/tls/named_groups.ts";
import type { NamedGroupName } from "../../../protocols/tls/named_groups.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { CLIENT_CONFIG, SERVER_CONFIG, TlsPair, TlsSide } from "../../support/tls_pair.ts";
import { without } from "../../support/tls_refusals.ts";
import { rewriteHello } from "./alerts/retries.ts";

const GROUPS = Object.keys(NAMED_GROUPS) as NamedGroupName[];
const P384_SERVER: TlsConfig = { ...SERVER_CONFIG, groups: ["secp384r1"] };
const NO_KEY = new Uint8Array(0);

/** What both said at the Initial level, in order. */
function helloTypes(pair: TlsPair): string {
  const types = (side: TlsSide): string =>
    side.sent.filter(({ level }) => level === "initial").map(({ data }) => {
      const message = decodeMessage(data);
      return message.type === "server_hello" && isHelloRetryRequest(message) ? "HRR" : message.type;
    }).join(" ");
  return `${types(pair.client)} / ${types(pair.server)}`;
}

function completes(pair: TlsPair, label: string): void {
  deepStrictEqual([pair.client.alert?.message, pair.server.alert?.message], [undefined, undefined], label);
  ok(pair.client.handshake.isComplete && pair.server.handshake.isComplete, label);
  for (const level of ["handshake", "application"] as const) {
    deepStrictEqual(pair.client.secret(level, "write"), pair.server.secret(level, "read"), label);
    deepStrictEqual(pair.client.secret(level, "read"), pair.server.secret(level, "write"), label);
  }
}

Deno.test("TlsHandshake agrees on each group when its share is sent at once (RFC 8446 §4.2.8)", () => {
  for (const group of GROUPS) {
    const pair = new TlsPair({ ...CLIENT_CONFIG, groups: [group] }, { ...SERVER_CONFIG, groups: [group] }).run();
    completes(pair, group);
    strictEqual(helloTypes(pair), "client_hello / server_hello", group);
  }
});

Deno.test("TlsHandshake asks for a share of each group that none was sent of (RFC 8446 §4.1.4)", () => {
  for (const sent of GROUPS) {
    for (const wanted of GROUPS) {
      if (sent === wanted) continue;
      for (const suite of ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"] as const) {
        const client: TlsConfig = { ...CLIENT_CONFIG, groups: [sent, wanted], keyShares: [sent] };
        const pair = new TlsPair(client, { ...SERVER_CONFIG, cipherSuites: [suite], groups: [wanted] }).run();
        const label = `${sent}, ${wanted} wanted, ${suite}`;
        completes(pair, label);
        strictEqual(helloTypes(pair), "client_hello client_hello / HRR server_hello", label);
        deepStrictEqual(pair.server.eventNames, new TlsPair().run().server.eventNames, label);
      }
    }
  }
});

Deno.test("TlsHandshake asks a client that sends no share at all, for the server's first group (RFC 8446 §4.2.8)", () => {
  const pair = new TlsPair({ ...CLIENT_CONFIG, keyShares: [] }, { ...SERVER_CONFIG, groups: ["secp256r1", "x25519"] })
    .run();
  completes(pair, "no shares");
  const request = decodeMessage(pair.server.sent[0]!.data);
  strictEqual(request.type, "server_hello");
  deepStrictEqual(request.extensions.find(({ type }) => type === "key_share"), {
    type: "key_share",
    entries: [{ group: 0x0017, key: NO_KEY }],
  });
});

Deno.test("TlsHandshake takes a share that is there rather than ask for a group it likes better", () => {
  const pair = new TlsPair(CLIENT_CONFIG, { ...SERVER_CONFIG, groups: ["secp384r1", "x25519"] }).run();
  completes(pair, "x25519");
  strictEqual(helloTypes(pair), "client_hello / server_hello");
});

Deno.test("TlsHandshake agrees on X25519MLKEM768 where both have it, and falls back to x25519 where one has not", () => {
  const client: TlsConfig = { ...CLIENT_CONFIG, keyShares: ["X25519MLKEM768", "x25519"] };
  const agreed = (server: TlsConfig): readonly [number | undefined, string | undefined] => {
    const pair = new TlsPair(client, server).run();
    completes(pair, "hybrid first");
    strictEqual(helloTypes(pair), "client_hello / server_hello");
    const hello = decodeMessage(pair.server.sent[0]!.data);
    if (hello.type !== "server_hello") throw new Error("A ServerHello was expected");
    strictEqual(pair.client.complete?.group, pair.server.complete?.group);
    const share = hello.extensions.find((extension) => extension.type === "key_share")?.entries[0];
    return [share?.group, pair.client.complete?.group];
  };
  deepStrictEqual(agreed(SERVER_CONFIG), [0x11ec, "X25519MLKEM768"]);
  deepStrictEqual(agreed({ ...SERVER_CONFIG, groups: ["secp256r1", "x25519"] }), [0x001d, "x25519"]);
});

Deno.test("TlsHandshake says the second ClientHello as the first, but for the share (RFC 8446 §4.1.2)", () => {
  const pair = new TlsPair(CLIENT_CONFIG, P384_SERVER).run();
  completes(pair, "P-384");
  const [first, second] = pair.client.sent.filter(({ level }) => level === "initial")
    .map(({ data }) => decodeMessage(data));
  if (first?.type !== "client_hello" || second?.type !== "client_hello") throw new Error("Two hellos were expected");
  const rest = (hello: ClientHello): string =>
    toHex(encodeMessage({ ...hello, extensions: without("key_share")(hello) }));
  strictEqual(rest(first), rest(second));
  const shares = second.extensions.find((extension) => extension.type === "key_share")?.entries;
  deepStrictEqual(shares?.map(({ group, key }) => [group, key.length, key[0]]), [[0x0018, 97, 4]]);
});

Deno.test("TlsHandshake returns a cookie, and keeps its shares if no other is asked for (RFC 8446 §4.2.2)", () => {
  for (const length of [1, MAX_COOKIE_BYTES]) {
    const client = new TlsSide(CLIENT_CONFIG, 1);
    const [first] = client.run((handshake) => handshake.start());
    const hello = decodeMessage(first!.data);
    const cookie = new Uint8Array(length).fill(0xc0);
    const [second] = client.run((handshake) => handshake.handleCrypto("initial", requestFor({ cookie })));
    const again = decodeMessage(second!.data);
    if (hello.type !== "client_hello" || again.type !== "client_hello") throw new Error("Two hellos were expected");
    deepStrictEqual(again, { ...hello, extensions: [...hello.extensions, { type: "cookie", cookie }] });
    strictEqual(client.handshake.isComplete, false);
  }
});

/** A request by hand. */
function requestFor({ group, cookie }: { group?: number; cookie?: Uint8Array }): Uint8Array {
  const extensions: Extension[] = [{ type: "supported_versions", versions: [0x0304] }];
  if (group !== undefined) extensions.push({ type: "key_share", entries: [{ group, key: NO_KEY }] });
  if (cookie !== undefined) extensions.push({ type: "cookie", cookie });
  const template = decodeMessage(new TlsPair(CLIENT_CONFIG, P384_SERVER).run().server.sent[0]!.data);
  if (template.type !== "server_hello") throw new Error("A HelloRetryRequest was expected");
  return encodeMessage({ ...template, extensions });
}

Deno.test("TlsHandshake takes a second ClientHello whose extensions come in another order, or are padded", () => {
  // Only as far as ServerHello: the transcripts differ from here on, which Finished shows.
  for (
    const extra of [[], [{
      type: "other",
      code: 21,
      data: new Uint8Array(9),
    }]] as const satisfies readonly Extension[][]
  ) {
    const pair = new TlsPair(CLIENT_CONFIG, P384_SERVER).run(
      rewriteHello("second", (hello) => ({ ...hello, extensions: [...extra, ...hello.extensions.toReversed()] })),
    );
    strictEqual(pair.server.alert, undefined);
    strictEqual(pair.server.sent.filter(({ level }) => level === "initial").length, 2);
    strictEqual(pair.client.alert?.alert, "decrypt_error");
  }
});

Deno.test("TlsHandshake only waits when a message of a retry is cut off at any byte (RFC 8446 §4)", () => {
  for (const target of [1, 2]) {
    let length = 1;
    for (let cut = 0; cut < length; cut++) {
      let index = 0;
      const pair = new TlsPair(CLIENT_CONFIG, P384_SERVER).run((_from, one) => {
        if (index++ !== target) return [one];
        length = one.data.length;
        return [{ level: one.level, data: one.data.subarray(0, cut) }];
      });
      deepStrictEqual([pair.client.alert, pair.server.alert], [undefined, undefined]);
      ok(!pair.client.handshake.isComplete && !pair.server.handshake.isComplete);
    }
    ok(length > 50);
  }
});

Deno.test("TlsHandshake refuses groups and shares that cannot work", () => {
  const start = (config: TlsConfig): void => void new TlsHandshake(config, seededRandom(1));
  throws(() => start({ ...CLIENT_CONFIG, groups: [] }), RangeError);
  throws(() => start({ ...CLIENT_CONFIG, groups: ["x25519"], keyShares: ["secp256r1"] }), RangeError);
});
