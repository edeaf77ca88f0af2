/** Metrics of several processes as one text: every sample says which process it is of, so that nothing is summed that has no sum. */

/** Metrics of one process in Prometheus' text format, and what it is called. */
export interface ProcessMetrics {
  readonly worker: string;
  readonly text: string;
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (.*)$/;

/** One text in which the samples of a metric stand together, as the format asks, under the label `worker`. */
export function mergeMetrics(parts: readonly ProcessMetrics[]): string {
  const families = new Map<string, { readonly about: Set<string>; readonly samples: string[] }>();
  const familyOf = (name: string) =>
    families.getOrInsertComputed(name, () => ({ about: new Set(), samples: [] }));
  for (const { worker, text } of parts) {
    let family = '';
    for (const line of text.split('\n')) {
      const [, kind, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (kind !== undefined) {
        family = name!;
        familyOf(family).about.add(line);
        continue;
      }
      const [, sample, labels, value] = SAMPLE.exec(line) ?? [];
      if (sample === undefined) continue;
      // A histogram's samples are named after it.
      const own = family !== '' && sample.startsWith(family) ? family : sample;
      const named = `worker="${worker}"${labels ? `,${labels}` : ''}`;
      familyOf(own).samples.push(`${sample}{${named}} ${value}`);
    }
  }
  return [...families.values()]
    .map(({ about, samples }) => `${[...about, ...samples].join('\n')}\n`)
    .join('');
}
