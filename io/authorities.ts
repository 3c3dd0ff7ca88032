/**
 * The certificate authorities that programs of the runtime trust: those it brings, and under Deno the file that DENO_CERT
 * names.
 *
 * @module
 */

import { rootCertificates } from "node:tls";

/** The variable that has the runtime's own TLS trust somebody else too. */
const CERT_VARIABLE = "DENO_CERT";

/** The authorities that may be read. */
export interface SystemAuthorities {
  /** PEM. */
  readonly certificates: readonly string[];
  /** What they lack, and what to do about it; absent if nothing. */
  readonly note?: string;
}

/**
 * The authorities of the runtime, with `--allow-sys` (2.9.6 has no flag for these alone), and those of the file that DENO_CERT names, if the program may read
 * the variable and the file: nobody is asked for a permission because of it.
 */
export function systemAuthorities(): SystemAuthorities {
  // Other runtimes ask for no permissions.
  if (typeof Deno === "undefined") return { certificates: rootCertificates };
  const path = isGranted({ name: "env", variable: CERT_VARIABLE }) ? Deno.env.get(CERT_VARIABLE) : undefined;
  const own = path === undefined || path === "" || !isGranted({ name: "read", path })
    ? []
    : [Deno.readTextFileSync(path)];
  // The runtime counts its list of authorities among what it tells of the system.
  if (isGranted({ name: "sys", kind: "ca" })) return { certificates: [...rootCertificates, ...own] };
  return { certificates: own, note: "those of the runtime may not be read: give --allow-sys, or --ca FILE" };
}

function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
