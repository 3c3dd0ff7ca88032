/**
 * Writes the table of errors down as `docs/errors.md`.
 *
 * @module
 */

import { FRAME_RULES } from "../../protocols/quic/frame.ts";
import { HTTP3_ROWS } from "./http3.ts";
import { codeOf, type ErrorRow } from "./row.ts";
import { ERROR_ROWS } from "./table.ts";
import { RULES_WITHOUT_ROW, TAKEN_OR_DROPPED } from "./without_row.ts";

const INTRODUCTION = [
  "What whoever breaks a rule of QUIC, TLS or HTTP/3 is told. `deno task errors` makes this file of the table in " +
  "`tests/errors/`; a test fails when it is out of date.",
  "Each row is played (`tests/errors/errors_test.ts`): a raw peer with the keys of a live connection breaks the rule, and " +
  "reads the answer from the packets that come back. _By_ says who breaks it; the other end answers. _Frame_ is the one " +
  "that CONNECTION_CLOSE names as the cause. What h3spec tests servers for is marked; its names are at the end.",
];

const HTTP3_INTRODUCTION =
  "The answer is CONNECTION_CLOSE of the application (type 0x1d), or RESET_STREAM where only the " +
  "request is at fault; the connection and the next request are none the worse then.";

const EXTENSIONS = "Errors of extensions (NAT traversal, address discovery, tunnels through a relay) are played in " +
  "`tests/protocols/quic/nat_traversal/` and `tests/protocols/masque/`.";

const H3SPEC_REST =
  "Of the cases that h3spec has for QUIC one has no row: _MUST send PROTOCOL_VIOLATION if CRYPTO in 0-RTT " +
  "is received [TLS 8.3]_, which it leaves out itself against servers without 0-RTT.";

/** Where `deno fmt` breaks lines of text. */
const LINE_WIDTH = 120;

/** The whole file. */
export function renderErrors(): string {
  const transport = ERROR_ROWS.filter((row) => !HTTP3_ROWS.includes(row));
  const parts = ["# Errors", ...INTRODUCTION.map(wrap)];
  for (const rfc of rfcsOf(transport)) {
    parts.push(`## ${titleOf(rfc)}`, tableOf(transport.filter((row) => row.rfc === rfc)));
  }
  parts.push("## HTTP/3", wrap(HTTP3_INTRODUCTION), http3Table(HTTP3_ROWS));
  parts.push(
    "## Rules without a row",
    "What ends a connection by a MUST of RFC 9000, 9001, 9221 or 8446, and is not played:",
    table(["where", "rule", "why"], RULES_WITHOUT_ROW.map(({ where, rule, why }) => [where, rule, why])),
    "What may end a connection, or may be dropped instead, and does not end it here:",
    table(["where", "rule", "what we do"], TAKEN_OR_DROPPED.map(({ where, rule, why }) => [where, rule, why])),
    wrap(EXTENSIONS),
    "## Names of h3spec",
    table(["section", "what is wrong", "name"], ERROR_ROWS.flatMap(h3specCells)),
    wrap(H3SPEC_REST),
  );
  return `${parts.join("\n\n")}\n`;
}

const TITLES: Readonly<Record<string, string>> = {
  "RFC 9000": "QUIC (RFC 9000)",
  "RFC 9001": "TLS in QUIC (RFC 9001)",
  "RFC 9221": "Datagrams (RFC 9221)",
  "RFC 8446": "TLS 1.3 (RFC 8446)",
};

function titleOf(rfc: string): string {
  return TITLES[rfc] ?? rfc;
}

/** Those of the titles in their order, then others. */
function rfcsOf(rows: readonly ErrorRow[]): string[] {
  const order = Object.keys(TITLES);
  const place = (rfc: string): number => order.includes(rfc) ? order.indexOf(rfc) : order.length;
  return [...new Set(rows.map(({ rfc }) => rfc))].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

function tableOf(rows: readonly ErrorRow[]): string {
  const cells = inOrder(rows).map((row) => [
    row.section,
    row.rule,
    byOf(row),
    row.name,
    hex(codeOf(row.name)),
    frameOf(row.frameType ?? 0),
    row.h3spec === undefined ? "" : "yes",
  ]);
  return table(["section", "what is wrong", "by", "error", "code", "frame", "h3spec"], cells);
}

function http3Table(rows: readonly ErrorRow[]): string {
  const cells = inOrder(rows).map((row) => [
    `${row.rfc} ${row.section}`,
    row.rule,
    byOf(row),
    row.name,
    hex(codeOf(row.name)),
    row.frame === 0x04 ? "the stream" : "the connection",
    row.h3spec === undefined ? "" : "yes",
  ]);
  return table(["section", "what is wrong", "by", "error", "code", "ends", "h3spec"], cells);
}

function h3specCells({ rfc, section, rule, h3spec }: ErrorRow): string[][] {
  return h3spec === undefined ? [] : [[`${rfc} ${section}`, rule, h3spec]];
}

function byOf({ by }: ErrorRow): string {
  return by.length === 2 ? "either" : by.join();
}

function frameOf(type: number): string {
  return type === 0 ? "" : `${FRAME_RULES[type]?.name ?? "unknown"} (${hex(type)})`;
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, "0")}`;
}

/** By RFC and section; as they stand in the table within one. */
function inOrder(rows: readonly ErrorRow[]): ErrorRow[] {
  const place = ({ rfc, section }: ErrorRow): number[] => `${rfc.slice(4)}.${section.slice(1)}`.split(".").map(Number);
  return [...rows].sort((a, b) => {
    const [left, right] = [place(a), place(b)];
    for (let i = 0; i < Math.max(left.length, right.length); i++) {
      const difference = (left[i] ?? -1) - (right[i] ?? -1);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

/** Text in lines as `deno fmt` breaks them. */
function wrap(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= LINE_WIDTH) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

/** A table of Markdown as `deno fmt` wants it: columns of one width each. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|").replaceAll("<", "\\<")));
  const widths = head.map((name, column) => Math.max(3, name.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
}
