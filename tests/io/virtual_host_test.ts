import { VirtualNetwork } from "../../lab/mod.ts";
import { addressOf } from "../../protocols/core/address.ts";
import { testHostContract } from "../contract/host.ts";

const SETTLE_MS = 1000;

testHostContract({
  name: "of the virtual network",
  open: () => {
    const network = new VirtualNetwork({ seed: 1 });
    // Slow enough that a sender can run out of room.
    const a = network.host("a", { rttToCoreMs: 2, sendBufferBytes: 40_000, up: { rateBitsPerSecond: 8_000_000 } });
    const b = network.host("b", { rttToCoreMs: 2 });
    return {
      a,
      b,
      addressOfA: addressOf(a.address().host, 0),
      addressOfB: addressOf(b.address().host, 0),
      settle(isDone): Promise<void> {
        if (!isDone()) network.run({ until: network.now + SETTLE_MS, stopWhen: isDone });
        return Promise.resolve();
      },
      close(): void {},
    };
  },
});
