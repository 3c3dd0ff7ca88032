/**
 * `serve`: runs a hub, a STUN server and, if asked for, a relay.
 *
 * @module
 */

import { systemHost } from "../io/system_host.ts";
import type { Address } from "../protocols/core/address.ts";
import { scopeOf } from "../protocols/core/address_scope.ts";
import { DEFAULT_RELAY_LIMITS } from "../service/relay_limits.ts";
import type { RelayService } from "../service/relay_service.ts";
import { serve as startService } from "../service/serve.ts";
import { acceptWebSocket } from "../signaling/websocket.ts";
import { formatRelay } from "../transports/relay_access.ts";
import { parseArgs, UsageError } from "./args.ts";
import { aborted, interruption } from "./interrupt.ts";
import { noWords } from "./options.ts";
import { openRelayState } from "./relay_state_file.ts";
import { Status } from "./status.ts";

/** What `serve --help` prints. */
export const SERVE_HELP = `Runs what peers find each other by: a hub for signaling, a STUN server, and a relay if asked.

  serve                                                 HTTP on port 8080, STUN on UDP 3478
  serve --listen 0.0.0.0:443 --cert cert.pem --cert-key key.pem
  serve --token secret                                  only for those who know the token
  serve --relay 192.0.2.1:4433 --relay-token secret     a relay too; prints what to give to listen --via
  serve --relay 192.0.2.1:4433 --token secret           a relay for all who listen at the hub: they are told of it

usage: serve [options]

  --listen HOST:PORT where the hub listens; default 0.0.0.0:8080
  --stun HOST:PORT   where the STUN server listens; may be repeated; default UDP 3478 of the same host
  --relay HOST:PORT  runs a relay too, on UDP, for --transport quic-native
  --token T          what clients must show
  --relay-token T    what users of the relay must show; default the same; without any the relay is for loopback only
  --relay-anyone     the relay is for whoever listens at the hub, token or none
  --relay-url URL    a relay that the hub names to listeners; may be repeated; default its own, by its addresses
  --relay-secret S   16 characters or more: what a hub shares with relays elsewhere, which then take the hub's word
  --relay-state FILE keeps what the relay is known by over a restart: its certificate, tickets and ports; made if missing
  --cert FILE        certificate chain, PEM; the hub is wss:// then; the relay has its own without it
  --cert-key FILE    its key, PEM
  --json             one JSON object a line on stderr

The hub is at /signal; /health says ok, /metrics counts (Prometheus text).`;

/** Runs the command until it is interrupted. Returns the exit code. */
export async function serve(words: readonly string[]): Promise<number> {
  const args = parseArgs(words, {
    boolean: ["json", "help", "relay-anyone"],
    string: [
      "listen",
      "stun",
      "relay",
      "relay-token",
      "relay-url",
      "relay-secret",
      "relay-state",
      "token",
      "cert",
      "cert-key",
    ],
    collect: ["stun", "relay-url"],
  });
  noWords(args);
  const status = new Status(args.flag("json"));
  const [cert, certKey] = [args.value("cert"), args.value("cert-key")];
  if ((cert === undefined) !== (certKey === undefined)) throw new UsageError("--cert and --cert-key go together");
  const tls = cert === undefined || certKey === undefined
    ? undefined
    : { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(certKey) };
  const [listen, token] = [args.value("listen"), args.value("token")];
  const [relay, relayToken] = [args.value("relay"), args.value("relay-token")];
  const [stun, namedUrls, relaySecret] = [args.values("stun"), args.values("relay-url"), args.value("relay-secret")];
  const statePath = args.value("relay-state");
  if (statePath !== undefined && relay === undefined) throw new UsageError("--relay-state goes with --relay");
  const interrupted = interruption();
  // A socket for each port, and some for STUN and tunnels; no protocol here has longer datagrams than an Ethernet.
  const { host, note } = systemHost({ maxSockets: DEFAULT_RELAY_LIMITS.maxPorts + 256, receiveBufferBytes: 2048 });
  if (note !== undefined) status.note(note);
  const relayState = statePath === undefined
    ? undefined
    : await openRelayState(statePath, host.random, host.epochMs + host.now());
  await using service = await startService({
    host,
    epochMs: host.epochMs,
    acceptUpgrade: acceptWebSocket,
    ...(listen === undefined ? {} : { listen }),
    ...(stun.length === 0 ? {} : { stun }),
    ...(token === undefined ? {} : { token }),
    ...(relay === undefined ? {} : { relay }),
    ...(relayToken === undefined ? {} : { relayToken }),
    ...(relaySecret === undefined ? {} : { relaySecret }),
    ...(namedUrls.length === 0 ? {} : { relayUrls: namedUrls }),
    ...(relayState === undefined ? {} : { relayState }),
    relayAnyone: args.flag("relay-anyone"),
    ...(tls === undefined ? {} : { tls }),
  });
  const { urls, address } = service;
  const stunAddresses = service.stunAddresses.map(String);
  const everywhere = `${tls === undefined ? "ws" : "wss"}://localhost:${address.port}/signal`;
  const [url = everywhere] = urls;
  const where = urls.length > 0 ? url : `port ${address.port} of any address of this machine`;
  const relays = relayUrls(service.relay);
  const ready = { type: "ready", url, stun: stunAddresses, ...(relays.length === 0 ? {} : { relay: relays }) } as const;
  status.tell(ready, `hub at ${where}; stop with Ctrl-C`);
  for (const note of service.notes) status.note(note);
  status.note(`STUN at UDP ${stunAddresses.join(", ")}`);
  if (urls.length > 0) status.note(`both sides say --signaling ${urls.join(", or both ")}`);
  if (relays.length > 0) {
    status.note(`or one side says listen --via ${relays.join(", or --via ")}`);
    status.note("or both say --signaling relay --via that, and need no WebSocket");
  }
  await aborted(interrupted);
  return 0;
}

/** What users of the relay are told, those on loopback last: they can be used on this machine only. */
function relayUrls(relay: RelayService | undefined): readonly string[] {
  if (relay === undefined) return [];
  const isLocal = (address: Address): number => scopeOf(address) === "loopback" ? 1 : 0;
  return relay.addresses.toSorted((a, b) => isLocal(a) - isLocal(b))
    .map((address) => formatRelay(address.toString(), relay.certificateSha256));
}
