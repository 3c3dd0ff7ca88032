import { ok, strictEqual } from "node:assert/strict";
import { systemAuthorities } from "../../io/authorities.ts";
import { selfSignedCertificate } from "../support/certificate.ts";

Deno.test("Authorities are the runtime's, and those of the file that DENO_CERT names", async () => {
  const path = await Deno.makeTempFile();
  const before = Deno.env.get("DENO_CERT");
  try {
    Deno.env.delete("DENO_CERT");
    const { certificates, note } = systemAuthorities();
    ok(certificates.length > 100);
    ok(certificates.every((pem) => pem.startsWith("-----BEGIN CERTIFICATE-----")));
    strictEqual(note, undefined);
    const { pem } = selfSignedCertificate("P-256");
    await Deno.writeTextFile(path, pem);
    Deno.env.set("DENO_CERT", path);
    const more = systemAuthorities().certificates;
    strictEqual(more.length, certificates.length + 1);
    strictEqual(more.at(-1), pem);
  } finally {
    if (before === undefined) Deno.env.delete("DENO_CERT");
    else Deno.env.set("DENO_CERT", before);
    await Deno.remove(path);
  }
});
