/** Metrics of several processes as one text: what counts is added up; what says how a process is says which. */

/** Metrics of one process in Prometheus' text format, and what it is called. */
export interface ProcessMetrics {
  /** `duties` is the one that tells of the whole project. */
  readonly worker: string;
  readonly text: string;
  /** It is no more: what it counted still counts, how it was is of no interest. */
  readonly ended?: boolean;
}

interface Family {
  readonly about: Set<string>;
  /** Whether samples of several processes are added up. */
  added: boolean;
  /** By name and labels. */
  readonly samples: Map<string, string>;
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (.*)$/;
const ABOUT = /^# (HELP|TYPE) (\S+) ?(.*)$/;
/** Of a process, also of the one that tells of the project. */
const OF_PROCESS = /^(process|nodejs)_/;

/** One text in which the samples of a metric stand together, as the format asks; gauges of processes have the label `worker`. */
export function mergeMetrics(parts: readonly ProcessMetrics[]): string {
  const families = new Map<string, Family>();
  const familyOf = (name: string) =>
    families.getOrInsertComputed(name, () => ({
      about: new Set(),
      added: false,
      samples: new Map(),
    }));
  for (const { worker, text, ended = false } of parts) {
    let last = '';
    for (const line of text.split('\n')) {
      const [, kind, name, what] = ABOUT.exec(line) ?? [];
      if (kind !== undefined) {
        last = name!;
        const family = familyOf(last);
        family.about.add(line);
        if (kind === 'TYPE') family.added = what === 'counter' || what === 'histogram';
        continue;
      }
      const [, sample, labels, value] = SAMPLE.exec(line) ?? [];
      if (sample === undefined) continue;
      // A histogram's samples are named after it.
      const own = last !== '' && sample.startsWith(last) ? last : sample;
      const { added, samples } = familyOf(own);
      if (!added && ended) continue;
      const whose = !added && (worker !== 'duties' || OF_PROCESS.test(own));
      const all = [...(whose ? [`worker="${worker}"`] : []), ...(labels ? [labels] : [])];
      const named = all.length === 0 ? sample : `${sample}{${all.join(',')}}`;
      const before = added ? samples.get(named) : undefined;
      samples.set(named, before === undefined ? value! : String(Number(before) + Number(value)));
    }
  }
  return [...families.values()]
    .filter(({ samples }) => samples.size > 0)
    .map(({ about, samples }) => {
      const lines = [...samples].map(([named, value]) => `${named} ${value}`);
      return `${[...about, ...lines].join('\n')}\n`;
    })
    .join('');
}
