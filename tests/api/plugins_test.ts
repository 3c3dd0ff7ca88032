import { deepStrictEqual, match, rejects, strictEqual, throws } from "node:assert/strict";
import { dial, iceThenQuic, listen, memory, names, register } from "../../mod.ts";
import type {
  Base,
  CandidateEvent,
  CandidateMachine,
  CandidateProvider,
  Datagram,
  MessageChannel as SignalingChannel,
  Signaling,
} from "../../mod.ts";
import { candidateProviderContract } from "../contract/candidate_provider.ts";
import { testSignaling } from "../contract/signaling.ts";
import type { SignalingFixture } from "../contract/signaling.ts";
import { testTraversal } from "../contract/traversal.ts";
import { Command, run, startHub } from "../support/command.ts";
import { Inbox } from "../support/inbox.ts";
import { direct } from "./direct_transport.ts";

/** A provider of somebody else's: every base is as good as its address. */
function everyBase(): CandidateProvider {
  return { name: "every-base", gather: (bases) => new EveryBase(bases) };
}

class EveryBase implements CandidateMachine {
  readonly #events: CandidateEvent[];

  constructor(bases: readonly Base[]) {
    this.#events = bases.map((base) => ({ type: "candidate", candidate: { type: "host", address: base.local, base } }));
    this.#events.push({ type: "done" });
  }

  handleDatagram(_datagram: Datagram, _now: number): void {}
  handleTimeout(_now: number): void {}
  pollTransmit(_now: number): undefined {}
  pollEvent(): CandidateEvent | undefined {
    return this.#events.shift();
  }
  pollTimeout(): undefined {}
}

/** What is at the other end of {@linkcode ports}. */
type FarEnd = (port: MessagePort) => void;

/** Signaling of somebody else's: the platform's own message ports. An empty message says goodbye. */
function ports(connect: FarEnd): Signaling {
  return {
    name: "ports",
    hub: "ports",
    open: ({ signal }) => signal.aborted ? Promise.reject(signal.reason) : Promise.resolve(openPort(connect, signal)),
  };
}

/** Longest message: what the plugin point asks for. */
const MAX_LENGTH = 8192;

function openPort(connect: FarEnd, signal: AbortSignal): SignalingChannel {
  const { port1, port2 } = new MessageChannel();
  let isOpen = true;
  let controller: ReadableStreamDefaultController<string> | undefined;
  const end = (): void => {
    if (!isOpen) return;
    isOpen = false;
    port1.postMessage("");
    port1.close();
    controller?.close();
  };
  const messages = new ReadableStream<string>({ start: (it) => void (controller = it), cancel: end });
  port1.onmessage = ({ data }) => data === "" ? end() : controller?.enqueue(data);
  signal.addEventListener("abort", end, { once: true });
  connect(port2);
  return {
    messages,
    close: end,
    send(message): void {
      if (message.length > MAX_LENGTH) throw new RangeError(`Cannot send ${message.length} characters`);
      if (isOpen) port1.postMessage(message);
    },
  };
}

/** Joins a port to a hub in memory. */
function joinToHub(port: MessagePort): void {
  const abort = new AbortController();
  const channel = memory("ports").open({ signal: abort.signal });
  port.onmessage = async ({ data }) => {
    if (data !== "") return (await channel).send(data);
    abort.abort();
    port.close();
  };
  void channel.then(async ({ messages }) => {
    for await (const message of messages) port.postMessage(message);
  });
}

testTraversal({ name: "direct", newTraversal: direct });

candidateProviderContract({ name: "Every base", newProvider: everyBase });

testSignaling({
  name: "ports",
  open(): Promise<SignalingFixture> {
    const far = new Set<MessagePort>();
    const inbox = new Inbox<string>();
    const connect = (port: MessagePort): void => {
      far.add(port);
      port.onmessage = ({ data }) => {
        if (data !== "") return inbox.put(data);
        far.delete(port);
        port.close();
      };
    };
    return Promise.resolve({
      signaling: ports(connect),
      received: () => inbox.next(),
      say: (message) => far.forEach((port) => port.postMessage(message)),
      hangUp: () => far.forEach((port) => port.postMessage("")),
      [Symbol.asyncDispose]: () => {
        far.forEach((port) => port.close());
        return Promise.resolve();
      },
    });
  },
});

Deno.test("Plugins of three kinds are registered and chosen by name, in dial and listen alike", async () => {
  const made: string[] = [];
  register.transport("direct", ({ argument }) => {
    made.push(argument);
    return direct();
  });
  register.candidates("every-base", ({ argument, loopback }) => {
    made.push(`${argument} ${loopback}`);
    return everyBase();
  });
  register.signaling("ports", ({ argument, token }) => {
    made.push(`${argument} ${token}`);
    return ports(joinToHub);
  });
  deepStrictEqual(names("transport"), ["auto", "ice-then-quic", "quic-native", "direct"]);
  deepStrictEqual(names("candidates"), ["host", "srflx", "fixed", "every-base"]);
  deepStrictEqual(names("signaling"), ["ticket", "memory", "ws", "wss", "https", "relay", "ports"]);
  const chosen = {
    transports: ["direct"],
    candidates: ["every-base:all"],
    signaling: "ports:1",
    token: "secret",
    loopback: true,
  } as const;
  await using listener = listen({ ...chosen, name: "bob", allow: { any: true, keys: [] } });
  await listener.ready;
  await using caller = await dial({ ...chosen, peer: "bob" });
  strictEqual(caller.transport, "direct");
  const all = ["ports:1 secret", "direct", "every-base:all true"];
  deepStrictEqual(made.toSorted(), [...all, ...all].toSorted());
});

Deno.test("Plugins go together with the built-in ones: theirs here, ours there", async () => {
  const signaling = memory("mixed");
  await using listener = listen({ signaling, name: "bob", allow: { any: true, keys: [] }, loopback: true });
  await listener.ready;
  const candidates = [everyBase(), "host"];
  await using caller = await dial({ signaling, peer: "bob", transports: [iceThenQuic()], candidates, loopback: true });
  strictEqual(caller.transport, "ice-then-quic");
});

Deno.test("A plugin that is not there is a TypeError that names those that are", async () => {
  await rejects(
    dial({ peer: "bob", signaling: "pigeon:coop" }),
    /Cannot find signaling "pigeon:coop": registered are ticket/,
  );
  await rejects(dial({ peer: "bob", signaling: "memory", transports: ["pigeon"] }), TypeError);
  throws(() => listen({ signaling: "memory", candidates: ["pigeon"] }), /registered are host, srflx, fixed/);
  throws(() => listen({}), /Cannot listen: give signaling/);
  throws(() => register.transport("No Name", direct), TypeError);
});

Deno.test("A program of one's own has the command line, and its plugins there by name", async () => {
  const program = "tests/api/own_program.ts";
  await using hub = await startHub();
  const words = [...hub.peerWords, "--transport", "direct"];
  await using listener = new Command(["listen", ...words, "--once"], { program, input: "by a way of my own" });
  const { ticket } = await listener.fact("ready");
  const { code, stdout, stderr } = await run(["connect", String(ticket), ...words], { program });
  strictEqual(code, 0, stderr);
  strictEqual(new TextDecoder().decode(stdout), "by a way of my own");
  match(stderr, /"transport":"direct"/);
  strictEqual((await listener.ended()).code, 0, listener.log);
});
