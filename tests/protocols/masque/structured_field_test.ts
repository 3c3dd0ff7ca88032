import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { formatStringList, isTrueItem, parseStringList } from "../../../protocols/masque/structured_field.ts";

Deno.test("A Boolean item is true, and anything else is not (RFC 8941 §3.3.6)", () => {
  for (const value of ["?1", " ?1 ", "?1;a", '?1;a=2;b="x;y"', "?1; a=?0"]) strictEqual(isTrueItem(value), true, value);
  for (const value of [undefined, "", "?0", "1", "true", "?1, ?1", "?1;", "?1 a", "?1;A", "(?1)"]) {
    strictEqual(isTrueItem(value), false, `${value}`);
  }
});

Deno.test("A List of Strings is read whole or not at all (RFC 8941 §3.1, §4.2.1)", () => {
  const lists: readonly (readonly [string, readonly string[] | undefined])[] = [
    ['"192.0.2.45:54321", "[2001:db8::1234]:54321"', ["192.0.2.45:54321", "[2001:db8::1234]:54321"]],
    ['"a"\t,\t"b";x=1', ["a", "b"]],
    ['  "a\\"b\\\\c"  ', ['a"b\\c']],
    ["", []],
    ['"a",', undefined],
    [',"a"', undefined],
    ['"a" "b"', undefined],
    ['"a', undefined],
    ['"a\\x"', undefined],
    ["a", undefined],
    ['("a")', undefined],
    ['"a", ?1', undefined],
  ];
  for (const [value, strings] of lists) deepStrictEqual(parseStringList(value), strings, value);
});

Deno.test("A List of Strings that we write is read as it was", () => {
  const strings = ["192.0.2.45:54321", 'a"b', "c\\d", ""];
  deepStrictEqual(parseStringList(formatStringList(strings)), strings);
});

Deno.test("A List of Strings cut short at any byte is never taken for another with the same number of strings", () => {
  const value = '"192.0.2.45:54321", "[2001:db8::1234]:54321"';
  for (let end = 0; end < value.length; end++) {
    const strings = parseStringList(value.slice(0, end));
    strictEqual(strings?.length, end === 0 ? 0 : end === 18 ? 1 : undefined, `${end}`);
  }
});
