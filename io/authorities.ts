/**
 * The certificate authorities that programs of the runtime trust: those it brings, and the file that DENO_CERT names.
 *
 * @module
 */

import { rootCertificates } from "node:tls";

/** The variable that has the runtime's own TLS trust somebody else too. */
const CERT_VARIABLE = "DENO_CERT";

/**
 * Their certificates, PEM.
 *
 * The file of DENO_CERT is among them if the program may read the variable and the file: nobody is asked for a permission
 * because of it.
 */
export function systemAuthorities(): readonly string[] {
  const path = isGranted({ name: "env", variable: CERT_VARIABLE }) ? Deno.env.get(CERT_VARIABLE) : undefined;
  if (path === undefined || path === "" || !isGranted({ name: "read", path })) return rootCertificates;
  return [...rootCertificates, Deno.readTextFileSync(path)];
}

function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
