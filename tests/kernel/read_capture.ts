/**
 * Reads what `capture.ts` has written, through tshark for the decryption and through our own decoder for the frames, those
 * of the extensions among them: a row of a Markdown table for each packet.
 *
 *     deno run -A tests/kernel/read_capture.ts FOLDER
 *
 * @module
 */

import { decodeObservedAddress, isObservedAddress } from "../../protocols/quic/address_discovery.ts";
import { type Frame, FrameDecoder } from "../../protocols/quic/frame.ts";
import { decodeTraversalFrame, layoutOf } from "../../protocols/quic/nat_traversal/dialect.ts";
import { DRAFT_SEEMANN_02 } from "../../protocols/quic/nat_traversal/draft_seemann_02.ts";

/** Who has which address in the network of `namespaces.ts`. */
const NAMES: Readonly<Record<string, string>> = {
  "198.51.100.1": "relay",
  "198.51.100.11": "caller",
  "198.51.100.12": "listener",
  "192.168.1.2": "caller's private address",
  "192.168.2.2": "listener's private address",
};
const TUNNEL_PORT = "4433";
/** `quic.long.packet_type`, by its value, as columns of Table 3 of RFC 9000. */
const LONG_PACKETS = ["I", "0", "H"] as const;

async function tshark(folder: string, ...args: readonly string[]): Promise<string> {
  const options = [
    "-r",
    `${folder}/capture.pcap`,
    "-o",
    `tls.keylog_file:${folder}/keys.log`,
    "-d",
    "udp.port==4433,quic",
  ];
  const { success, stdout, stderr } = await new Deno.Command("tshark", { args: [...options, ...args] })
    .output();
  if (!success) throw new Error(`Cannot read the capture: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** The payloads of each packet that could be decrypted, from the hex dump of tshark. */
function payloadsOf(dump: string): Uint8Array[][] {
  return dump.split(/^Frame \(/m).slice(1).map((frame) =>
    frame.split(/^(?=[A-Z][^\n]*\(\d+ bytes\):$)/m).filter((part) => part.startsWith("Decrypted QUIC")).map((part) => {
      const [, size] = /\((\d+) bytes\)/.exec(part)!;
      const hex = part.split("\n").slice(1).map((line) => line.slice(6, 53).replaceAll(" ", "")).join("");
      return Uint8Array.fromHex(hex.slice(0, 2 * Number(size)));
    })
  );
}

function words(frame: Frame): string {
  switch (frame.type) {
    case "ADD_ADDRESS":
      return `**ADD_ADDRESS** ${frame.sequenceNumber}: ${frame.address}`;
    case "REMOVE_ADDRESS":
      return `**REMOVE_ADDRESS** ${frame.sequenceNumber}`;
    case "PUNCH_ME_NOW":
      return `**PUNCH_ME_NOW** round ${frame.round}: from ${frame.pairedWithSequenceNumber} to ${frame.address}`;
    case "OBSERVED_ADDRESS":
      return `**OBSERVED_ADDRESS** ${frame.address}`;
    case "STREAM":
      return `STREAM ${frame.streamId} [${frame.offset}, ${frame.offset + frame.data.length})${
        frame.fin ? " FIN" : ""
      }`;
    case "CRYPTO":
      return `CRYPTO [${frame.offset}, ${frame.offset + frame.data.length})`;
    case "ACK":
      return `ACK ${frame.largestAcknowledged}`;
    case "PATH_CHALLENGE":
    case "PATH_RESPONSE":
      return `**${frame.type}** ${frame.data.toHex().slice(0, 4)}…`;
    case "DATAGRAM":
      return `DATAGRAM of ${frame.data.length} bytes`;
    case "RETIRE_CONNECTION_ID":
      return `RETIRE_CONNECTION_ID ${frame.sequenceNumber}`;
    default:
      return frame.type;
  }
}

/** The frames of a packet, equal ones counted. */
function framesOf(payload: Uint8Array, packet: "I" | "H" | "0" | "1"): string {
  const decoder = new FrameDecoder();
  decoder.extensions = {
    decode: (type, reader) => {
      if (isObservedAddress(type)) return decodeObservedAddress(type, reader);
      const layout = layoutOf(DRAFT_SEEMANN_02, type);
      return layout === undefined ? undefined : decodeTraversalFrame(layout, type, reader, layout.sender);
    },
  };
  decoder.reset(payload, packet);
  const counts = new Map<string, number>();
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
    if (frame.type !== "PADDING") counts.set(words(frame), (counts.get(words(frame)) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => count === 1 ? text : `${count} × ${text}`).join(", ");
}

if (import.meta.main) {
  const [folder = "."] = Deno.args;
  const columns = [
    "frame.number",
    "frame.time_relative",
    "ip.src",
    "udp.srcport",
    "ip.dst",
    "udp.dstport",
    "quic.long.packet_type",
  ];
  const fields = await tshark(
    folder,
    "-Y",
    "quic",
    "-T",
    "fields",
    "-e",
    "udp.length",
    ...columns.flatMap((name) => ["-e", name]),
  );
  const decrypted = await tshark(folder, "-Y", "quic.frame_type", "-T", "fields", "-e", "frame.number");
  const dumped = payloadsOf(await tshark(folder, "-Y", "quic.frame_type", "-x"));
  const payloads = new Map(decrypted.trimEnd().split("\n").map((number, index) => [number, dumped[index] ?? []]));
  let beginsAt: number | undefined;
  console.log("| ms | from → to | bytes | what |\n| --: | --- | --: | --- |");
  fields.trimEnd().split("\n").forEach((line) => {
    const [
      length = "",
      number = "",
      time = "",
      source = "",
      sourcePort,
      destination = "",
      destinationPort,
      types = "",
    ] = line.split(
      "\t",
    );
    const isTunnel = sourcePort === TUNNEL_PORT || destinationPort === TUNNEL_PORT;
    if (!isTunnel) beginsAt ??= Number(time);
    const ms = beginsAt === undefined ? "before" : ((Number(time) - beginsAt) * 1000).toFixed(1);
    const long = types.split(",").filter((type) => type !== "").map((type) => LONG_PACKETS[Number(type)] ?? "1");
    const what = (payloads.get(number) ?? []).map((payload, at) => {
      const packet = long[at] ?? "1";
      const name = { I: "Initial: ", H: "Handshake: ", "0": "0-RTT: ", "1": "" }[packet];
      return name + framesOf(payload, packet);
    }).join("; ");
    const way = `${NAMES[source] ?? source} → ${NAMES[destination] ?? destination}${isTunnel ? " (tunnel)" : ""}`;
    console.log(`| ${ms} | ${way} | ${Number(length) - 8} | ${what} |`);
  });
}
