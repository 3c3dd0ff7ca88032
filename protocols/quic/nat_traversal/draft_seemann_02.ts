/**
 * The dialect of draft-seemann-quic-nat-traversal-02 §4, §5: the server lists its addresses one by one, the client pairs them
 * with its own and asks for probes in rounds. The codepoints are the author's, provisional (§7 of the draft).
 *
 * @module
 */

import type { Dialect } from "./dialect.ts";

/** draft-seemann-quic-nat-traversal-02. */
export const DRAFT_SEEMANN_02: Dialect = Object.freeze<Dialect>({
  name: "draft-seemann-quic-nat-traversal-02",
  transportParameterId: 0x3d7e9f0bca12fea6n,
  parameterForms: { client: "empty", server: "limit" },
  frames: [
    {
      name: "ADD_ADDRESS",
      types: [0x3d7e90, 0x3d7e91],
      sender: "server",
      fields: ["sequenceNumber", "address"],
    },
    {
      name: "PUNCH_ME_NOW",
      types: [0x3d7e92, 0x3d7e93],
      sender: "client",
      fields: ["round", "pairedWithSequenceNumber", "address"],
    },
    { name: "REMOVE_ADDRESS", types: [0x3d7e94], sender: "server", fields: ["sequenceNumber"] },
  ],
});
