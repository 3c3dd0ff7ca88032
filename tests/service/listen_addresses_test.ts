import { deepStrictEqual } from "node:assert/strict";
import type { Host, NetworkInterface } from "../../io/host.ts";
import { addressOf, parseAddress } from "../../protocols/core/address.ts";
import { announcedStun, stunPlaces, urlHosts, WILDCARD_STUN_NOTE } from "../../service/listen_addresses.ts";

function hostWith(interfaces: readonly NetworkInterface[]): Pick<Host, "interfaces"> {
  return { interfaces: () => interfaces };
}

function networkInterface(name: string, host: string, hasDefaultRoute: boolean): NetworkInterface {
  return { name, address: addressOf(host, 0), isLoopback: name === "lo", hasDefaultRoute };
}

const HOST = hostWith([
  networkInterface("lo", "127.0.0.1", false),
  networkInterface("lo", "::1", false),
  networkInterface("docker0", "172.17.0.1", false),
  networkInterface("eth0", "192.0.2.7", true),
  networkInterface("eth0", "fe80::1%eth0", false),
  networkInterface("eth0", "2001:db8::7", true),
]);
const BLIND = hostWith([]);

async function places(
  host: Pick<Host, "interfaces">,
  wanted: readonly string[] | undefined,
  listen: string,
): Promise<unknown> {
  const { addresses, notes } = await stunPlaces(host, wanted, parseAddress(listen));
  return [addresses.map(String), ...notes];
}

Deno.test("STUN listens on each address that a wildcard stands for, and else where it is told", async () => {
  deepStrictEqual(await places(HOST, undefined, "0.0.0.0:8080"), [
    ["192.0.2.7:3478", "172.17.0.1:3478", "127.0.0.1:3478"],
  ]);
  deepStrictEqual(await places(HOST, undefined, "[::]:8080"), [[
    "192.0.2.7:3478",
    "[2001:db8::7]:3478",
    "172.17.0.1:3478",
    "127.0.0.1:3478",
    "[::1]:3478",
  ]]);
  deepStrictEqual(await places(HOST, undefined, "192.0.2.7:8080"), [["192.0.2.7:3478"]]);
  deepStrictEqual(await places(HOST, ["192.0.2.7:1", "127.0.0.1:2"], "0.0.0.0:8080"), [["192.0.2.7:1", "127.0.0.1:2"]]);
  deepStrictEqual(await places(HOST, ["192.0.2.7:1", "0.0.0.0:1"], "0.0.0.0:8080"), [
    ["192.0.2.7:1", "172.17.0.1:1", "127.0.0.1:1"],
  ]);
});

Deno.test("STUN listens on one wildcard socket where the addresses are not known", async () => {
  deepStrictEqual(await places(BLIND, undefined, "0.0.0.0:8080"), [["0.0.0.0:3478"], WILDCARD_STUN_NOTE]);
  deepStrictEqual(await places(BLIND, ["[::]:1", "0.0.0.0:2"], "127.0.0.1:8080"), [
    ["[::]:1", "0.0.0.0:2"],
    WILDCARD_STUN_NOTE,
  ]);
  deepStrictEqual(await places(BLIND, undefined, "127.0.0.1:8080"), [["127.0.0.1:3478"]]);
});

Deno.test("STUN is announced by its port alone where it is on the hub's own host, as clients call it", () => {
  const announce = (listen: string, ...locals: readonly string[]): string[] => {
    const bases = locals.map((local) => ({ kind: "socket", local: parseAddress(local), maxPayloadBytes: 1 }) as const);
    return announcedStun(bases, parseAddress(listen));
  };
  deepStrictEqual(announce("0.0.0.0:8080", "192.0.2.7:3478", "127.0.0.1:3478"), [":3478"]);
  deepStrictEqual(announce("192.0.2.7:8080", "192.0.2.7:3478", "192.0.2.8:3479"), [":3478", "192.0.2.8:3479"]);
  deepStrictEqual(announce("192.0.2.7:8080", "0.0.0.0:3478"), [":3478"]);
});

Deno.test("A hub's URL has the name it was given, or the machine's addresses, never the wildcard", () => {
  const hosts = (given: string, listening: string): string[] => urlHosts(HOST, given, parseAddress(listening));
  deepStrictEqual(hosts("hub.example:0", "192.0.2.7:8080"), ["hub.example:8080"]);
  deepStrictEqual(hosts("192.0.2.7:8080", "192.0.2.7:8080"), ["192.0.2.7:8080"]);
  deepStrictEqual(hosts("[2001:DB8::7]:0", "[2001:db8::7]:8080"), ["[2001:db8::7]:8080"]);
  deepStrictEqual(hosts("0.0.0.0:0", "0.0.0.0:8080"), ["192.0.2.7:8080", "172.17.0.1:8080"]);
  const lonely = hostWith([networkInterface("lo", "127.0.0.1", false)]);
  deepStrictEqual(urlHosts(lonely, "0.0.0.0:0", parseAddress("0.0.0.0:8080")), ["127.0.0.1:8080"]);
  deepStrictEqual(urlHosts(BLIND, "0.0.0.0:0", parseAddress("0.0.0.0:8080")), []);
});
