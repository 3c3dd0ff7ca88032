/**
 * Real NATs for tests: a public segment and two homes in network namespaces, joined by virtual Ethernet pairs, translated by
 * the kernel's own nftables. Needs root. Nothing is left in the machine's own namespace, and nothing at all after `dispose`.
 *
 *     client a ── router a ──┐
 *                            ├── public segment: 198.51.100.1 and 198.51.100.2
 *     client b ── router b ──┘
 *
 * How a Linux router is made to behave by the vocabulary of RFC 4787:
 *
 * - Mapping. `masquerade` keeps the source port while nobody else has it, so with one client inside it is
 *   endpoint-independent. `fully-random` draws a port for every remote address and port.
 * - Filtering. Connection tracking alone is address-and-port-dependent. For the looser kinds, outbound packets put the
 *   internal port (with the remote address, if that is looked at) into a set with a timeout, and inbound ones that match it
 *   are translated back to the client.
 * - An inbound packet that matches nothing must leave no trace: an entry for it would occupy the port, and the client's own
 *   packet would then be mapped to another. It is dropped in `input` and `forward`, before it is confirmed.
 *
 * @module
 */

/** Mapping and filtering of a home's router. */
export type NatKind = "EIM+EIF" | "EIM+ADF" | "EIM+APDF" | "APDM+APDF";

/** Addresses of the public segment that servers may listen on. */
export const PUBLIC_ADDRESSES = ["198.51.100.1", "198.51.100.2"] as const;

/** A UDP mapping and permission ends after so long without traffic. RFC 9000 §10.1.2 expects no more. */
const UDP_TIMEOUT_SECONDS = 30;

/**
 * Namespaces of a run that was killed are swept by the next one: their names begin with this, the process ID and the
 * namespace in which that ID means something. A container that shares `/run/netns` with another sees processes of its own.
 */
const PREFIX = "traverse";

/** Written into the routers' counters, so that a call without a STUN answer tells on which way it was lost. */
const STUN_PORT = 3478;

/** A home: its client's namespace and addresses. */
export interface Home {
  readonly kind: NatKind;
  /** Namespace of the client. */
  readonly namespace: string;
  /** Namespace of the router. */
  readonly router: string;
  /** The client's own address. */
  readonly inside: string;
  /** The router's public address. */
  readonly outside: string;
}

/** Why kernel tests cannot run here; `undefined` when they can. */
export async function whyNotKernel(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return `network namespaces are Linux's, this is ${Deno.build.os}`;
  if (Deno.uid() !== 0) return "making network namespaces needs root";
  for (const [program, argument] of [["ip", "-V"], ["nft", "--version"], ["sysctl", "--version"]] as const) {
    try {
      await new Deno.Command(program, { args: [argument], stdout: "null", stderr: "null" }).output();
    } catch {
      return `${program} is not installed (apt-get install nftables iproute2 procps)`;
    }
  }
  const name = uniquePrefix();
  try {
    await run(`ip netns add ${name}`);
    await run(`ip netns exec ${name} nft add table ip nat`);
  } catch (error) {
    return `the kernel refuses: ${error instanceof Error ? error.message : error}`;
  } finally {
    await run(`ip netns del ${name}`).catch(() => {});
  }
  return undefined;
}

/** A public segment with two homes. */
export class KernelNetwork implements AsyncDisposable {
  /** Namespace of the public segment, where servers run. */
  readonly publicNamespace: string;
  readonly a: Home;
  readonly b: Home;
  readonly #namespaces: readonly string[];
  readonly #children = new Set<Deno.ChildProcess>();

  private constructor(prefix: string, kinds: readonly [NatKind, NatKind]) {
    this.publicNamespace = `${prefix}-public`;
    this.a = home(prefix, "a", kinds[0]);
    this.b = home(prefix, "b", kinds[1]);
    this.#namespaces = [
      this.publicNamespace,
      ...[this.a, this.b].flatMap(({ router, namespace }) => [router, namespace]),
    ];
  }

  /** Builds the network. Dispose of it, whatever happens. */
  static async build(a: NatKind, b: NatKind): Promise<KernelNetwork> {
    await sweep();
    const network = new KernelNetwork(uniquePrefix(), [a, b]);
    try {
      await network.#build();
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** Starts a program in a namespace. It ends with the network at the latest. */
  spawn(namespace: string, command: readonly string[], options: Deno.CommandOptions = {}): Deno.ChildProcess {
    // `ip netns exec` becomes the program: the process ID is the program's own.
    const child = new Deno.Command("ip", { args: ["netns", "exec", namespace, ...command], ...options }).spawn();
    this.#children.add(child);
    child.status.then(() => this.#children.delete(child));
    return child;
  }

  /** Takes a home's client its address away and gives it another, with the same way out. @returns The new one. */
  async replaceAddress({ namespace, inside }: Home): Promise<string> {
    const [address, gateway] = [inside.replace(/\.2$/, ".77"), inside.replace(/\.2$/, ".1")];
    // The kernel takes the routes away with the address.
    await run(`ip -n ${namespace} address del ${inside}/24 dev eth0`);
    await run(`ip -n ${namespace} address add ${address}/24 dev eth0`);
    await run(`ip -n ${namespace} route add default via ${gateway}`);
    return address;
  }

  /** Gives a home's router another public address. With the old one the kernel forgets every mapping to it. */
  async replacePublicAddress({ router, outside }: Home): Promise<void> {
    await run(`ip -n ${router} address del ${outside}/24 dev wan`);
    await run(`ip -n ${router} address add ${outside.replace(/1(\d)$/, "2$1")}/24 dev wan`);
    await run(`ip -n ${router} route add default via ${PUBLIC_ADDRESSES[0]}`);
  }

  /** Cuts the way between the two homes, in both directions; the public segment stays within reach of both. */
  async cutBetweenHomes(): Promise<void> {
    await run(
      `ip netns exec ${this.a.router} nft -f -`,
      `
table ip cut {
  chain forward {
    type filter hook forward priority -10; policy accept;
    ip saddr ${this.b.outside} counter drop
    ip daddr ${this.b.outside} counter drop
  }
}
`,
    );
  }

  /** How many packets the cut has met. */
  async cutPackets(): Promise<number> {
    const text = await run(`ip netns exec ${this.a.router} nft list table ip cut`);
    return [...text.matchAll(/counter packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  /** What the routers have counted and know of UDP, for the message of a test that failed. */
  async describe(): Promise<string> {
    const parts: string[] = [];
    for (const { kind, router } of [this.a, this.b]) {
      for (const command of ["nft list ruleset", "cat /proc/net/nf_conntrack", "ip neighbour"]) {
        const text = await run(`ip netns exec ${router} ${command}`).catch((error) => String(error));
        parts.push(`${kind}, ${command}:\n${text}`);
      }
    }
    return parts.join("\n");
  }

  /** Ends every program started here and removes the namespaces with all that is in them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
    await Promise.all([...this.#children].map((child) => child.status));
    for (const name of this.#namespaces) await run(`ip netns del ${name}`).catch(() => {});
  }

  async #build(): Promise<void> {
    const segment = this.publicNamespace;
    for (const name of this.#namespaces) {
      await run(`ip netns add ${name}`);
      await run(`ip -n ${name} link set lo up`);
    }
    // A bridge without an address of its own takes one of its ports', another one when a port comes.
    await run(`ip link add segment netns ${segment} address 02:00:5e:00:53:01 type bridge`);
    for (const address of PUBLIC_ADDRESSES) await run(`ip -n ${segment} address add ${address}/24 dev segment`);
    await run(`ip -n ${segment} link set segment up`);
    await this.#buildHome(this.a, "home-a");
    await this.#buildHome(this.b, "home-b");
  }

  async #buildHome({ kind, namespace, router, inside, outside }: Home, link: string): Promise<void> {
    const segment = this.publicNamespace;
    const gateway = inside.replace(/\.2$/, ".1");
    await run(`ip link add wan netns ${router} type veth peer name ${link} netns ${segment}`);
    await run(`ip -n ${segment} link set ${link} master segment up`);
    await run(`ip -n ${router} address add ${outside}/24 dev wan`);
    await run(`ip -n ${router} link set wan up`);
    await run(`ip -n ${router} route add default via ${PUBLIC_ADDRESSES[0]}`);
    await run(`ip link add lan netns ${router} type veth peer name eth0 netns ${namespace}`);
    await run(`ip -n ${router} address add ${gateway}/24 dev lan`);
    await run(`ip -n ${router} link set lan up`);
    await run(`ip -n ${namespace} address add ${inside}/24 dev eth0`);
    await run(`ip -n ${namespace} link set eth0 up`);
    await run(`ip -n ${namespace} route add default via ${gateway}`);
    await run(`ip netns exec ${router} sysctl -qw net.ipv4.ip_forward=1`);
    await run(`ip netns exec ${router} nft -f -`, ruleset(kind, inside));
    for (const name of ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"]) {
      await run(`ip netns exec ${router} sysctl -qw net.netfilter.${name}=${UDP_TIMEOUT_SECONDS}`);
    }
  }
}

function home(prefix: string, letter: "a" | "b", kind: NatKind): Home {
  const number = letter === "a" ? 1 : 2;
  return {
    kind,
    namespace: `${prefix}-${letter}`,
    router: `${prefix}-r${letter}`,
    inside: `192.168.${number}.2`,
    outside: `198.51.100.${10 + number}`,
  };
}

/** The router's rules in the language of nft. */
function ruleset(kind: NatKind, client: string): string {
  const filtering = kind.split("+")[1];
  // What an outbound packet leaves behind, and what an inbound one is looked up by.
  const looser = filtering === "APDF" ? undefined : {
    key: filtering === "EIF" ? "inet_service" : "ipv4_addr . inet_service",
    outbound: filtering === "EIF" ? "udp sport" : "ip daddr . udp sport",
    inbound: filtering === "EIF" ? "udp dport" : "ip saddr . udp dport",
  };
  const timeout = `timeout ${UDP_TIMEOUT_SECONDS}s`;
  return `
table ip traverse {
  ${looser === undefined ? "" : `set permitted { type ${looser.key}; flags dynamic,timeout; ${timeout}; }`}
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ${looser === undefined ? "" : `iifname "wan" meta l4proto udp ${looser.inbound} @permitted dnat to ${client}`}
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wan" ct state new drop
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    udp dport ${STUN_PORT} counter comment "questions to STUN"
    udp sport ${STUN_PORT} counter comment "answers of STUN"
    ${
    looser === undefined ? "" : `iifname "lan" oifname "wan" meta l4proto udp update @permitted { ${looser.outbound} }`
  }
    iifname "lan" accept
    ct state established,related accept
    ct status dnat accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" masquerade${kind === "APDM+APDF" ? " fully-random" : ""}
  }
}
`;
}

/** Runs a program to its end; no word of the command has a space. @throws {Error} With what it said, if it fails. */
async function run(command: string, input?: string): Promise<string> {
  const [program, ...args] = command.split(" ");
  const stdin = input === undefined ? "null" : "piped";
  const child = new Deno.Command(program!, { args, stdin, stdout: "piped", stderr: "piped" }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot run "${command}": ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout);
}

/** For the names of one network's namespaces: no two have the same, in this process or after it. */
function uniquePrefix(): string {
  return `${PREFIX}-${pidNamespace()}-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

/** The namespace of our process ID, by its number. */
function pidNamespace(): string {
  return Deno.readLinkSync("/proc/self/ns/pid").replace(/\D/g, "");
}

/** Removes namespaces of runs that were killed. */
async function sweep(): Promise<void> {
  for (const line of (await run("ip netns list")).split("\n")) {
    const match = new RegExp(`^(${PREFIX}-${pidNamespace()}-(\\d+)-\\S+)`).exec(line);
    if (match === null || Number(match[2]) === Deno.pid) continue;
    const isRunning = await Deno.stat(`/proc/${match[2]}`).then(() => true, () => false);
    if (!isRunning) await run(`ip netns del ${match[1]}`).catch(() => {});
  }
}
