import { deepStrictEqual, ok } from "node:assert/strict";
import { firstByteSequence, firstByteTable, measureFirstByte } from "../../bench/first_byte.ts";
import { measureNative, nativeSequence, nativeTable } from "../../bench/native.ts";

const DOCUMENT = Deno.readTextFileSync(new URL("../../docs/performance.md", import.meta.url));

/** The lines of a section that `deno task bench --write` writes, as they are apart from how Markdown is set. */
function section(name: string): Set<string> {
  const begin = `<!-- bench: ${name} -->`;
  const start = DOCUMENT.indexOf(begin);
  ok(start >= 0, `docs/performance.md has no ${begin}`);
  return new Set(linesOf(DOCUMENT.slice(start + begin.length, DOCUMENT.indexOf("<!-- end -->", start))));
}

function linesOf(text: string): string[] {
  return text.split("\n").map((line) => line.replaceAll(/[ -]+/g, " ").trim()).filter((line) => line !== "");
}

const SECTIONS: readonly (readonly [name: string, measure: () => string])[] = [
  ["first byte", () => firstByteTable(measureFirstByte({ isExact: true }))],
  ["sequence", firstByteSequence],
  ["quic-native", () => nativeTable(measureNative({ isExact: true }))],
  ["quic-native sequence", nativeSequence],
];

for (const [name, measure] of SECTIONS) {
  Deno.test(`docs/performance.md has the ${name} that the virtual network gives now; deno task bench --write renews it`, () => {
    const lines = linesOf(measure());
    ok(lines.length > 8);
    const said = section(name);
    deepStrictEqual(lines.filter((line) => !said.has(line)), []);
  });
}
