/**
 * The contexts of one tunnel, as either side sees them: draft-ietf-masque-connect-udp-listen-13. It says what is to be
 * answered; the tunnel sends it.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { Writer } from "../core/writer.ts";
import { Http3StreamError } from "../http3/errors.ts";
import { Fifo } from "../quic/fifo.ts";
import { RangeSet } from "../quic/range_set.ts";
import { varintBytes, writeVarint } from "../quic/varint.ts";
import { type CompressionCapsule, malformed } from "./compression_capsule.ts";

/** Contexts of one tunnel that are open at once, of both sides together; a peer's next one is refused. */
export const MAX_OPEN_CONTEXTS = 64;

/** Capsules that wait to be sent; a peer that makes us owe it more ends its tunnel with H3_EXCESSIVE_LOAD. */
export const MAX_PENDING_CAPSULES = 128;

/** Gaps that a peer may leave between the IDs it uses, as all of them are remembered; beyond, H3_EXCESSIVE_LOAD. */
export const MAX_CONTEXT_ID_GAPS = 64;

/** Which side of the tunnel we are. */
export type TunnelRole = "client" | "proxy";

/** An open context. */
export interface Context {
  readonly id: number;
  /** Absent: the uncompressed context. */
  readonly target: Address | undefined;
  readonly isOurs: boolean;
  /** The other side knows of it: always, if it opened it. */
  readonly isAcknowledged: boolean;
  /** The Context ID as its datagrams begin with it. */
  readonly prefix: Uint8Array;
}

interface OpenContext extends Context {
  isAcknowledged: boolean;
}

/** What there is of contexts. Capsules to be sent are taken from `takeCapsule`. */
export class ContextTable {
  readonly #role: TunnelRole;
  readonly #maxContexts: number;
  readonly #byId = new Map<number, OpenContext>();
  readonly #byTarget = new Map<Address, OpenContext>();
  readonly #usedByPeer = new RangeSet();
  readonly #capsules = new Fifo<CompressionCapsule>();
  #isFixed = false;
  #uncompressed: OpenContext | undefined;
  #nextId: number;

  constructor(role: TunnelRole, maxContexts: number = MAX_OPEN_CONTEXTS) {
    this.#role = role;
    this.#maxContexts = maxContexts;
    // RFC 9298 §4: clients allocate even IDs, proxies odd ones.
    this.#nextId = role === "client" ? 2 : 1;
  }

  /**
   * The table of a tunnel to one target: the context with the number 0, which neither opens nor closes (RFC 9298 §4). Others
   * are nothing to such a tunnel, nor are capsules about them.
   */
  static toTarget(target: Address): ContextTable {
    const table = new ContextTable("proxy");
    table.#isFixed = true;
    table.#add(makeContext(0, target, false));
    return table;
  }

  /** Whether its one context is all there will be. */
  get isFixed(): boolean {
    return this.#isFixed;
  }

  /** Contexts that are open. */
  get size(): number {
    return this.#byId.size;
  }

  /** Capsules that wait to be sent. */
  get pendingCount(): number {
    return this.#capsules.count;
  }

  /** The context whose datagrams name their addresses themselves. */
  get uncompressed(): Context | undefined {
    return this.#uncompressed;
  }

  /** All open contexts, in the order of their opening. */
  values(): IterableIterator<Context> {
    return this.#byId.values();
  }

  /** The open context of that ID. */
  find(id: number): Context | undefined {
    return this.#byId.get(id);
  }

  /** The open context of that tuple. */
  to(target: Address): Context | undefined {
    return this.#byTarget.get(target);
  }

  /** The next capsule to send. */
  takeCapsule(): CompressionCapsule | undefined {
    return this.#capsules.shift();
  }

  /**
   * Opens a context of ours: COMPRESSION_ASSIGN.
   *
   * @param target Absent: the uncompressed one, which only clients open.
   * @returns `undefined` if there are too many, or one for this tuple, or on a proxy whose client takes no strangers.
   * @throws {TypeError} If a proxy opens the uncompressed context.
   */
  assign(target: Address | undefined): Context | undefined {
    if (target === undefined && this.#role === "proxy") {
      throw new TypeError("Cannot open the uncompressed context: only clients do");
    }
    // Once the client has closed the uncompressed context it wants no strangers, nor before it has opened it.
    if (this.#role === "proxy" && this.#uncompressed === undefined) return undefined;
    const other = target === undefined ? this.#uncompressed : this.#byTarget.get(target);
    if (other !== undefined || this.#byId.size >= this.#maxContexts) return undefined;
    const context = makeContext(this.#nextId, target, true);
    this.#nextId += 2;
    this.#add(context);
    this.#send({ type: "COMPRESSION_ASSIGN", contextId: context.id, target });
    return context;
  }

  /** Closes a context, be it the peer's: COMPRESSION_CLOSE. */
  close(id: number): void {
    if (this.#remove(id) !== undefined) this.#send({ type: "COMPRESSION_CLOSE", contextId: id });
  }

  /**
   * A capsule came in.
   *
   * @param mayAssign Whether the tuple of a COMPRESSION_ASSIGN is one that we take.
   * @throws {Http3StreamError} H3_MESSAGE_ERROR, if it breaks a rule; H3_EXCESSIVE_LOAD, if a limit.
   */
  handle(capsule: CompressionCapsule, mayAssign: (target: Address) => boolean): void {
    switch (capsule.type) {
      case "COMPRESSION_ASSIGN":
        return this.#onAssign(capsule.contextId, capsule.target, mayAssign);
      case "COMPRESSION_ACK":
        return this.#onAck(capsule.contextId);
      case "COMPRESSION_CLOSE":
        return this.#onClose(capsule.contextId);
    }
  }

  #onAssign(id: number, target: Address | undefined, mayAssign: (target: Address) => boolean): void {
    const isClients = id % 2 === 0;
    if (isClients === (this.#role === "client")) throw malformed(`COMPRESSION_ASSIGN takes our own context ID ${id}`);
    this.#use(id);
    if (target === undefined) {
      if (this.#role === "client") throw malformed("A proxy opened the uncompressed context");
      if (this.#uncompressed !== undefined) throw malformed("The uncompressed context was opened twice");
    }
    const other = target === undefined ? undefined : this.#byTarget.get(target);
    if (other !== undefined) {
      if (!other.isOurs) throw malformed(`${target} has the open context ${other.id} already`);
      // Crossed: the proxy's is the one that goes.
      if (this.#role === "client") return this.#send({ type: "COMPRESSION_CLOSE", contextId: id });
      this.close(other.id);
    }
    if (this.#byId.size >= this.#maxContexts || (target !== undefined && !mayAssign(target))) {
      return this.#send({ type: "COMPRESSION_CLOSE", contextId: id });
    }
    this.#add(makeContext(id, target, false));
    this.#send({ type: "COMPRESSION_ACK", contextId: id });
  }

  #onAck(id: number): void {
    if (!this.#isOurs(id)) throw malformed(`COMPRESSION_ACK names context ${id}, which we never opened`);
    // Of one that we have closed meanwhile, it comes late.
    const context = this.#byId.get(id);
    if (context !== undefined) context.isAcknowledged = true;
  }

  #onClose(id: number): void {
    // Of one that is closed, it has crossed with ours.
    const context = this.#remove(id);
    if (context !== undefined) return;
    if (!this.#isOurs(id) && !this.#isUsedByPeer(id)) {
      throw malformed(`COMPRESSION_CLOSE names context ${id}, which nobody opened`);
    }
  }

  /** Whether an ID is one that we have given out. */
  #isOurs(id: number): boolean {
    return (id % 2 === 0) === (this.#role === "client") && id < this.#nextId;
  }

  #isUsedByPeer(id: number): boolean {
    const used = this.#usedByPeer;
    // Of the ranges that end at or above, the first may only touch it.
    for (let i = used.search(id); i < used.count && used.startOf(i) <= id; i++) if (id < used.endOf(i)) return true;
    return false;
  }

  /** IDs are never used again. Ranges are of both parities, so that IDs in order make one. */
  #use(id: number): void {
    if (this.#isUsedByPeer(id)) throw malformed(`Context ID ${id} was used before`);
    this.#usedByPeer.add(id, id + 2);
    if (this.#usedByPeer.count > MAX_CONTEXT_ID_GAPS) {
      throw new Http3StreamError("H3_EXCESSIVE_LOAD", "There are too many gaps between context IDs");
    }
  }

  #add(context: OpenContext): void {
    this.#byId.set(context.id, context);
    if (context.target === undefined) this.#uncompressed = context;
    else this.#byTarget.set(context.target, context);
  }

  #remove(id: number): OpenContext | undefined {
    const context = this.#byId.get(id);
    if (context === undefined) return undefined;
    this.#byId.delete(id);
    if (context.target === undefined) this.#uncompressed = undefined;
    else this.#byTarget.delete(context.target);
    return context;
  }

  #send(capsule: CompressionCapsule): void {
    if (this.#capsules.count >= MAX_PENDING_CAPSULES) {
      throw new Http3StreamError("H3_EXCESSIVE_LOAD", `More than ${MAX_PENDING_CAPSULES} capsules wait to be sent`);
    }
    this.#capsules.push(capsule);
  }
}

function makeContext(id: number, target: Address | undefined, isOurs: boolean): OpenContext {
  const prefix = new Uint8Array(varintBytes(id));
  writeVarint(new Writer(prefix), id);
  return { id, target, isOurs, isAcknowledged: !isOurs, prefix };
}
