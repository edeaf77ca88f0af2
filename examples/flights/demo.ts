/**
 * `make demo`: from a fresh clone to served features on 3,000,000 real flights, and the proof that training and serving
 * agree. Every step is a command that anyone can repeat; this script only runs them, keeps time, and asks the naive oracle.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { formatBytes, formatCount } from '../../src/base/numbers.ts';
import { naiveVectors } from './oracle.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROJECT = 'examples/flights';
const OUT = 'demo-out';
const SERVICE = 'flight_delay_v1';
const TRAINING = `${OUT}/training.parquet`;
const MANIFEST = `${TRAINING}.manifest.json`;
const PROVED_ROWS = 2000;
const ORACLE_ROWS = 50;
const FLIGHTS = 'node_modules/vega-datasets/data/flights-3m.parquet';
const LABELS = `sql:select origin, destination, distance, date, delay > 15 as late
  from '../../${FLIGHTS}'
  where date >= '2001-05-01' and hash(date, origin, destination) % 10 = 0
  order by date, origin, destination, distance, late`;

const steps: [what: string, took: string, how: string][] = [];
const bold = (text: string) => styleText('bold', text, { stream: process.stdout });

/** Runs one command of the CLI, shows it, and gives its --json result. */
async function samewise<T>(
  what: string,
  args: readonly string[],
  said: (result: T) => string,
): Promise<T> {
  const shown = args
    .map((arg) => (/[\s'*?]/.test(arg) ? `"${arg.replace(/\s+/g, ' ')}"` : arg))
    .join(' ');
  process.stdout.write(`\n${bold(`$ npx samewise --project ${PROJECT} ${shown}`)}\n`);
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['bin/samewise.js', '--project', PROJECT, '--json', ...args],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  const code =
    child.exitCode ?? (await new Promise<number>((resolve) => child.once('exit', resolve)));
  if (code !== 0) {
    process.stderr.write(`${text}\nThe command ended with exit code ${code}.\n`);
    process.exit(1);
  }
  const result = JSON.parse(text) as T;
  const line = said(result);
  process.stdout.write(`${line}\n`);
  steps.push([what, seconds(started), line]);
  return result;
}

function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

const begun = performance.now();
rmSync(join(ROOT, OUT), { recursive: true, force: true });
rmSync(join(ROOT, PROJECT, '.samewise'), { recursive: true, force: true });

process.stdout.write(
  `${bold('Samewise on 3,000,000 US flights of 2001')}: will a flight leave late?\nThe definitions are in ${PROJECT}/features.ts.\n`,
);

await samewise<{ plan: { changes: unknown[] } }>(
  'register the definitions',
  ['apply', '--yes', '--message', 'the demo'],
  ({ plan }) => `${plan.changes.length} definitions registered`,
);

await samewise<{ rows: number; keys: number; bytes: number }[]>(
  'materialise history',
  ['materialize'],
  (views) => {
    const sum = (of: 'rows' | 'keys' | 'bytes') => views.reduce((n, view) => n + view[of], 0);
    return `${formatCount(sum('rows'))} events of ${formatCount(sum('keys'))} entity keys in ${views.length} views: ${formatBytes(sum('bytes'))} of pages`;
  },
);

await samewise<{ rows: number; bytes: number }>(
  'build a training set',
  ['train', '--service', SERVICE, '--labels', LABELS, '--time', 'date', '--out', TRAINING],
  ({ rows, bytes }) =>
    `${formatCount(rows)} labels × 22 features, ${formatBytes(bytes)}: ${TRAINING}`,
);

const served = await serve();
try {
  const started = performance.now();
  const answer = await vectors(
    served.url,
    [{ origin: 'JFK', destination: 'SFO', distance: 2586 }],
    '2001-06-15T18:00:00Z',
  );
  const shown = Object.entries(answer[0]!).slice(0, 6);
  process.stdout.write(
    `${shown.map(([name, value]) => `  ${name} = ${JSON.stringify(value)}`).join('\n')}\n  …\n`,
  );
  steps.push([
    'serve over HTTP',
    seconds(started),
    `${Object.keys(answer[0]!).length} features of one flight as of 2001-06-15 18:00`,
  ]);

  const proof = await samewise<{ online: { rows: number; values: number; mismatches: unknown[] } }>(
    'prove: training = online',
    ['verify', MANIFEST, '--online', String(PROVED_ROWS)],
    ({ online }) =>
      `${formatCount(online.values)} values of ${formatCount(online.rows)} (entity, T): ${online.mismatches.length} mismatches`,
  );

  const oracle = await askOracle(served.url);
  if (proof.online.mismatches.length + oracle > 0) process.exitCode = 1;
} finally {
  await served.stop();
}

const width = Math.max(...steps.map(([what]) => what.length));
process.stdout.write(`\n${bold('What was done')}\n`);
for (const [what, took, how] of steps)
  process.stdout.write(`  ${what.padEnd(width)}  ${took.padStart(7)}  ${how}\n`);
process.stdout.write(`  ${'in all'.padEnd(width)}  ${seconds(begun).padStart(7)}\n`);
process.stdout.write(`
${bold('Try next')}
  make serve                           # leaves a server running, until Ctrl-C
  curl 'localhost:7480/api/v1/features/online?entity=airport&id=ATL&features=departures_7d,mean_delay_7d&at=2001-06-15T18:00:00Z'
  npx samewise --project ${PROJECT} get ${SERVICE} -k origin=JFK -k destination=SFO -r distance=2586 --at 2001-06-15T18:00:00Z
  npx samewise --project ${PROJECT} features search delay
  npx samewise --project ${PROJECT} features show departures:mean_delay_7d
  npx samewise --project ${PROJECT} rebuild ${MANIFEST} --out ${OUT}/again.parquet
  npx samewise init my-features        # a project of your own
`);

/** Starts the server on a free port. */
async function serve(): Promise<{ url: string; stop(): Promise<void> }> {
  process.stdout.write(`\n${bold(`$ npx samewise --project ${PROJECT} serve`)}\n`);
  const child = spawn(
    process.execPath,
    ['bin/samewise.js', '--project', PROJECT, '--json', 'serve', '--port', '0'],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for await (const chunk of child.stdout) {
    const { url } = JSON.parse(String(chunk)) as { url: string };
    process.stdout.write(`Serving on ${url}\n`);
    return {
      url,
      stop: () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }
  throw new Error('the server did not start');
}

async function vectors(
  url: string,
  entities: unknown[],
  at: string,
): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${url}/api/v1/services/${SERVICE}/vectors`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities, at }),
  });
  if (!response.ok) throw new Error(await response.text());
  return ((await response.json()) as { vectors: Record<string, unknown>[] }).vectors;
}

/** The naive oracle filters and folds the raw rows of a few labels; HTTP, training row and oracle must be the same text. */
async function askOracle(url: string): Promise<number> {
  const started = performance.now();
  const cases = await naiveVectors(join(ROOT, FLIGHTS), join(ROOT, TRAINING), ORACLE_ROWS);
  let values = 0;
  let mismatches = 0;
  for (const { entity, at, training, naive } of cases) {
    const [online] = await vectors(url, [entity], at);
    for (const [name, expected] of Object.entries(naive)) {
      values++;
      const texts = [expected, training[name], online![name]].map((value) => JSON.stringify(value));
      if (texts[0] === texts[1] && texts[1] === texts[2]) continue;
      mismatches++;
      process.stdout.write(
        `  ${name} at ${at}: oracle ${texts[0]}, training ${texts[1]}, online ${texts[2]}\n`,
      );
    }
  }
  const line = `${formatCount(values)} values of ${cases.length} (entity, T), training = HTTP = filter-and-fold over raw rows: ${mismatches} mismatches`;
  process.stdout.write(`\n${bold('Naive oracle')} (examples/flights/oracle.ts)\n${line}\n`);
  steps.push(['prove: = naive oracle', seconds(started), line]);
  return mismatches;
}
