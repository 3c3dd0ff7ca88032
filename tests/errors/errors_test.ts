import { deepStrictEqual } from "node:assert/strict";
import { codeOf } from "./row.ts";
import { ERROR_ROWS } from "./table.ts";

for (const row of ERROR_ROWS) {
  const { rfc, section, rule, by, name, frameType, play } = row;
  for (const side of by) {
    Deno.test(`${rule}, by a ${side}: ${name} (${rfc} ${section})`, () => {
      const { code, ...answer } = play(side);
      deepStrictEqual(code, codeOf(name), `0x${code.toString(16)}`);
      if (answer.frame === 0x1c) deepStrictEqual(answer.frameType, frameType);
    });
  }
}
