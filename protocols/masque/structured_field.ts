/**
 * The two kinds of structured fields that tunnels have: a Boolean item, and a List of Strings (RFC 8941 §3.1, §3.3.3,
 * §3.3.6). Parameters are passed over.
 *
 * @module
 */

/** Whether the value is the Boolean true; anything else is as if the field were absent. */
export function isTrueItem(value: string | undefined): boolean {
  return value !== undefined && TRUE_ITEM.test(value);
}

/**
 * The strings of a list; `undefined` if it is anything but a list of strings.
 *
 * @param value Several fields of one name are joined by commas before: RFC 8941 §4.2.
 */
export function parseStringList(value: string): string[] | undefined {
  const strings: string[] = [];
  let rest = value.replace(/^ +| +$/g, "");
  while (rest !== "") {
    const member = MEMBER.exec(rest);
    if (member === null) return undefined;
    strings.push((member[1] ?? "").replace(/\\(.)/g, "$1"));
    rest = rest.slice(member[0].length);
    if (rest === "") return strings;
    const comma = /^[ \t]*,[ \t]*/.exec(rest);
    if (comma === null) return undefined;
    rest = rest.slice(comma[0].length);
    // A comma at the end: RFC 8941 §4.2.1.
    if (rest === "") return undefined;
  }
  return strings;
}

/** A list of strings of printable ASCII, as a field's value. */
export function formatStringList(strings: readonly string[]): string {
  return strings.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(", ");
}

/** Parameters: a key, and perhaps a bare item (RFC 8941 §3.1.2). */
const STRING = String.raw`"(?:[ !#-\[\]-~]|\\["\\])*"`;
const PARAMETERS = String.raw`(?:; *[a-z*][a-z0-9_.*-]*(?:=(?:${STRING}|[!#-+\--:<>-~]+))?)*`;
const TRUE_ITEM = new RegExp(String.raw`^ *\?1${PARAMETERS} *$`);
const MEMBER = new RegExp(String.raw`^"((?:[ !#-\[\]-~]|\\["\\])*)"${PARAMETERS}`);
