/**
 * What a service counts, as text in the exposition format of Prometheus, version 0.0.4.
 *
 * @module
 */

/** Content-Type of the text. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A number with a name. */
export interface Metric {
  /** `traverse_hub_offers_total`: counters end in `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly value: number;
}

/** Counters of one part of the service, named `traverse_PART_COUNTER_total`, in order of name. */
export function countersOf(part: string, counters: ReadonlyMap<string, number>, help: string): Metric[] {
  return [...counters].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => ({
    name: `traverse_${part}_${name}_total`,
    type: "counter",
    help: `${help}: ${name.replaceAll("_", " ")}.`,
    value,
  }));
}

/** The text of all metrics. */
export function formatMetrics(metrics: readonly Metric[]): string {
  let text = "";
  for (const { name, type, help, value } of metrics) {
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
  }
  return text;
}
