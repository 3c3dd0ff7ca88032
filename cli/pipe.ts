/**
 * Bytes between stdin, a session and stdout: one unidirectional stream each way, so that either side may speak first.
 *
 * @module
 */

import { endedError } from "../transports/session.ts";
import type { Session } from "../transports/session.ts";

/** The code a session is closed with when it did not come to its end. */
export const CUT_SHORT = 1;

/** What went through. */
export interface PipeCounts {
  sent: number;
  received: number;
}

/** Where the bytes of a session come from and go to. */
export interface PipeEnds {
  readonly input: ReadableStream<Uint8Array>;
  readonly output: WritableStream<Uint8Array>;
  /** Called when the peer has sent everything while `input` goes on. */
  readonly onReceived?: () => void;
}

/**
 * Carries `input` to the peer and what the peer sends to `output`, until both directions have ended, FIN and
 * acknowledgement included. If that fails the session is closed, and the peer told why.
 *
 * @throws {Error} If the session ends before, or an end of ours breaks.
 */
export async function pipeSession(session: Session, ends: PipeEnds, counts: PipeCounts): Promise<void> {
  let isSent = false;
  const outgoing = async (): Promise<void> => {
    const stream = await session.openUnidirectionalStream();
    await ends.input.pipeThrough(counting((bytes) => counts.sent += bytes)).pipeTo(stream);
    isSent = true;
  };
  const incoming = async (): Promise<void> => {
    const stream = await firstIncoming(session);
    await stream.pipeThrough(counting((bytes) => counts.received += bytes)).pipeTo(ends.output);
    if (!isSent) ends.onReceived?.();
  };
  await closingOnFailure(session, Promise.all([outgoing(), incoming()]));
}

/** Returns every byte of the peer's stream, then FIN. @throws {Error} If the session ends before. */
export async function echoSession(session: Session, counts: PipeCounts): Promise<void> {
  const echo = async (): Promise<void> => {
    const stream = await firstIncoming(session);
    const back = await session.openUnidirectionalStream();
    const counted = counting((bytes) => {
      counts.received += bytes;
      counts.sent += bytes;
    });
    await stream.pipeThrough(counted).pipeTo(back);
  };
  await closingOnFailure(session, echo());
}

async function closingOnFailure(session: Session, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    session.close(CUT_SHORT, error instanceof Error ? error.message : String(error));
    throw error;
  }
}

async function firstIncoming(session: Session): Promise<ReadableStream<Uint8Array>> {
  const reader = session.incomingUnidirectionalStreams.getReader();
  const { value, done } = await reader.read();
  reader.releaseLock();
  if (done) throw endedError(await session.closed);
  return value;
}

function counting(count: (bytes: number) => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller): void {
      count(chunk.length);
      controller.enqueue(chunk);
    },
  });
}
