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
/** Everything is on one machine: an answer that is not here by then was dropped. */
const WAIT_MS = 300;

interface Question {
  /** Index of the socket that answers: address by address, port by port. */
  readonly from: number;
  /** In place of the address the question came from. */
  readonly to?: { readonly hostname: string; readonly port: number };
}

async function serve(addresses: readonly string[]): Promise<void> {
  const sockets = addresses.flatMap((hostname) =>
    PORTS.map((port) => Deno.listenDatagram({ transport: "udp", hostname, port }))
  );
  console.log("ready");
  await Promise.all(sockets.map(async (socket) => {
    for await (const [bytes, source] of socket) {
      if (source.transport !== "udp") continue;
      const question: Question = JSON.parse(new TextDecoder().decode(bytes));
      const to = question.to ?? source;
      const answer = JSON.stringify({ from: question.from, hostname: source.hostname, port: source.port });
      await sockets[question.from]!.send(new TextEncoder().encode(answer), { transport: "udp", ...to });
    }
  }));
}

class Prober {
  readonly socket: Deno.DatagramConn;
  readonly #servers: readonly { hostname: string; port: number }[];

  constructor(local: string, port: number, addresses: readonly string[]) {
    this.socket = Deno.listenDatagram({ transport: "udp", hostname: local, port });
    this.#servers = addresses.flatMap((hostname) => PORTS.map((port) => ({ hostname, port })));
  }

  /** Asks one server socket; tells what the answer said, or `undefined` when none came. */
  async ask(to: number, question: Question): Promise<{ hostname: string; port: number } | undefined> {
    const bytes = new TextEncoder().encode(JSON.stringify(question));
    await this.socket.send(bytes, { transport: "udp", ...this.#servers[to]! });
    const receiving = this.socket.receive();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), WAIT_MS));
    const answer = await Promise.race([receiving, late]);
    clearTimeout(timer);
    if (answer !== undefined) return JSON.parse(new TextDecoder().decode(answer[0]));
    // A receive cannot be taken back: an answer from the socket that was asked, which passes every filter, ends it.
    await this.socket.send(new TextEncoder().encode(JSON.stringify({ from: to })), {
      transport: "udp",
      ...this.#servers[to]!,
    });
    await receiving;
    return undefined;
  }
}

async function probe(local: string, addresses: readonly string[]): Promise<ProbeReport> {
  const mapping = new Prober(local, LOCAL_PORTS.mapping, addresses);
  const ports: number[] = [];
  let outside = "";
  for (const index of [0, 1, 2, 3]) {
    const answer = await mapping.ask(index, { from: index });
    if (answer === undefined) throw new Error(`Cannot reach server socket ${index}`);
    ports.push(answer.port);
    outside = answer.hostname;
  }
  const filtering = new Prober(local, LOCAL_PORTS.filtering, addresses);
  const passes: boolean[] = [];
  for (const from of [0, 1, 2]) passes.push((await filtering.ask(0, { from })) !== undefined);

  // Unasked packets to the port that the next socket is going to have outside, if the NAT keeps ports.
  const to = { hostname: outside, port: LOCAL_PORTS.unasked };
  for (const from of [0, 1, 2, 3]) await mapping.ask(0, { from, to });
  const unasked = new Prober(local, LOCAL_PORTS.unasked, addresses);
  const answer = await unasked.ask(0, { from: 0 });
  for (const { socket } of [mapping, filtering, unasked]) socket.close();
  return { ports, passes, portAfterUnasked: answer?.port ?? 0 };
}

if (import.meta.main) {
  const [role, ...rest] = Deno.args;
  if (role === "server") await serve(rest);
  else console.log(JSON.stringify(await probe(rest[0]!, rest.slice(1))));
}
