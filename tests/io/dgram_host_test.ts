import { DgramHost } from "../../io/dgram_host.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { type HostFixture, testHostContract } from "../contract/host.ts";

const MAX_TURNS = 20_000;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function settle(isDone: () => boolean): Promise<void> {
  for (let turns = 0; turns < MAX_TURNS && !isDone(); turns++) await turn();
}

function fixture(host: string): () => HostFixture {
  return () => {
    const a = new DgramHost();
    const b = new DgramHost();
    return {
      a,
      b,
      addressOfA: addressOf(host, 0),
      addressOfB: addressOf(host, 0),
      settle,
      close(): void {
        a[Symbol.dispose]();
        b[Symbol.dispose]();
      },
    };
  };
}

testHostContract({ name: "dgram_host on IPv4", open: fixture("127.0.0.1") });
testHostContract({ name: "dgram_host on IPv6", open: fixture("::1") });
