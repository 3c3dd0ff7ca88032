/**
 * Has TLS inside a connection say something else than it would. It cannot be reached otherwise.
 *
 * @module
 */

import { HandshakeContext } from "../../protocols/tls/context.ts";
import type { CryptoData } from "../../protocols/tls/events.ts";
import type { HandshakeMessage } from "../../protocols/tls/messages.ts";
import type { Change } from "./tls_refusals.ts";

/**
 * Has every TLS machine say what `change` makes of what it would say, while `run` runs. Its own transcript has what it would
 * have said, so that nothing signed afterwards fits.
 */
export function withChange(change: Change | undefined, run: () => void): void {
  const original = HandshakeContext.prototype.pollCrypto;
  const waiting = new WeakMap<HandshakeContext, CryptoData[]>();
  HandshakeContext.prototype.pollCrypto = function (this: HandshakeContext): CryptoData | undefined {
    const queue = waiting.get(this) ?? [];
    waiting.set(this, queue);
    for (let next = original.call(this); next !== undefined; next = original.call(this)) {
      queue.push(...change === undefined ? [next] : change(this.config.role, next));
    }
    return queue.shift();
  };
  try {
    run();
  } finally {
    HandshakeContext.prototype.pollCrypto = original;
  }
}

/** As `withChange`, of messages before they are hashed: the handshake is right but for what they say. */
export function withMessages(
  change: (from: "client" | "server", message: HandshakeMessage) => HandshakeMessage,
  run: () => void,
): void {
  const original = HandshakeContext.prototype.send;
  HandshakeContext.prototype.send = function (this: HandshakeContext, level, message): Uint8Array {
    return original.call(this, level, change(this.config.role, message));
  };
  try {
    run();
  } finally {
    HandshakeContext.prototype.send = original;
  }
}
