/**
 * How a NAT chooses an external port: preservation, a counter, chance, contiguity (RFC 4787 §4.2.1 to §4.2.3).
 *
 * @module
 */

import type { SeededRandom } from "./random.ts";

/**
 * `preserve` keeps the internal port where it is free and takes the next free one otherwise; `sequential` counts up;
 * `random` draws; `contiguous` puts internal ports next to each other next to each other outside, and draws the first.
 */
export type PortAllocation = "preserve" | "sequential" | "random" | "contiguous";

/** First port of a counter, and the lowest that is drawn: RFC 4787 REQ-3 keeps the ports below 1024 apart. */
const FIRST_PORT = 1024;
const LAST_PORT = 65_535;
/** Where a `sequential` NAT starts to count. */
const FIRST_SEQUENTIAL_PORT = 40_000;

/** What a choice depends on. */
export interface PortRequest {
  readonly internalPort: number;
  readonly isFree: (port: number) => boolean;
  /** The external port of the same host's mapping for this internal port, for `contiguous`. */
  readonly externalOf: (internalPort: number) => number | undefined;
}

/** Chooses ports for one external address and protocol. */
export class PortAllocator {
  readonly #allocation: PortAllocation;
  readonly #random: SeededRandom;
  #next = FIRST_SEQUENTIAL_PORT;

  constructor(allocation: PortAllocation, random: SeededRandom) {
    this.#allocation = allocation;
    this.#random = random;
  }

  /** A free external port; `undefined` when all are taken. */
  allocate(request: PortRequest): number | undefined {
    switch (this.#allocation) {
      case "preserve":
        return nextFree(request.internalPort, request.isFree);
      case "sequential": {
        const port = nextFree(this.#next, request.isFree);
        if (port !== undefined) this.#next = port === LAST_PORT ? FIRST_PORT : port + 1;
        return port;
      }
      case "contiguous":
        return contiguousPort(request) ?? this.#draw(request);
      case "random":
        return this.#draw(request);
    }
  }

  #draw(request: PortRequest): number | undefined {
    return nextFree(FIRST_PORT + this.#random.below(LAST_PORT + 1 - FIRST_PORT), request.isFree);
  }
}

function contiguousPort({ internalPort, isFree, externalOf }: PortRequest): number | undefined {
  for (const offset of [-1, 1]) {
    const neighbour = externalOf(internalPort + offset);
    const port = neighbour === undefined ? undefined : neighbour - offset;
    if (port !== undefined && port >= FIRST_PORT && port <= LAST_PORT && isFree(port)) return port;
  }
  return undefined;
}

function nextFree(start: number, isFree: (port: number) => boolean): number | undefined {
  let port = start;
  for (let tried = 0; tried <= LAST_PORT; tried++) {
    if (isFree(port)) return port;
    port = port === LAST_PORT ? FIRST_PORT : port + 1;
  }
  return undefined;
}
