/**
 * Signaling by copy and paste: what is sent is shown to a person, and what a person pastes is a message.
 *
 * @module
 */

import type { MessageChannel, Signaling } from "./channel.ts";

/** How the two people are spoken to. */
export interface TicketSignalingOptions {
  /** Shows a ticket or an answer to be copied. */
  readonly show: (text: string) => void;
  /** What is pasted, a line each; absent on the calling side, which waits for nothing. */
  readonly pasted?: ReadableStream<string>;
}

/** Copy and paste. It can be opened once, because what was pasted cannot be read twice. */
export function ticketSignaling(options: TicketSignalingOptions): Signaling {
  return {
    name: "ticket",
    dialogue: "paste",
    open({ signal }: { readonly signal: AbortSignal }): Promise<MessageChannel> {
      if (signal.aborted) return Promise.reject(signal.reason);
      let isClosed = false;
      let stop: (() => void) | undefined;
      const messages = options.pasted ?? new ReadableStream<string>({
        start(controller): void {
          stop = (): void => controller.close();
        },
      });
      return Promise.resolve({
        send(message: string): void {
          if (!isClosed) options.show(message);
        },
        messages,
        close(): void {
          if (isClosed) return;
          isClosed = true;
          stop?.();
        },
      });
    },
  };
}
