/**
 * Many seeds of one thing: every failure is told, not only the first, and a line for `summary.md` is printed.
 *
 * @module
 */

/**
 * Runs `run` with the seeds 1 to `count`. `SEEDS=FROM-TO` in the environment replaces them, to look further or at one.
 *
 * @throws {Error} If any seed failed, with the first one's error as cause.
 */
export function forSeeds(name: string, count: number, run: (seed: number) => Readonly<Record<string, number>>): void {
  const [from = 1, to = count] = givenSeeds();
  const totals = new Map<string, number>();
  const failures: { seed: number; error: unknown }[] = [];
  for (let seed = from; seed <= to; seed++) {
    try {
      for (const [key, value] of Object.entries(run(seed))) totals.set(key, (totals.get(key) ?? 0) + value);
    } catch (error) {
      failures.push({ seed, error });
      console.log(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
    }
  }
  const parts = [...totals].map(([key, value]) => `${Math.round(value).toLocaleString("en")} ${key}`);
  console.log(`| ${name} | ${from} to ${to} | ${failures.length} | ${parts.join(", ")} |`);
  const [first] = failures;
  if (first !== undefined) {
    throw new Error(`${failures.length} seeds failed, first ${first.seed}`, { cause: first.error });
  }
}

/** The seed of what is too long to be run many times: the first of the slice. */
export function firstSeed(): number {
  return givenSeeds()[0] ?? 1;
}

function givenSeeds(): number[] {
  return (Deno.env.get("SEEDS") ?? "").split("-").filter((part) => part !== "").map(Number);
}
