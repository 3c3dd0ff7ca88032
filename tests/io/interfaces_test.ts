import { deepStrictEqual } from "node:assert/strict";
import { parseIpv4Routes, parseIpv6Routes } from "../../io/interfaces.ts";

Deno.test("parseIpv4Routes finds the interfaces of default routes", () => {
  const text = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
    "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    "tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000080\t0\t0\t0",
    "dead0\t00000000\t00000000\t0200\t0\t0\t50\t00000000\t0\t0\t0",
    "",
  ].join("\n");
  deepStrictEqual([...parseIpv4Routes(text)], ["eth0"]);
  for (let end = 0; end < text.length; end++) parseIpv4Routes(text.slice(0, end));
});

Deno.test("parseIpv6Routes finds the interfaces of default routes, not the one that rejects", () => {
  const zero = "0".repeat(32);
  const text = [
    `fd000000000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0`,
    `${zero} 00 ${zero} 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth1`,
    `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo`,
    "",
  ].join("\n");
  deepStrictEqual([...parseIpv6Routes(text)], ["eth1"]);
  for (let end = 0; end < text.length; end++) parseIpv6Routes(text.slice(0, end));
});
