import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../protocols/core/bytes.ts";
import { TransportError } from "../../../protocols/quic/errors.ts";
import {
  decodeTransportParameters,
  DEFAULT_TRANSPORT_PARAMETERS,
  encodeTransportParameters,
} from "../../../protocols/quic/transport_parameters.ts";
import type { TransportParameters } from "../../../protocols/quic/transport_parameters.ts";

const ALL: TransportParameters = {
  originalDestinationConnectionId: fromHex("8394c8f03e515708"),
  maxIdleTimeoutMs: 30000,
  statelessResetToken: fromHex("000102030405060708090a0b0c0d0e0f"),
  maxUdpPayloadSize: 1472,
  initialMaxData: 2 ** 40,
  initialMaxStreamDataBidiLocal: 65535,
  initialMaxStreamDataBidiRemote: 65536,
  initialMaxStreamDataUni: 65537,
  initialMaxStreamsBidi: 100,
  initialMaxStreamsUni: 3,
  ackDelayExponent: 10,
  maxAckDelayMs: 5,
  disableActiveMigration: true,
  preferredAddress: new Uint8Array(45),
  activeConnectionIdLimit: 8,
  initialSourceConnectionId: new Uint8Array(0),
  retrySourceConnectionId: fromHex("0102030405060708090a0b0c0d0e0f1011121314"),
  maxDatagramFrameSize: 65535,
};

const isParameterError = (error: unknown): boolean => error instanceof TransportError && error.code === 0x08;

Deno.test("Transport parameters survive encoding and decoding (RFC 9000 §18)", () => {
  deepStrictEqual(decodeTransportParameters(encodeTransportParameters(ALL), "server"), ALL);
  strictEqual(encodeTransportParameters(DEFAULT_TRANSPORT_PARAMETERS).length, 0);
  deepStrictEqual(decodeTransportParameters(new Uint8Array(0), "client"), { ...DEFAULT_TRANSPORT_PARAMETERS });
});

Deno.test("Transport parameters of the example Client Hello are read (RFC 9001 §A.2)", () => {
  const bytes = fromHex(
    "0408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff",
  );
  deepStrictEqual(decodeTransportParameters(bytes, "client"), {
    ...DEFAULT_TRANSPORT_PARAMETERS,
    initialMaxData: Number.MAX_SAFE_INTEGER,
    initialMaxStreamDataBidiLocal: 65535,
    initialMaxStreamDataBidiRemote: 65535,
    initialMaxStreamDataUni: 65535,
    initialMaxStreamsBidi: 16,
    initialMaxStreamsUni: 16,
    maxIdleTimeoutMs: 30000,
    initialSourceConnectionId: fromHex("8394c8f03e515708"),
  });
});

Deno.test("Transport parameters of extensions are written and read as they are (draft-seemann-02 §4, address-discovery-00 §4)", () => {
  const rows = [
    ["fd7e9f0bca12fea600", { natTraversal: new Uint8Array(0) }],
    ["fd7e9f0bca12fea60108", { natTraversal: fromHex("08") }],
    ["c00000009f81a1760102", { addressDiscovery: fromHex("02") }],
  ] as const;
  for (const [hex, parameters] of rows) {
    strictEqual(toHex(encodeTransportParameters({ ...DEFAULT_TRANSPORT_PARAMETERS, ...parameters })), hex);
    // Whether the value makes sense is for those to say who asked for it.
    deepStrictEqual(decodeTransportParameters(fromHex(hex), "client"), {
      ...DEFAULT_TRANSPORT_PARAMETERS,
      ...parameters,
    });
  }
  throws(() => decodeTransportParameters(fromHex("fd7e9f0bca12fea600fd7e9f0bca12fea600"), "client"), isParameterError);
});

Deno.test("Transport parameters that are unknown are passed over (RFC 9000 §7.4.2)", () => {
  const reserved = fromHex("1b03aabbcc" + "3a00");
  const parameters = decodeTransportParameters(concatBytes(reserved, fromHex("0e0108")), "client");
  strictEqual(parameters.activeConnectionIdLimit, 8);
});

Deno.test("Transport parameters out of range, doubled or malformed are refused (RFC 9000 §7.4, §18.2)", () => {
  const bad = {
    "max_udp_payload_size below 1200": "030244af",
    "ack_delay_exponent above 20": "0a0115",
    "max_ack_delay of 2^14": "0b0480004000",
    "active_connection_id_limit below 2": "0e0101",
    "initial_max_streams_bidi above 2^60": "0808e000000000000000",
    "duplicate": "0e01020e0102",
    "flag with a value": "0c0101",
    "number with a byte too many": "0e020202",
    "number that is empty": "0e00",
    "token that is short": "020f000000000000000000000000000000",
    "connection ID of 21 bytes": `0f15${"00".repeat(21)}`,
  };
  for (const [name, hex] of Object.entries(bad)) {
    throws(() => decodeTransportParameters(fromHex(hex), "server"), isParameterError, name);
  }
});

Deno.test("Transport parameters that only a server sends are refused from a client (RFC 9000 §18.2)", () => {
  for (
    const key of [
      "originalDestinationConnectionId",
      "statelessResetToken",
      "preferredAddress",
      "retrySourceConnectionId",
    ] as const
  ) {
    const bytes = encodeTransportParameters({ ...DEFAULT_TRANSPORT_PARAMETERS, [key]: ALL[key] });
    throws(() => decodeTransportParameters(bytes, "client"), isParameterError, key);
    deepStrictEqual(decodeTransportParameters(bytes, "server")[key], ALL[key]);
  }
});

Deno.test("Transport parameters truncated at every byte are refused or shorter (RFC 9000 §18)", () => {
  const bytes = encodeTransportParameters(ALL);
  let whole = 0;
  for (let length = 0; length < bytes.length; length++) {
    try {
      // What ends between two parameters is a valid, shorter list.
      const shorter = decodeTransportParameters(bytes.subarray(0, length), "server");
      strictEqual(toHex(encodeTransportParameters(shorter)), toHex(bytes.subarray(0, length)));
      whole++;
    } catch (error) {
      strictEqual(isParameterError(error), true);
    }
  }
  strictEqual(whole, 18);
});
