/**
 * Bytes between stdin, a session and stdout: one unidirectional stream each way, so that either side may speak first.
 *
 * @module
 */

import type { Session } from "../transports/session.ts";

/** What went through. */
export interface PipeCounts {
  sent: number;
  received: number;
}

/** Where the bytes of a session come from and go to. */
export interface PipeEnds {
  readonly input: ReadableStream<Uint8Array>;
  readonly output: WritableStream<Uint8Array>;
}

/**
 * Carries `input` to the peer and what the peer sends to `output`, until both directions have ended, FIN and
 * acknowledgement included.
 *
 * @throws {Error} If the session ends before, or an end of ours breaks.
 */
export async function pipeSession(session: Session, ends: PipeEnds, counts: PipeCounts): Promise<void> {
  const outgoing = async (): Promise<void> => {
    const stream = await session.openUnidirectionalStream();
    await ends.input.pipeThrough(counting((bytes) => counts.sent += bytes)).pipeTo(stream);
  };
  const incoming = async (): Promise<void> => {
    const stream = await firstIncoming(session);
    await stream.pipeThrough(counting((bytes) => counts.received += bytes)).pipeTo(ends.output);
  };
  await Promise.all([outgoing(), incoming()]);
}

/** Returns every byte of the peer's stream, then FIN. @throws {Error} If the session ends before. */
export async function echoSession(session: Session, counts: PipeCounts): Promise<void> {
  const stream = await firstIncoming(session);
  const back = await session.openUnidirectionalStream();
  const counted = counting((bytes) => {
    counts.received += bytes;
    counts.sent += bytes;
  });
  await stream.pipeThrough(counted).pipeTo(back);
}

async function firstIncoming(session: Session): Promise<ReadableStream<Uint8Array>> {
  const reader = session.incomingUnidirectionalStreams.getReader();
  const { value, done } = await reader.read();
  reader.releaseLock();
  if (done) throw new Error("The session ended before the peer sent anything");
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
