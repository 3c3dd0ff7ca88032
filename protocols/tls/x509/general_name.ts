/**
 * Names in certificates: subjectAltName (RFC 5280 §4.2.1.6), and which of them a server goes by (RFC 9525 §6). The common
 * name of the subject is none of them.
 *
 * @module
 */

import { addressOf, isIpAddress } from "../../core/address.ts";
import { equalBytes } from "../../core/bytes.ts";
import type { Reader } from "../../core/reader.ts";
import { contextTag, DerError, readElement } from "./der.ts";

/** Names of one certificate that are looked at; more are refused. Certificates of large sites have a few hundred. */
export const MAX_NAMES = 1000;

/** A GeneralName; forms that we have no use for only tell which they are. */
export type GeneralName =
  /** In lower case. */
  | { readonly form: "dNSName"; readonly name: string }
  /** 4 or 16 bytes, twice as many in a name constraint. */
  | { readonly form: "iPAddress"; readonly bytes: Uint8Array }
  /** The contents of the RDNSequence. */
  | { readonly form: "directoryName"; readonly rdns: Uint8Array }
  | { readonly form: "other"; readonly tag: number };

const DNS_NAME = contextTag(2, false);
const DIRECTORY_NAME = contextTag(4, true);
const IP_ADDRESS = contextTag(7, false);

/** Reads one GeneralName. @throws {DerError} */
export function readGeneralName(reader: Reader): GeneralName {
  const { tag, contents } = readElement(reader);
  switch (tag) {
    case DNS_NAME: {
      const bytes = contents.rest();
      if (bytes.length > 255 || bytes.some((byte) => byte <= 0x20 || byte >= 0x7f)) {
        throw new DerError("A dNSName that is no name");
      }
      return { form: "dNSName", name: String.fromCharCode(...bytes).toLowerCase() };
    }
    case IP_ADDRESS:
      return { form: "iPAddress", bytes: contents.rest() };
    case DIRECTORY_NAME: {
      const { contents: rdns } = readElement(contents); // explicit, for Name is a CHOICE
      return { form: "directoryName", rdns: rdns.rest() };
    }
    default:
      return { form: "other", tag };
  }
}

/** Reads a SEQUENCE OF GeneralName from its contents. @throws {DerError} */
export function readGeneralNames(contents: Reader): readonly GeneralName[] {
  const names: GeneralName[] = [];
  while (contents.remaining > 0) {
    if (names.length === MAX_NAMES) throw new DerError(`More than ${MAX_NAMES} names`);
    names.push(readGeneralName(contents));
  }
  return names;
}

/**
 * Whether one of the names is `host`, by which the server was called.
 *
 * @param host A DNS name in ASCII, or an IP address without brackets.
 */
export function matchesHost(names: readonly GeneralName[], host: string): boolean {
  if (isIpAddress(host)) {
    const { bytes } = addressOf(host, 0);
    return names.some((name) => name.form === "iPAddress" && equalBytes(name.bytes, bytes));
  }
  const wanted = withoutTrailingDot(host.toLowerCase());
  return names.some((name) => name.form === "dNSName" && matchesDnsName(name.name, wanted));
}

/** RFC 9525 §6.3: a wildcard is the whole left-most label and stands for exactly one; `*.org` is too wide for anybody. */
function matchesDnsName(presented: string, wanted: string): boolean {
  if (!presented.startsWith("*.")) return presented === wanted;
  const suffix = presented.slice(1);
  const dot = wanted.indexOf(".");
  return dot > 0 && wanted.slice(dot) === suffix && suffix.indexOf(".", 1) > 0 && !suffix.includes("*");
}

function withoutTrailingDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}
