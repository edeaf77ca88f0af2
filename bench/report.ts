/** What a benchmark hands to `make bench`, as its last line of stdout. */
export interface BenchReport {
  readonly title: string;
  /** The command that repeats it. */
  readonly command: string;
  /** Data, peers and method in a sentence or two. */
  readonly about: string;
  readonly rows: readonly {
    readonly what: string;
    readonly value: string;
    readonly target?: string;
    readonly met?: boolean;
  }[];
}

export function printBenchReport(report: BenchReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
