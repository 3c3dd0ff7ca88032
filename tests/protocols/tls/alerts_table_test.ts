import { ok, strictEqual } from "node:assert/strict";
import { play } from "../../support/tls_refusals.ts";
import { ALERT_CASES } from "./alerts_table.ts";

Deno.test("Every case of the table draws its alert from TLS (RFC 8446 §6.2)", () => {
  for (const one of ALERT_CASES) strictEqual(play(one), one.expect, one.input);
});

Deno.test("Cases of the table are each there once, with the rule that is broken", () => {
  strictEqual(new Set(ALERT_CASES.map(({ input }) => input)).size, ALERT_CASES.length);
  for (const { rule } of ALERT_CASES) ok(/^RFC \d+ §[\d.]+$/.test(rule), rule);
});
