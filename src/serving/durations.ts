/** A histogram of request durations by route and status, as plain arrays: an observation is a short search and an addition. */

/** Upper bounds of the buckets, in seconds. */
const BOUNDS_S = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

interface Series {
  /** Observations by bucket, not cumulated; the last is beyond all bounds. */
  readonly counts: Float64Array;
  sumSeconds: number;
}

export class Durations {
  readonly #name: string;
  readonly #help: string;
  readonly #series = new Map<string, Map<number, Series>>();

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  observe(route: string, status: number, seconds: number): void {
    let byStatus = this.#series.get(route);
    if (byStatus === undefined) this.#series.set(route, (byStatus = new Map()));
    let series = byStatus.get(status);
    if (series === undefined) {
      series = { counts: new Float64Array(BOUNDS_S.length + 1), sumSeconds: 0 };
      byStatus.set(status, series);
    }
    let bucket = 0;
    while (bucket < BOUNDS_S.length && seconds > BOUNDS_S[bucket]!) bucket++;
    series.counts[bucket]!++;
    series.sumSeconds += seconds;
  }

  /** In Prometheus' text format. */
  text(): string {
    const name = this.#name;
    let out = `# HELP ${name} ${this.#help}\n# TYPE ${name} histogram\n`;
    for (const [route, byStatus] of this.#series)
      for (const [status, { counts, sumSeconds }] of byStatus) {
        // Routes are our own templates, so nothing in them needs escaping.
        const labels = `route="${route}",status="${status}"`;
        let total = 0;
        counts.forEach((count, bucket) => {
          total += count;
          out += `${name}_bucket{le="${BOUNDS_S[bucket] ?? '+Inf'}",${labels}} ${total}\n`;
        });
        out += `${name}_sum{${labels}} ${sumSeconds}\n${name}_count{${labels}} ${total}\n`;
      }
    return out;
  }
}
