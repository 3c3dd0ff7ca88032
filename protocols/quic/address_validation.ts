/**
 * What a server does with an Initial of somebody new before it makes a connection: believes its token, asks for one by Retry,
 * or neither: RFC 9000 §8.1.
 *
 * @module
 */

import type { Address } from "../core/address.ts";
import { randomBytes } from "../core/random.ts";
import type { Random } from "../core/random.ts";
import { Writer } from "../core/writer.ts";
import type { AeadBackend } from "../crypto/aead.ts";
import { AddressTokens, MAX_CARRIED_TOKEN_BYTES } from "./address_tokens.ts";
import { DEFAULT_ADDRESS_VALIDATION, MAX_TOKEN_BYTES } from "./config.ts";
import type { AddressValidation } from "./config.ts";
import { CONNECTION_ID_BYTES, writeRetryWithoutTag } from "./packet.ts";
import type { PacketHeader } from "./packet.ts";
import { retryIntegrityTag } from "./packet_protection.ts";

/** What is made of an Initial. */
export type InitialVerdict =
  | {
    readonly type: "accept";
    /** What the application's first Initial brought: before a Retry, if there was one. */
    readonly token: Uint8Array;
    readonly isAddressProven: boolean;
    /** See `ConnectionSetup`. */
    readonly beforeRetryId: Uint8Array | undefined;
    /** Whether whoever sends it is let in, be it because it was before our Retry. */
    readonly isAdmitted: boolean;
    /** The token is of a Retry of ours and does not hold: the connection is to end with INVALID_TOKEN. */
    readonly isInvalid: boolean;
  }
  /** This packet is to be sent, and nothing remembered. */
  | { readonly type: "retry"; readonly packet: Uint8Array };

/** Judges Initials, and makes tokens for clients that may come again. */
export class AddressValidator {
  readonly #policy: AddressValidation;
  readonly #aead: AeadBackend;
  readonly #random: Random;
  readonly #tokens: AddressTokens;

  constructor(policy: AddressValidation = DEFAULT_ADDRESS_VALIDATION, aead: AeadBackend, random: Random) {
    this.#policy = policy;
    this.#aead = aead;
    this.#random = random;
    this.#tokens = new AddressTokens(aead, random);
  }

  /**
   * @param here `isAdmitted`: whether the sender is let in whatever the token says, which others have to have from us;
   * `isTokenKnown`: whether it is one that `admitToken` named; `isUnderLoad`: whether so many handshakes are under way that
   * addresses are to be proven.
   */
  judge(
    header: PacketHeader,
    remote: Address,
    here: { readonly isAdmitted: boolean; readonly isTokenKnown: boolean; readonly isUnderLoad: boolean },
    now: number,
  ): InitialVerdict {
    const token = header.token.slice();
    const verdict = token.length > MAX_TOKEN_BYTES ? undefined : this.#tokens.open(token, remote, now);
    const accept = {
      type: "accept",
      token,
      isAddressProven: false,
      beforeRetryId: undefined,
      isAdmitted: here.isAdmitted,
      isInvalid: false,
    } as const;
    switch (verdict?.type) {
      case "retried":
        return {
          ...accept,
          token: verdict.token,
          isAddressProven: true,
          beforeRetryId: verdict.originalDestinationId,
          isAdmitted: true,
        };
      case "known":
        return { ...accept, isAddressProven: true };
      case "invalid":
        return { ...accept, isInvalid: true };
      default:
        if (!here.isAdmitted || !this.#asksAgain(here.isUnderLoad)) return accept;
        if (token.length <= MAX_CARRIED_TOKEN_BYTES) {
          return { type: "retry", packet: this.#retry(header, remote, token, now) };
        }
        // One that is known and too long to be carried is worth more than the proof. Any other means nothing to anybody, and
        // must not be a way around the proof.
        if (here.isTokenKnown) return accept;
        return { type: "retry", packet: this.#retry(header, remote, new Uint8Array(0), now) };
    }
  }

  /** For a client whose handshake is complete; `undefined` if it gets none. */
  newToken(remote: Address, now: number): Uint8Array | undefined {
    return this.#policy.newTokens ? this.#tokens.forNextTime(remote, now) : undefined;
  }

  #asksAgain(isUnderLoad: boolean): boolean {
    return this.#policy.retry === "always" || (this.#policy.retry === "under load" && isUnderLoad);
  }

  /** RFC 9000 §17.2.5.1: the client goes on with a connection ID that we draw and do not remember. */
  #retry(header: PacketHeader, remote: Address, carried: Uint8Array, now: number): Uint8Array {
    const originalDestinationId = header.destinationConnectionId.slice();
    const writer = new Writer(new Uint8Array(1 + 4 + 1 + 20 + 1 + CONNECTION_ID_BYTES + 512));
    writeRetryWithoutTag(writer, {
      destinationConnectionId: header.sourceConnectionId,
      sourceConnectionId: randomBytes(this.#random, CONNECTION_ID_BYTES),
      token: this.#tokens.forRetry(remote, originalDestinationId, carried, now),
    });
    writer.bytes(retryIntegrityTag(this.#aead, originalDestinationId, writer.written()));
    return writer.written();
  }
}
