/**
 * Ten minutes of events at the rate at which a server takes them: its memory must be flat. It is sampled every few seconds; a
 * minute counts by its median, and the last three minutes are held against the three after the first two, in which V8, LMDB and
 * DuckDB fill what they keep.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type BenchReport, printBenchReport } from './report.ts';
import { BATCH, cpuSeconds, load, residentMb, StreamProject, say } from './stream_project.ts';

const MINUTES = 10;
const EVERY_MS = 3_000;
const WARM_UP_MINUTES = 2;
/** So many minutes are compared with as many. */
const COMPARED = 3;
/** The last minutes against the first ones, at most. */
const MOST_GROWTH = 1.1;

interface Sample {
  readonly minute: number;
  /** Without what is mapped from files, in MB. */
  readonly resident: number;
  /** What V8 says is used, garbage included, in MB; and what lies outside its heap. */
  readonly heap: number;
  readonly external: number;
}

const project = new StreamProject();
const samples: Sample[] = [];
let events = 0;

async function sample(url: string, pid: number, minute: number): Promise<void> {
  const metrics = await (await fetch(new URL('/metrics', url))).text();
  const mb = (name: string) =>
    Math.round(Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)![1]) / 2 ** 20);
  samples.push({
    minute,
    resident: residentMb(pid),
    heap: mb('nodejs_heap_size_used_bytes'),
    external: mb('nodejs_external_memory_bytes'),
  });
}

function medianOf(of: keyof Sample, from: number, to: number): number {
  const values = samples
    .filter(({ minute }) => minute >= from && minute < to)
    .map((one) => one[of])
    .sort((a, b) => a - b);
  return values[values.length >> 1]!;
}

const byMinute = (of: keyof Sample) =>
  Array.from({ length: MINUTES }, (_, minute) => medianOf(of, minute, minute + 1)).join(', ');

function growth(of: keyof Sample): number {
  const first = medianOf(of, WARM_UP_MINUTES, WARM_UP_MINUTES + COMPARED);
  return medianOf(of, MINUTES - COMPARED, MINUTES) / first;
}

try {
  await project.open();
  const { url, pid, stop } = await project.serve();
  const start = performance.now();
  const minutes = () => (performance.now() - start) / 60_000;
  const pushing = project.push(url, () => {
    events += BATCH;
    return minutes() < MINUTES;
  });
  for (let said = 0; minutes() < MINUTES; ) {
    await pause(EVERY_MS);
    if (minutes() >= MINUTES) break;
    await sample(url, pid, Math.floor(minutes()));
    if (Math.floor(minutes()) === said) continue;
    said = Math.floor(minutes());
    const { resident, heap, external } = samples.at(-1)!;
    say(
      `${said} min: ${events} events, ${resident} MB, heap ${heap} MB, outside it ${external} MB`,
    );
  }
  await pushing;
  const perSecond = Math.round(events / (minutes() * 60)).toLocaleString('en');
  const perCpuSecond = Math.round(events / cpuSeconds(pid)).toLocaleString('en');
  await stop();
  const kinds = [
    ['resident', 'memory without mapped files'],
    ['heap', 'of it V8’s heap'],
    ['external', 'of it outside V8’s heap'],
  ] as const;
  const report: BenchReport = {
    title: 'Streams: ten minutes',
    command: 'node bench/stream_soak.ts',
    about:
      `As in Streams, for ${MINUTES} minutes as fast as the server takes events: ${events.toLocaleString('en')} of them, ${perSecond}/s, ${perCpuSecond} per CPU second. ` +
      `Medians of each minute, and those of the last ${COMPARED} minutes against those of the ${COMPARED} after the first ${WARM_UP_MINUTES}. Load average at the end: ${load()}.`,
    rows: kinds.map(([of, what]) => ({
      what,
      value: `${growth(of).toFixed(2)} × (${byMinute(of)} MB)`,
      ...(of === 'resident'
        ? {
            target: `flat: ≤ ${MOST_GROWTH} × in the last minutes`,
            met: growth(of) <= MOST_GROWTH,
          }
        : {}),
    })),
  };
  printBenchReport(report);
} finally {
  project.close();
}
