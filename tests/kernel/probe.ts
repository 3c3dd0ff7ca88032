/**
 * Programs of the self-check, run inside namespaces: `server` answers datagrams with the address they came from, from the
 * socket they came to or from another one; `client` uses it to find out how the NAT in between maps and filters.
 *
 *     deno run -A --unstable-net probe.ts server ADDRESS ADDRESS
 *     deno run -A --unstable-net probe.ts client LOCAL ADDRESS ADDRESS
 *
 * @module
 */

/** What the client prints as JSON. */
export interface ProbeReport {
  /** The external port seen by each server socket: first address with two ports, second address with two. */
  readonly ports: readonly number[];
  /** After a packet to the first address and port: whether an answer from there, its other port, and the other address came in. */
  readonly passes: readonly boolean[];
  /** The external port of a socket to whose port unasked packets had been sent before it was opened. */
  readonly portAfterUnasked: number;
}

/** Both ports of every server address. */
const PORTS = [7001, 7002] as const;
/** The client's sockets: one for each question, so that no answer depends on another. */
const LOCAL_PORTS = { mapping: 5001, filtering: 5002, unasked: 5003 } as const;
/** How much later an answer may come than that to a question asked after it: everything is on one machine. */
const WAIT_MS = 200;
/** Answers that no filter keeps back are waited for this long, on however busy a machine. */
const MAX_WAIT_MS = 20_000;

interface Question {
  /** Comes back in the answer. */
  readonly id: number;
  /** Index of the socket that answers: address by address, port by port. */
  readonly from: number;
  /** In place of the address the question came from. */
  readonly to?: { readonly hostname: string; readonly port: number };
}

/** Where the question came from. */
interface Answer {
  readonly id: number;
  readonly hostname: string;
  readonly port: number;
}

async function serve(addresses: readonly string[]): Promise<void> {
  const sockets = addresses.flatMap((hostname) =>
    PORTS.map((port) => Deno.listenDatagram({ transport: "udp", hostname, port }))
  );
  console.log("ready");
  await Promise.all(sockets.map(async (socket) => {
    // One after the other: when a question is answered, those before it are.
    for await (const [bytes, source] of socket) {
      if (source.transport !== "udp") continue;
      const { id, from, to = source }: Question = JSON.parse(new TextDecoder().decode(bytes));
      const answer: Answer = { id, hostname: source.hostname, port: source.port };
      await sockets[from]!.send(new TextEncoder().encode(JSON.stringify(answer)), { transport: "udp", ...to });
    }
  }));
}

class Prober {
  readonly socket: Deno.DatagramConn;
  readonly #servers: readonly { hostname: string; port: number }[];
  readonly #answers = new Map<number, Answer>();
  #lastId = 0;
  #wake: () => void = () => {};

  constructor(local: string, port: number, addresses: readonly string[]) {
    this.socket = Deno.listenDatagram({ transport: "udp", hostname: local, port });
    this.#servers = addresses.flatMap((hostname) => PORTS.map((port) => ({ hostname, port })));
    void this.#receive();
  }

  /** Asks one server socket, which answers itself. @throws {Error} If no answer comes. */
  async ask(to: number): Promise<Answer> {
    const answer = await this.#answer(await this.#send(to, { from: to }), MAX_WAIT_MS);
    if (answer === undefined) throw new Error(`Cannot reach server socket ${to}`);
    return answer;
  }

  /** Asks one server socket to have another answer, or to answer somebody else; whether the answer came here. */
  async passes(to: number, question: Omit<Question, "id">): Promise<boolean> {
    const id = await this.#send(to, question);
    // The answer from the socket that was asked passes every filter, and leaves after the other one.
    await this.ask(to);
    return (await this.#answer(id, WAIT_MS)) !== undefined;
  }

  async #send(to: number, question: Omit<Question, "id">): Promise<number> {
    const id = ++this.#lastId;
    const bytes = new TextEncoder().encode(JSON.stringify({ ...question, id }));
    await this.socket.send(bytes, { transport: "udp", ...this.#servers[to]! });
    return id;
  }

  async #answer(id: number, waitMs: number): Promise<Answer | undefined> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      resolve();
    }, waitMs);
    while (!this.#answers.has(id) && !isLate) {
      await Promise.race([late, new Promise<void>((resolve) => this.#wake = resolve)]);
    }
    clearTimeout(timer);
    return this.#answers.get(id);
  }

  async #receive(): Promise<void> {
    for await (const [bytes] of this.socket) {
      const answer: Answer = JSON.parse(new TextDecoder().decode(bytes));
      this.#answers.set(answer.id, answer);
      this.#wake();
    }
  }
}

async function probe(local: string, addresses: readonly string[]): Promise<ProbeReport> {
  const mapping = new Prober(local, LOCAL_PORTS.mapping, addresses);
  const ports: number[] = [];
  let outside = "";
  for (const index of [0, 1, 2, 3]) {
    const answer = await mapping.ask(index);
    ports.push(answer.port);
    outside = answer.hostname;
  }
  const filtering = new Prober(local, LOCAL_PORTS.filtering, addresses);
  const passes: boolean[] = [];
  for (const from of [0, 1, 2]) passes.push(await filtering.passes(0, { from }));

  // Unasked packets to the port that the next socket is going to have outside, if the NAT keeps ports.
  const to = { hostname: outside, port: LOCAL_PORTS.unasked };
  for (const from of [0, 1, 2, 3]) await mapping.passes(0, { from, to });
  const unasked = new Prober(local, LOCAL_PORTS.unasked, addresses);
  const { port: portAfterUnasked } = await unasked.ask(0);
  for (const { socket } of [mapping, filtering, unasked]) socket.close();
  return { ports, passes, portAfterUnasked };
}

if (import.meta.main) {
  const [role, ...rest] = Deno.args;
  if (role === "server") await serve(rest);
  else console.log(JSON.stringify(await probe(rest[0]!, rest.slice(1))));
}
