/**
 * A program that holds both peers, closes them and does nothing more: it has to end by itself.
 *
 * @module
 */

import { dial, listen } from "../../mod.ts";

const listener = listen({ signaling: "memory", name: "callee", allow: { any: true, keys: [] }, loopback: true });
await listener.ready;
const session = await dial({ signaling: "memory", peer: "callee", loopback: true });
session.close(0, "that is all");
listener.close();
console.log(JSON.stringify(await session.closed));
