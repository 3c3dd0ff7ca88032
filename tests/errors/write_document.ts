/**
 * `deno task errors`: makes `docs/errors.md` anew.
 *
 * @module
 */

import { renderErrors } from "./document.ts";

Deno.writeTextFileSync(new URL("../../docs/errors.md", import.meta.url), renderErrors());
