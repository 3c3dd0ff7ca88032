import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import type { Address } from "../../protocols/core/address.ts";
import { SigningKey } from "../../protocols/crypto/signature.ts";
import { x509Credential } from "../../protocols/tls/certificates.ts";
import { decodePem } from "../../protocols/tls/pem.ts";
import { RelayedListener } from "../../signaling/relayed.ts";
import { chainVerifier } from "../../transports/chain_verifier.ts";
import { quicNative } from "../../transports/quic_native.ts";
import type { RelayAccess } from "../../transports/traversal.ts";
import { authority, CHAIN_EPOCH_MS, dnsName, ipAddress, type Issued, server } from "../support/certificate_chain.ts";
import { NativePeer } from "../support/native_world.ts";
import { startRelay } from "../support/relay_world.ts";
import { keyOf } from "../support/virtual_peers.ts";

const NAME = "relay.example.org";
const RTT_MS = 40;
const ROOT = authority("Root");
const MIDDLE = authority("Middle", { issuer: ROOT });

interface Options {
  readonly leaf?: Issued;
  readonly serverName?: string;
  /** Addresses of the relay; its own is "relay". */
  readonly addresses?: readonly (Address | "relay")[];
  readonly trusted?: readonly Issued[];
  /** The URL has the certificate's digest. */
  readonly isPinned?: boolean;
}

/** A listener and a relay with that certificate. */
function listenerAt({ leaf = server(MIDDLE), trusted = [ROOT], ...options }: Options): NativePeer {
  const net = new VirtualNetwork({ seed: 1 });
  const key = SigningKey.fromPkcs8(decodePem(leaf.keyPem, "PRIVATE KEY")[0]!);
  const relay = startRelay(net.host("relay"), { credential: x509Credential([leaf.der, MIDDLE.der], key) });
  const host = net.host("b", { rttToCoreMs: RTT_MS });
  const { addresses = ["relay"], serverName = NAME } = options;
  const access: RelayAccess = {
    addresses: addresses.map((address) => address === "relay" ? relay.address : address),
    authority: `${NAME}:443`,
    ...(serverName === "" ? {} : { serverName }),
    ...(options.isPinned === true ? { certificateSha256: leaf.sha256 } : {}),
  };
  const verifyChain = chainVerifier({
    host: { epochMs: CHAIN_EPOCH_MS },
    authorities: () => ({ certificates: [] }),
    caCerts: trusted.map(({ pem }) => pem),
  });
  const peer = new NativePeer(host, { stun: addressOf("203.0.113.99", 3478), identity: keyOf(host, 1) }, (node) => {
    const listener = new RelayedListener({ key: node.identity.publicKey, token: new Uint8Array(16) });
    const reception = { listener, patient: false, maxSessions: 1, relays: [access], ticketToken: new Uint8Array(16) };
    return quicNative().accept(reception, { ...node, verifyChain });
  });
  net.run({ until: 2000 });
  return peer;
}

Deno.test("Relay with a name is believed by the chain of its certificate, in no more time than by a digest", () => {
  const ticket = listenerAt({}).first("ticket");
  ok(ticket !== undefined);
  strictEqual(ticket.at, listenerAt({ isPinned: true }).first("ticket")?.at);
  // A digest is all that counts.
  ok(listenerAt({ isPinned: true, trusted: [], serverName: "other.example.org" }).first("ticket") !== undefined);
  const wild = server(MIDDLE, { names: [dnsName("*.example.org")] });
  ok(listenerAt({ leaf: wild }).first("ticket") !== undefined);
});

Deno.test("Relay whose certificate is not good for its name is refused, and people are told why (RFC 8446 §6.2)", () => {
  const past = { notBefore: CHAIN_EPOCH_MS - 2 * 86_400_000, notAfter: CHAIN_EPOCH_MS - 86_400_000 };
  const stranger = authority("Stranger");
  const table: readonly [Options, RegExp][] = [
    [{ leaf: server(MIDDLE, past) }, /it has expired$/],
    [{ serverName: "other.example.org" }, /it is not for other\.example\.org$/],
    [{ serverName: "" }, /it is not for 203\.0\.113\.\d+$/],
    [{ leaf: server(stranger) }, /no authority that is trusted has issued it$/],
    [{ trusted: [] }, /no authority that is trusted has issued it$/],
  ];
  for (const [options, reason] of table) {
    const peer = listenerAt(options);
    strictEqual(peer.first("ticket"), undefined);
    match(peer.first("unregistered")?.event.reason ?? "", reason);
    match(peer.first("unregistered")?.event.reason ?? "", /^the relay's certificate is refused: /);
  }
});

Deno.test("Relay with an IP address in its URL and no digest is believed by a certificate for that address", () => {
  const leaf = server(MIDDLE, { names: [ipAddress(203, 0, 113, 1)] });
  const peer = listenerAt({ leaf, serverName: "" });
  ok(peer.first("ticket") !== undefined, peer.first("unregistered")?.event.reason ?? "");
});

Deno.test("Relay with several addresses: one that is silent has 250 ms, one without a socket none (RFC 8305 §5)", () => {
  const dead = addressOf("203.0.113.200", 443);
  const first = listenerAt({ addresses: ["relay", dead] }).first("ticket")?.at ?? NaN;
  const afterDead = listenerAt({ addresses: [dead, "relay"] });
  strictEqual(afterDead.first("ticket")?.at, first + 250);
  const v6 = addressOf("2001:db8::1", 443);
  strictEqual(listenerAt({ addresses: [v6, "relay"] }).first("ticket")?.at, first);
  strictEqual(listenerAt({ addresses: [dead, v6, dead, "relay"] }).first("ticket")?.at, first + 500);
  // Those that came too late are given up: nothing is left when the listener ends.
  afterDead.close();
  deepStrictEqual(afterDead.first("failed"), undefined);
  const none = listenerAt({ addresses: [v6] });
  match(none.first("unregistered")?.event.reason ?? "", /^no socket for \[2001:db8::1\]:443$/);
});
