import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import type { Base } from "../../../protocols/core/machine.ts";
import { DEFAULT_TRANSPORT_SETTINGS } from "../../../protocols/quic/config.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import {
  decodePreferredAddress,
  encodePreferredAddress,
  preferredFrom,
} from "../../../protocols/quic/preferred_address.ts";
import type { PreferredAddresses } from "../../../protocols/quic/preferred_address.ts";
import { CLIENT_ADDRESS, CLIENT_KEY, Pair, rawKeyTls, SERVER_ADDRESS, SERVER_KEY } from "../../support/quic_pair.ts";
import type { PairOptions } from "../../support/quic_pair.ts";

const PREFERRED = addressOf("198.51.100.7", 4434);
const PREFERRED6 = addressOf("2001:db8::7", 4435);
const ID = { connectionId: new Uint8Array(8).fill(5), statelessResetToken: new Uint8Array(16).fill(6) };

Deno.test("preferred_address has both families, zeros for none (RFC 9000 §18.2)", () => {
  for (const addresses of [{ ipv4: PREFERRED }, { ipv6: PREFERRED6 }, { ipv4: PREFERRED, ipv6: PREFERRED6 }, {}]) {
    const value = encodePreferredAddress(addresses, ID);
    strictEqual(value.length, 4 + 2 + 16 + 2 + 1 + 8 + 16);
    deepStrictEqual(decodePreferredAddress(value), { ...addresses, ...ID });
  }
});

Deno.test("preferred_address that is cut short, too long or without a connection ID is refused (RFC 9000 §18.2)", () => {
  const value = encodePreferredAddress({ ipv4: PREFERRED }, ID);
  for (let length = 0; length < value.length; length++) throws(() => decodePreferredAddress(value.subarray(0, length)));
  throws(() => decodePreferredAddress(Uint8Array.of(...value, 0)), TransportError);
  const withoutId = encodePreferredAddress({ ipv4: PREFERRED }, { ...ID, connectionId: new Uint8Array(0) });
  throws(() => decodePreferredAddress(withoutId), TransportError);
});

Deno.test("A client takes the preferred address of its base's family, and none on its own machine from elsewhere (RFC 9000 §9.6, §21.5.3)", () => {
  const base: Base = { kind: "socket", local: CLIENT_ADDRESS, maxPayloadBytes: 1472 };
  strictEqual(preferredFrom({ ipv4: PREFERRED, ipv6: PREFERRED6 }, base, SERVER_ADDRESS), PREFERRED);
  strictEqual(preferredFrom({ ipv6: PREFERRED6 }, base, SERVER_ADDRESS), undefined);
  strictEqual(preferredFrom({ ipv4: SERVER_ADDRESS }, base, SERVER_ADDRESS), undefined);
  const loopback = addressOf("127.0.0.1", 80);
  strictEqual(preferredFrom({ ipv4: loopback }, base, SERVER_ADDRESS), undefined);
  strictEqual(preferredFrom({ ipv4: loopback }, base, addressOf("127.0.0.1", 81)), loopback);
  strictEqual(preferredFrom({ ipv4: addressOf("224.0.0.1", 80) }, base, SERVER_ADDRESS), undefined);
});

function connected(preferredAddress: PreferredAddresses, options: PairOptions["transport"] = {}): Pair {
  const transport = { ...DEFAULT_TRANSPORT_SETTINGS, ...options };
  const tls = rawKeyTls(SERVER_KEY, CLIENT_KEY);
  const pair = new Pair({ transport, server: { server: { tls, transport, preferredAddress } } });
  pair.server.addBase(PREFERRED);
  pair.established();
  pair.runTo(pair.now + 4000);
  return pair;
}

Deno.test("Client goes on to the address that its server prefers (RFC 9000 §9.6)", () => {
  for (const disableActiveMigration of [false, true]) {
    const pair = connected({ ipv4: PREFERRED }, { disableActiveMigration });
    const [client, server] = [pair.client.connections[0]!, pair.server.connections[0]!];
    strictEqual(client.path.remote, PREFERRED);
    strictEqual(server.path.base.local, PREFERRED);
    strictEqual(server.path.isValidated, true);
    deepStrictEqual(pair.client.eventTypes.filter((type) => type.startsWith("path")), ["pathValidated", "pathChanged"]);
    // The ID of the handshake is retired, that of the parameter in use: four in all.
    strictEqual(pair.server.endpoint.tableSizes.routes, 4);
    // Elsewhere it may go only if it was not asked to stay.
    const other = pair.client.addBase(addressOf("203.0.113.9", 1));
    strictEqual(client.migrate(other, PREFERRED, pair.now), true);
    pair.runTo(pair.now + 1000);
    strictEqual(client.probePath(other, SERVER_ADDRESS, pair.now), !disableActiveMigration);
  }
});

Deno.test("Client stays where it is if nobody answers at the address that its server prefers (RFC 9000 §9.6.2)", () => {
  const pair = connected({ ipv4: addressOf("198.51.100.8", 9) });
  const client = pair.client.connections[0]!;
  strictEqual(client.path.remote, SERVER_ADDRESS);
  strictEqual(client.state, "confirmed");
  ok(pair.client.eventTypes.includes("pathFailed"));
  strictEqual(connected({ ipv6: PREFERRED6 }).client.connections[0]!.path.remote, SERVER_ADDRESS);
});
