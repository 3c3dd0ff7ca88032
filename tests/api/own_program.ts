/**
 * A program of somebody else's: the command line with a transport of its own.
 *
 * @module
 */

import { commandLine, register } from "../../mod.ts";
import { direct } from "./direct_transport.ts";

register.transport("direct", direct);

Deno.exit(await commandLine(Deno.args));
