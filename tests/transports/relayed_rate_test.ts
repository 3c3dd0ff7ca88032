import { deepStrictEqual, ok } from "node:assert/strict";
import type { QuicConnection } from "../../protocols/quic/connection.ts";
import { DEFAULT_RELAY_LIMITS } from "../../service/relay_limits.ts";
import { CALL_AT, type NativePeer, NativeWorld } from "../support/native_world.ts";

const SYMMETRIC = { mapping: "APDM", filtering: "APDF" } as const;
const RTT_MS = 50;
const TOTAL_BYTES = 10_000_000;
const MAX_MS = 60_000;
const CHUNK = new Uint8Array(16 * 1024);

/** One side: sends all it has as there is room, and counts what comes. */
class Side {
  readBytes = 0;
  doneAt = NaN;
  #sentBytes = 0;
  readonly #world: NativeWorld;
  readonly #peer: NativePeer;

  constructor(world: NativeWorld, peer: NativePeer) {
    this.#world = world;
    this.#peer = peer;
    peer.onConnection = (connection, event): void => {
      if (event.type !== "streamReadable" && event.type !== "streamWritable") return;
      this.#read(connection, event.id);
      this.give(connection, event.id);
    };
  }

  give(connection: QuicConnection, id: number): void {
    while (this.#sentBytes < TOTAL_BYTES) {
      const taken = connection.write(id, CHUNK.subarray(0, Math.min(CHUNK.length, TOTAL_BYTES - this.#sentBytes)));
      this.#sentBytes += taken;
      if (taken === 0) break;
    }
    this.#peer.drain();
  }

  /** Of the port's limit, which is for UDP payloads. */
  get share(): number {
    return this.readBytes / ((this.doneAt - CALL_AT) / 1000) / DEFAULT_RELAY_LIMITS.bytesPerSecond;
  }

  #read(connection: QuicConnection, id: number): void {
    for (let data = connection.read(id); data !== undefined; data = connection.read(id)) this.readBytes += data.length;
    if (this.readBytes === TOTAL_BYTES && Number.isNaN(this.doneAt)) this.doneAt = this.#world.net.now;
  }
}

Deno.test("quic-native: through a relay with its default limits, symmetric NATs, both ways have 80 % of the rate at once", () => {
  const world = new NativeWorld({ seed: 1, rttMs: RTT_MS, caller: SYMMETRIC, listener: SYMMETRIC });
  world.net.run({ until: CALL_AT });
  const peer = world.dial();
  const [caller, listener] = [new Side(world, peer), new Side(world, world.listener)];
  peer.onSession = (connection): void => {
    const id = connection.openStream("bidirectional");
    if (id !== undefined) caller.give(connection, id);
  };
  world.until(() => !Number.isNaN(caller.doneAt + listener.doneAt), MAX_MS);
  deepStrictEqual([caller.readBytes, listener.readBytes, peer.path], [TOTAL_BYTES, TOTAL_BYTES, "relayed"]);
  for (const { share } of [caller, listener]) {
    ok(share >= 0.8 && share <= 1.1, `${(100 * share).toFixed(1)} % of what the port may carry`);
  }
});
