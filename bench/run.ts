/**
 * `deno task bench`: calls in the virtual network and all measurements on real sockets, as Markdown; with `--write` into
 * `docs/performance.md` as well.
 *
 *     deno task bench [--write] [--rounds 5] [--quick]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { firstByteSequence, firstByteTable, measureFirstByte } from "./first_byte.ts";
import { measureMemory, memoryTable } from "./memory.ts";
import { measureNative, nativeSequence, nativeTable } from "./native.ts";
import { measureProfile, profileTable } from "./profile.ts";
import { measureThroughput, throughputShortfalls, throughputTable } from "./throughput.ts";

const DOCUMENT = new URL("../docs/performance.md", import.meta.url);

/** Puts a result between its markers. */
function replaceSection(document: string, name: string, content: string): string {
  const begin = `<!-- bench: ${name} -->`;
  const end = "<!-- end -->";
  const start = document.indexOf(begin);
  const stop = document.indexOf(end, start);
  if (start < 0 || stop < 0) throw new Error(`Cannot write ${name}: docs/performance.md has no "${begin}" … "${end}"`);
  return `${document.slice(0, start + begin.length)}\n\n${content}\n\n${document.slice(stop)}`;
}

/** What was measured on, without what would tell one machine from another. */
function machine(): string {
  const gibibytes = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const { deno, v8 } = Deno.version;
  return `Deno ${deno} (V8 ${v8}), ${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} cores, ` +
    `${gibibytes} GiB, ${new Date().toISOString().slice(0, 10)}.`;
}

async function main(options: { write: boolean; rounds: number; quick: boolean }): Promise<boolean> {
  const scale = options.quick ? 0.25 : 1;
  const throughput = await measureThroughput({ rounds: options.rounds, scale });
  const profile = await measureProfile(128 * scale);
  const memory = await measureMemory({ handshakes: 10_000 * scale, mebibytes: 1024 * scale, pauseSeconds: 10 * scale });
  const sections: readonly (readonly [string, string])[] = [
    ["first byte", firstByteTable(measureFirstByte())],
    ["sequence", `\`\`\`text\n${firstByteSequence()}\n\`\`\``],
    ["quic-native", nativeTable(measureNative())],
    ["quic-native sequence", `\`\`\`text\n${nativeSequence()}\n\`\`\``],
    ["machine", machine()],
    ["throughput", throughputTable(throughput)],
    ["profile", profileTable(profile)],
    ["memory", memoryTable(memory)],
  ];
  for (const [name, content] of sections) console.log(`\n## ${name}\n\n${content}`);
  if (options.write) {
    const document = await Deno.readTextFile(DOCUMENT);
    await Deno.writeTextFile(
      DOCUMENT,
      sections.reduce((text, [name, content]) => replaceSection(text, name, content), document),
    );
  }
  const shortfalls = throughputShortfalls(throughput);
  for (const shortfall of shortfalls) console.error(shortfall);
  return memory.isWithinLimits && shortfalls.length === 0;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      write: { type: "boolean", default: false },
      rounds: { type: "string", default: "5" },
      quick: { type: "boolean", default: false },
    },
  });
  const isGood = await main({ write: values.write, rounds: Number(values.rounds), quick: values.quick });
  if (!isGood) Deno.exit(1);
}
