import { iceThenQuic } from "../../mod.ts";
import { testTraversal } from "../contract/traversal.ts";

testTraversal({ name: "ice-then-quic", newTraversal: iceThenQuic });
