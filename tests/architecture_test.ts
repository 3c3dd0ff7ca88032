/**
 * The architecture, executed: who may import whom, where the outside world is touched, and the rules of the house that a
 * machine can check. Where the design leaves a choice the stricter reading is taken; whatever departs from it stands below
 * with its reason.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { findLines, readSources, scanSource, type SourceFile } from "./support/source_scan.ts";

const ROOT = new URL("../", import.meta.url);

/** What a program is made of; tests and benchmarks are outside. */
const PROJECT = ["candidates/", "cli/", "io/", "lab/", "mod.ts", "protocols/", "service/", "signaling/", "transports/"];

/**
 * The table "Who may import whom". A folder may always import itself. Entries ending with a slash are folders, with a colon
 * a kind of specifier, others are files or packages.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "protocols/core/": [],
  // "The crypto libraries": what the runtime brings, and the type its functions answer with.
  "protocols/crypto/": ["protocols/core/", "node:crypto", "node:buffer", "libsodium-wrappers", "@noble/"],
  // node:buffer is what npm:stun's codec files take and return.
  "protocols/stun/": ["protocols/core/", "protocols/crypto/", "stun/", "node:buffer"],
  "protocols/tls/": ["protocols/core/", "protocols/crypto/"],
  "protocols/ice/": ["protocols/core/", "protocols/crypto/", "protocols/stun/"],
  "protocols/quic/": ["protocols/core/", "protocols/crypto/", "protocols/tls/"],
  "protocols/http3/": ["protocols/core/", "protocols/quic/"],
  "protocols/masque/": ["protocols/core/", "protocols/quic/", "protocols/http3/"],
  // Names are resolved, and asynchronous shells wait, where sockets and clock are.
  // node:tls has the authorities that the runtime trusts: see ONLY_IN.
  // Sockets and interfaces of any runtime come from node:dgram, node:os, node:fs (the routing table) and node:process.
  "io/": [
    "protocols/core/",
    "node:dgram",
    "node:dns/promises",
    "node:fs",
    "node:os",
    "node:process",
    "node:timers/promises",
    "node:tls",
  ],
  // node:crypto hashes the trace: see ONLY_IN.
  "lab/": ["protocols/core/", "io/", "node:crypto"],
  "candidates/": ["protocols/core/", "io/", "protocols/stun/"],
  // "What they speak": signed records and derived credentials (design decision 8) are said in protocols/crypto.
  "signaling/": ["protocols/core/", "io/", "protocols/crypto/", "ws", "@types/ws", "node:"],
  // Interface files: contracts and the words in them (who a peer is). They name no concrete plugin.
  "transports/": [
    "protocols/",
    "io/",
    "candidates/provider.ts",
    "signaling/channel.ts",
    "signaling/identity.ts",
    "signaling/machines.ts",
  ],
  "service/": [...PROJECT, "node:"],
  "cli/": [...PROJECT, "node:"],
  "mod.ts": PROJECT,
};

/** Specifiers that only these files (or folders) may name. */
const ONLY_IN: readonly { readonly what: string; readonly specifier: RegExp; readonly where: readonly string[] }[] = [
  { what: "the trace hash", specifier: /^node:crypto$/, where: ["protocols/crypto/", "lab/trace.ts"] },
  { what: "UDP", specifier: /^node:dgram$/, where: ["io/dgram_host.ts"] },
  {
    what: "TCP and HTTP",
    specifier: /^(?:node:(?:net|tls|http|https|http2)|ws)$/,
    // io/authorities.ts asks whom TLS trusts, and connects to nobody.
    where: ["signaling/websocket.ts", "service/", "io/authorities.ts"],
  },
];

/** Words of code that only these files (or folders) may use. */
const TOUCHES: readonly { readonly what: string; readonly word: RegExp; readonly where: readonly string[] }[] = [
  { what: "UDP sockets", word: /\bDeno\s*\.\s*(?:listenDatagram|QuicEndpoint|connectQuic)\b/, where: ["io/*_host.ts"] },
  {
    what: "the clock",
    word: /\bDate\b|\bperformance\b|\bset(?:Timeout|Interval|Immediate)\b|\bAbortSignal\s*\.\s*timeout\b/,
    // io/sleep.ts: shells that retry have to wait somewhere; it has no other use of the clock.
    where: ["io/*_host.ts", "io/sleep.ts"],
  },
  {
    what: "randomness",
    word: /\bMath\s*\.\s*random\b|\bgetRandomValues\b|\brandom(?:UUID|Int|FillSync)\b/,
    where: ["io/*_host.ts"],
  },
  {
    what: "TCP and HTTP",
    word: /\bDeno\s*\.\s*(?:connect|connectTls|startTls|listen|listenTls|serve)\b|\bfetch\s*\(|\bnew\s+WebSocket\b/,
    where: ["signaling/websocket.ts", "service/"],
  },
  { what: "foreign functions", word: /\bDeno\s*\.\s*dlopen\b/, where: ["io/libcrypto.ts", "io/linux_sockets.ts"] },
  { what: "the console", word: /\bconsole\b/, where: ["cli/"] },
];

/** No engine has any of this: design decision 1. */
const NOT_IN_ENGINES =
  /\b(?:async|await|Promise|Deno|Date|performance|process|console|queueMicrotask|set(?:Timeout|Interval|Immediate))\b|\bMath\s*\.\s*random\b|\bgetRandomValues\b/;

/** Concrete plugins: named by mod.ts and the command line, and by nothing else. */
const PLUGINS = [
  "candidates/fixed.ts",
  "candidates/host.ts",
  "candidates/server_reflexive.ts",
  "signaling/memory.ts",
  "signaling/relay.ts",
  "signaling/ticket.ts",
  "signaling/websocket.ts",
  "transports/ice_then_quic.ts",
  "transports/quic_native.ts",
];

const MAX_LINES = 600;

const sources = readSources(ROOT, PROJECT);
const allSources = [...sources, ...readSources(ROOT, ["tests/", "bench/"])];

function isUnder(path: string, places: readonly string[]): boolean {
  return places.some((place) => {
    if (place.endsWith("/") || place.endsWith(":")) return path.startsWith(place);
    if (!place.includes("*")) return path === place;
    const [start, end] = place.split("*");
    return path.startsWith(start!) && path.endsWith(end!);
  });
}

/** Where a specifier leads: a path from the root, or the specifier itself. */
function target(file: SourceFile, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  const url = new URL(specifier, new URL(file.path, ROOT)).href;
  return url.startsWith(ROOT.href) ? url.slice(ROOT.href.length) : specifier;
}

function folderOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT).find((folder) => path === folder || (folder.endsWith("/") && path.startsWith(folder)));
}

Deno.test("Architecture: each folder imports only what the table allows", () => {
  const violations = sources.flatMap((file) => {
    const folder = folderOf(file.path);
    if (folder === undefined) return [`${file.path} is in no folder of the table`];
    return file.specifiers
      .map((specifier) => target(file, specifier))
      .filter((path) => !isUnder(path, [folder]) && !isUnder(path, MAY_IMPORT[folder]!))
      .map((path) => `${file.path} -> ${path}`);
  });
  deepStrictEqual(violations, []);
});

Deno.test("Architecture: some specifiers are named only where they belong", () => {
  const violations = ONLY_IN.flatMap(({ what, specifier, where }) =>
    sources
      .filter((file) => !isUnder(file.path, where) && file.specifiers.some((name) => specifier.test(name)))
      .map((file) => `${file.path}: ${what}`)
  );
  deepStrictEqual(violations, []);
});

Deno.test("Architecture: plugins are named by mod.ts and the command line alone", () => {
  const violations = sources
    .filter((file) => file.path !== "mod.ts" && !file.path.startsWith("cli/"))
    .flatMap((file) =>
      file.specifiers
        .map((specifier) => target(file, specifier))
        .filter((path) => PLUGINS.includes(path))
        .map((path) => `${file.path} -> ${path}`)
    );
  deepStrictEqual(violations, []);
});

Deno.test("Architecture: sockets, clock, randomness and console are touched only where they belong", () => {
  const violations = TOUCHES.flatMap(({ what, word, where }) =>
    sources
      .filter((file) => !isUnder(file.path, where))
      .flatMap((file) => findLines(file, word).map((line) => `${line} ${what}`))
  );
  deepStrictEqual(violations, []);
});

Deno.test("Architecture: engines are synchronous and closed", () => {
  const engines = sources.filter((file) => file.path.startsWith("protocols/"));
  deepStrictEqual(engines.flatMap((file) => findLines(file, NOT_IN_ENGINES)), []);
});

Deno.test("Architecture: nothing is imported dynamically", () => {
  deepStrictEqual(sources.flatMap((file) => findLines(file, /\bimport\s*\(/)), []);
});

Deno.test("Architecture: a package is named in deno.json, and imported by one file", () => {
  const { imports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  const violations: string[] = [];
  for (const [name, specifier] of Object.entries<string>(imports)) {
    ok(/^npm:/.test(specifier), `${name} is not from npm`);
    const users = sources.filter((file) =>
      file.specifiers.some((used) =>
        used === name || used.startsWith(`${name}/`) || (name.endsWith("/") && used.startsWith(name))
      )
    );
    if (users.length > 1 && !name.startsWith("@types/")) violations.push(`${name}: ${users.map(({ path }) => path)}`);
  }
  for (const file of sources) {
    for (const specifier of file.specifiers) {
      const isPlain = /^\.\.?\/|^node:/.test(specifier);
      const isMapped = Object.keys(imports).some((name) => specifier === name || specifier.startsWith(name));
      if (!isPlain && !isMapped) violations.push(`${file.path} -> ${specifier}`);
    }
  }
  deepStrictEqual(violations, []);
});

Deno.test("Style: every file opens with what it holds, and @module", () => {
  // The name of a test file says what it holds: its folder and subject are those of the tree.
  const violations = allSources.filter(({ path }) => !path.endsWith("_test.ts")).filter(({ text }) =>
    !/^\/\*\*\n(?: \*[^\n]*\n)*? \* @module\n(?: \*[^\n]*\n)*? \*\/\n/.test(text)
  );
  deepStrictEqual(violations.map(({ path }) => path), []);
});

Deno.test(`Style: no file is longer than ${MAX_LINES} lines, or it opens with the reason`, () => {
  const violations = allSources.filter(({ text }) =>
    text.split("\n").length - 1 > MAX_LINES && !/longer than 600 lines/i.test(text.slice(0, text.indexOf("*/")))
  );
  deepStrictEqual(violations.map(({ path }) => path), []);
});

Deno.test("Style: no banned words", () => {
  const violations: string[] = [];
  for (const file of allSources) {
    if (file.path === "tests/architecture_test.ts") continue;
    file.text.split("\n").forEach((line, index) => {
      if (/\b(?:TODO|FIXME|XXX|HACK)\b|@ts-(?:ignore|nocheck)/.test(line)) violations.push(`${file.path}:${index + 1}`);
      if (/\p{Emoji_Presentation}/u.test(line)) violations.push(`${file.path}:${index + 1} emoji`);
    });
    violations.push(...findLines(file, /(?:[:<|&]|\bas\b|\bextends\b)\s*any\b(?!\s*:)/));
    violations.push(
      ...findLines(file, /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s|^\s*(?:export\s+)?namespace\s/),
    );
    violations.push(...findLines(file, /^\s*export\s+default\b/));
    violations.push(...findLines(file, /\bconstructor\s*\(\s*(?:private|public|protected|readonly)\b/));
  }
  deepStrictEqual(violations, []);
});

Deno.test("Style: the project casts only to const", () => {
  const violations = sources.flatMap((file) => {
    // Renaming in an import or export list is no cast.
    const code = file.code.replace(
      /\b(?:import|export)\s+(?:type\s+)?(?:\*\s*as\s+\w+|\{[^}]*\})/g,
      (clause) => clause.replace(/[^\n]/g, " "),
    );
    return findLines({ ...file, code }, /\bas\s+(?!const\b)[\w{[(]/);
  });
  deepStrictEqual(violations, []);
});

Deno.test("Source scan tells code from comments, strings, templates and regular expressions", () => {
  const text = [
    `import { a } from "./a.ts"; // from "./comment.ts"`,
    "/* await */ const x = `await ${async ? `}` : '{'} import`;",
    `const y = "Deno" + 'Date'; const r = /Promise["'\`]/g; const z = 4 / 2; const w = z / 2;`,
    `export type { B } from './b.ts';`,
    `import "side.ts";`,
    "export {\n  c,\n} from `no`;",
  ].join("\n");
  const file = scanSource("x.ts", text);
  deepStrictEqual(file.specifiers, ["./a.ts", "./b.ts", "side.ts"]);
  deepStrictEqual(findLines(file, /\b(?:await|Deno|Date|Promise|comment)\b/), []);
  deepStrictEqual(findLines(file, /\basync\b/), ["x.ts:2"]);
  deepStrictEqual(findLines(file, /4 \/ 2; const w = z \/ 2;/), ["x.ts:3"]);
  strictEqual(file.code.length, text.length);
});
