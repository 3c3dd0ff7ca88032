/**
 * Name constraints (RFC 5280 §4.2.1.10): whom a CA may name in what is issued below it. DNS names, IP addresses and
 * directory names are compared; a name of another form that is constrained is refused, as the RFC allows.
 *
 * @module
 */

import { toHex } from "../../core/bytes.ts";
import { Reader } from "../../core/reader.ts";
import {
  contextTag,
  DerError,
  enter,
  enterOptional,
  expectEnd,
  readElement,
  readObjectIdentifier,
  TAG,
} from "./der.ts";
import { type GeneralName, readGeneralName } from "./general_name.ts";

/** Subtrees of one extension; more are refused. */
const MAX_SUBTREES = 200;

/** Within which names, and without which, the certificates below have to be. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** Reads the contents of the extension's SEQUENCE. @throws {DerError} */
export function readNameConstraints(contents: Reader): NameConstraints {
  const permitted = enterOptional(contents, contextTag(0, true));
  const excluded = enterOptional(contents, contextTag(1, true));
  expectEnd(contents);
  return { permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) };
}

function readSubtrees(list: Reader | undefined): readonly GeneralName[] {
  const bases: GeneralName[] = [];
  while (list !== undefined && list.remaining > 0) {
    if (bases.length === MAX_SUBTREES) throw new DerError(`More than ${MAX_SUBTREES} subtrees of names`);
    const subtree = enter(list, TAG.sequence);
    const base = readGeneralName(subtree);
    // RFC 5280 §4.2.1.10: minimum is zero, which is not written, and maximum is absent.
    expectEnd(subtree);
    if (base.form === "iPAddress") checkMask(base.bytes);
    bases.push(base);
  }
  return bases;
}

/**
 * Whether all names of a certificate are as the constraints want them.
 *
 * @param subject The Name of its subject, in DER; an empty one is no name.
 * @throws {DerError|TruncatedError} If a directory name is malformed.
 */
export function satisfies(
  constraints: NameConstraints,
  names: readonly GeneralName[],
  subject: Uint8Array,
): boolean {
  const rdns = enter(new Reader(subject), TAG.sequence).rest();
  const all: readonly GeneralName[] = rdns.length === 0 ? names : [...names, { form: "directoryName", rdns }];
  return all.every((name) => {
    if (constraints.excluded.some((base) => meets(name, base, "excluded"))) return false;
    const permitted = constraints.permitted.filter((base) => isSameForm(name, base));
    return permitted.length === 0 || permitted.some((base) => meets(name, base, "permitted"));
  });
}

function isSameForm(name: GeneralName, base: GeneralName): boolean {
  if (name.form === "other" && base.form === "other") return name.tag === base.tag;
  return name.form === base.form;
}

/** Whether a name is in a subtree. A form we cannot compare is in it where that excludes, and outside where it permits. */
function meets(name: GeneralName, base: GeneralName, list: "permitted" | "excluded"): boolean {
  if (name.form === "dNSName" && base.form === "dNSName") return isInDomain(name.name, base.name, list);
  if (name.form === "iPAddress" && base.form === "iPAddress") return isInNetwork(name.bytes, base.bytes);
  if (name.form === "directoryName" && base.form === "directoryName") return isBelow(name.rdns, base.rdns);
  return list === "excluded" && isSameForm(name, base);
}

function isInDomain(name: string, domain: string, list: "permitted" | "excluded"): boolean {
  // A leading dot, which the RFC has for other forms only, is in use for "something below".
  const isAtLeastOneBelow = domain.startsWith(".");
  const base = isAtLeastOneBelow ? domain.slice(1) : domain;
  if (base === "") return true;
  if (name.endsWith(`.${base}`)) return true;
  if (name === base) return !isAtLeastOneBelow;
  // A wildcard may stand for a name that is excluded.
  return list === "excluded" && name.startsWith("*.") && base.endsWith(name.slice(1)) &&
    base.indexOf(".") === base.length - name.length + 1;
}

/** @param network Address, then mask. */
function isInNetwork(address: Uint8Array, network: Uint8Array): boolean {
  const length = address.length;
  if (network.length !== 2 * length) return false;
  return address.every((byte, i) => ((byte ^ network[i]!) & network[length + i]!) === 0);
}

/** RFC 5280 §4.2.1.10: address and mask, as RFC 4632 writes networks: no one after a zero. */
function checkMask(network: Uint8Array): void {
  if (network.length !== 8 && network.length !== 32) throw new DerError("A network of another length than 8 or 32");
  let isOver = false;
  for (const byte of network.subarray(network.length / 2)) {
    const inverted = ~byte & 0xff;
    if ((inverted & (inverted + 1)) !== 0 || (isOver && byte !== 0)) throw new DerError("A mask with holes");
    isOver ||= byte !== 0xff;
  }
}

/** RFC 5280 §7.1: whether a name begins with the relative names of `base`. */
function isBelow(name: Uint8Array, base: Uint8Array): boolean {
  const [names, bases] = [relativeNames(name), relativeNames(base)];
  return bases.every((rdn, i) => rdn === names[i]);
}

/** Each relative name as a text that equal ones share: attribute types as they are, values without regard to case. */
function relativeNames(rdns: Uint8Array): readonly string[] {
  const texts: string[] = [];
  const list = new Reader(rdns);
  while (list.remaining > 0) {
    const attributes: string[] = [];
    const set = enter(list, TAG.set);
    while (set.remaining > 0) {
      const attribute = enter(set, TAG.sequence);
      const type = readObjectIdentifier(attribute);
      const { tag, contents } = readElement(attribute);
      attributes.push(JSON.stringify([type, ...comparable(tag, contents.rest())]));
    }
    texts.push(attributes.sort().join());
  }
  return texts;
}

function comparable(tag: number, value: Uint8Array): readonly [string, string] {
  switch (tag) {
    case TAG.utf8String:
    case TAG.printableString:
    case TAG.ia5String:
      return ["text", decoder.decode(value).trim().replace(/\s+/g, " ").toLowerCase()];
    default:
      return [String(tag), toHex(value)];
  }
}

const decoder = new TextDecoder();
