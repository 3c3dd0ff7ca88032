import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressOf } from "../../../protocols/core/address.ts";
import { type IceHost, IcePair, type NatOptions } from "../../support/ice_pair.ts";

const FAST = { taMs: 5 } as const;

Deno.test("Agents behind address-restricted NATs meet at their reflexive addresses", () => {
  const { pair, a, b } = behindNats(
    nat("203.0.113.1", "endpoint", "address"),
    nat("203.0.113.2", "endpoint", "address"),
  );
  pair.introduce();
  pair.run(5000);
  deepStrictEqual(
    pair.trace(),
    [
      // The private addresses are tried first, and lead nowhere.
      "0 request a 10.0.0.1:1000 10.0.1.1:2000",
      "0 request b 10.0.1.1:2000 10.0.0.1:1000",
      "5 request a 10.0.0.1:1000 203.0.113.2:40000",
      "5 request b 10.0.1.1:2000 203.0.113.1:40000",
      // Each request opened its sender's NAT before the other's came to it.
      "55 success a 10.0.0.1:1000 203.0.113.2:40000",
      "55 request a 10.0.0.1:1000 203.0.113.2:40000",
      "105 success b 10.0.1.1:2000 203.0.113.1:40000",
      "255 request+use a 10.0.0.1:1000 203.0.113.2:40000",
      "305 success b 10.0.1.1:2000 203.0.113.1:40000",
      // The private addresses would be better, and are asked for as long as any.
      "500 request a 10.0.0.1:1000 10.0.1.1:2000",
      "500 request b 10.0.1.1:2000 10.0.0.1:1000",
      "1500 request a 10.0.0.1:1000 10.0.1.1:2000",
      "1500 request b 10.0.1.1:2000 10.0.0.1:1000",
      "3500 request a 10.0.0.1:1000 10.0.1.1:2000",
      "3500 request b 10.0.1.1:2000 10.0.0.1:1000",
    ],
  );
  strictEqual(a.event("valid")?.pair.remote, addressOf("203.0.113.2", 40000));
  strictEqual(a.event("valid")?.pair.mappedAddress, addressOf("203.0.113.1", 40000));
  strictEqual(b.agent.nominated?.remote, addressOf("203.0.113.1", 40000));
});

Deno.test("Agents find each other through NATs as far as the NATs allow (RFC 4787 §4.1, §5)", () => {
  // Mapping by endpoint or by remote; filtering by nothing, address, address and port.
  const kinds = [
    ["endpoint", "none"],
    ["endpoint", "address"],
    ["endpoint", "address-and-port"],
    ["address-and-port", "address-and-port"],
  ] as const;
  // Without guessing ports a symmetric NAT meets neither its like nor one that filters by port.
  const expected = [
    ["yes", "yes", "yes", "yes"],
    ["yes", "yes", "yes", "yes"],
    ["yes", "yes", "yes", "no"],
    ["yes", "yes", "no", "no"],
  ];
  const seen = kinds.map(([mappingA, filteringA]) =>
    kinds.map(([mappingB, filteringB]) => {
      const { pair, a, b } = behindNats(
        nat("203.0.113.1", mappingA, filteringA),
        nat("203.0.113.2", mappingB, filteringB),
      );
      pair.introduce();
      pair.run(3000);
      const both = [a, b].map(({ agent }) => agent.nominated !== undefined);
      strictEqual(both[0], both[1]);
      return both[0] ? "yes" : "no";
    })
  );
  deepStrictEqual(seen, expected);
});

Deno.test("Agent behind a symmetric NAT is met at a peer-reflexive address (RFC 8445 §7.3.1.3)", () => {
  const { pair, a, b } = behindNats(
    nat("203.0.113.1", "address-and-port", "address-and-port"),
    nat("203.0.113.2", "endpoint", "address"),
  );
  pair.introduce();
  pair.run(3000);
  // 40000 was for the STUN server, 40001 for b's private address, 40002 is for b's public one.
  const mapped = addressOf("203.0.113.1", 40002);
  strictEqual(a.agent.nominated?.mappedAddress, mapped);
  strictEqual(b.agent.nominated?.remote, mapped);
  const report = b.agent.report().find(({ nominated }) => nominated);
  deepStrictEqual([report?.remoteType, report?.state], ["prflx", "succeeded"]);
});

Deno.test("Agents try all they have and say what became of it, when two symmetric NATs are between them", () => {
  const natOf = (host: string): NatOptions => nat(host, "address-and-port", "address-and-port");
  const { pair, a } = behindNats(natOf("203.0.113.1"), natOf("203.0.113.2"));
  pair.introduce();
  pair.run(60_000);
  deepStrictEqual(
    a.event("failed")?.report.map(({ remote, reason, requestsSent, requestsReceived }) =>
      `${remote} ${reason} ${requestsSent} ${requestsReceived}`
    ),
    ["10.0.1.1:2000 timeout 7 0", "203.0.113.2:40000 timeout 7 0"],
  );
  strictEqual(a.event("failed")?.reason, "2 pairs tried, none works: 2 timeout");
});

function nat(publicHost: string, mapping: NatOptions["mapping"], filtering: NatOptions["filtering"]): NatOptions {
  return { publicHost, firstPort: 40000, mapping, filtering };
}

function behindNats(natA: NatOptions, natB: NatOptions): { pair: IcePair; a: IceHost; b: IceHost } {
  const pair = new IcePair({ latencyMs: 50 });
  const a = pair.host("a", {
    role: "controlling",
    addresses: ["10.0.0.1:1000"],
    nat: natA,
    config: { ...FAST, nomination: "automatic" },
  });
  const b = pair.host("b", { role: "controlled", addresses: ["10.0.1.1:2000"], nat: natB, config: FAST });
  return { pair, a, b };
}
