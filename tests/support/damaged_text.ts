/**
 * Texts that have suffered: for decoders, which have to bear them.
 *
 * @module
 */

import { seededRandom } from "./seeded_random.ts";

/** Every beginning of the text, shortest first, without the text itself. */
export function* beginnings(text: string): Generator<string> {
  for (let end = 0; end < text.length; end++) yield text.slice(0, end);
}

/** Characters that mean something to one decoder or another. */
const MARKS = ' \t\r\n\0:@#[]%/.,=+-_{}"\\01lIOzAa\u00e9\ud83d';

/** The text with a character replaced, taken out or put in, `rounds` times, each time anew. */
export function* damaged(text: string, seed: number, rounds: number): Generator<string> {
  const random = seededRandom(seed);
  const draw = new Uint8Array(4);
  for (let round = 0; round < rounds; round++) {
    random.fill(draw);
    const at = ((draw[0]! << 8) | draw[1]!) % (text.length + 1);
    const mark = MARKS.charAt(draw[2]! % MARKS.length);
    const [head, tail] = [text.slice(0, at), text.slice(at)];
    yield [head + mark + tail.slice(1), head + tail.slice(1), head + mark + tail][draw[3]! % 3]!;
  }
}
