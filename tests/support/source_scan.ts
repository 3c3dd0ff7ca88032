/**
 * Reads TypeScript just far enough to tell code from comments, strings and regular expressions, and to find what a file
 * imports: for tests that hold the project to its own rules.
 *
 * @module
 */

/** A source file, seen three ways. Blanked characters are spaces, so that lines and columns stay where they are. */
export interface SourceFile {
  /** From the root of the project, with slashes. */
  readonly path: string;
  readonly text: string;
  /** Without comments, strings (the text of templates included) and regular expressions. */
  readonly code: string;
  /** Specifiers of `import … from`, `export … from` and `import "…"`. */
  readonly specifiers: readonly string[];
}

/** Before a slash, these characters make it the start of a regular expression and not a division. */
const BEFORE_REGULAR_EXPRESSION = /(?:^|[(,=:[!&|?{};+\-*%<>~^\n]|\b(?:return|typeof|case|of|in))\s*$/;

/** Scans a file. */
export function scanSource(path: string, text: string): SourceFile {
  const withStrings = blank(text, false);
  const specifiers: string[] = [];
  const clause = /\b(?:import|export)\b[^"';()]*?\bfrom\s*["']([^"'\n]+)["']|(?:^|;|\n)\s*import\s*["']([^"'\n]+)["']/g;
  for (const match of withStrings.matchAll(clause)) {
    const specifier = match[1] ?? match[2];
    if (specifier !== undefined) specifiers.push(specifier);
  }
  return { path, text, code: blank(text, true), specifiers };
}

/** Lines of `code` that match, as `path:line`. */
export function findLines(file: SourceFile, pattern: RegExp): string[] {
  return file.code.split("\n").flatMap((line, index) => pattern.test(line) ? [`${file.path}:${index + 1}`] : []);
}

/** All TypeScript files under the folders and the files named, in order. */
export function readSources(root: URL, paths: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  for (const path of paths) {
    const url = new URL(path, root);
    if (path.endsWith(".ts")) {
      files.push(scanSource(path, Deno.readTextFileSync(url)));
      continue;
    }
    const names = [...Deno.readDirSync(url)].filter(({ name }) => !name.startsWith(".") && name !== "node_modules");
    names.sort((a, b) => a.name < b.name ? -1 : 1);
    const inside = names
      .filter(({ name, isDirectory }) => isDirectory || name.endsWith(".ts"))
      .map(({ name, isDirectory }) => `${path}${name}${isDirectory ? "/" : ""}`);
    files.push(...readSources(root, inside));
  }
  return files;
}

/** Replaces comments and regular expressions, and strings if asked to, by spaces. */
function blank(text: string, blankStrings: boolean): string {
  let out = "";
  let index = 0;
  // Each open `${` of a template: how many braces are open inside it.
  const templates: number[] = [];
  const copy = (end: number, keep: boolean): void => {
    const part = text.slice(index, end);
    out += keep ? part : part.replace(/[^\n]/g, " ");
    index = end;
  };
  const template = (): void => {
    let end = index + 1;
    while (end < text.length && text[end] !== "`" && !text.startsWith("${", end)) end += text[end] === "\\" ? 2 : 1;
    const opens = text.startsWith("${", end);
    if (opens) templates.push(0);
    copy(Math.min(text.length, end + (opens ? 2 : 1)), !blankStrings);
  };
  while (index < text.length) {
    const character = text[index]!;
    const depth = templates.at(-1);
    if (text.startsWith("//", index)) {
      const end = text.indexOf("\n", index);
      copy(end < 0 ? text.length : end, false);
    } else if (text.startsWith("/*", index)) {
      const end = text.indexOf("*/", index + 2);
      copy(end < 0 ? text.length : end + 2, false);
    } else if (character === '"' || character === "'") {
      let end = index + 1;
      while (end < text.length && text[end] !== character && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1;
      copy(Math.min(text.length, end + 1), !blankStrings);
    } else if (character === "`") {
      template();
    } else if (character === "/" && BEFORE_REGULAR_EXPRESSION.test(out.slice(-40))) {
      copy(endOfRegularExpression(text, index), false);
    } else if (character === "}" && depth === 0) {
      templates.pop();
      template();
    } else {
      if (depth !== undefined && character === "{") templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && character === "}") templates[templates.length - 1] = depth - 1;
      copy(index + 1, true);
    }
  }
  return out;
}

function endOfRegularExpression(text: string, start: number): number {
  let isInClass = false;
  let end = start + 1;
  for (; end < text.length && text[end] !== "\n"; end++) {
    const character = text[end];
    if (character === "\\") end++;
    else if (character === "[") isInClass = true;
    else if (character === "]") isInClass = false;
    else if (character === "/" && !isInClass) return end + 1;
  }
  return end;
}
