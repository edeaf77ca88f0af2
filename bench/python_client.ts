/** Round trips of our Python client to our server beside those of Feast's remote client to Feast's server, in one run. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { materialize } from '../src/app/materialize.ts';
import { project } from '../test/app/project.ts';
import { printBenchReport } from './report.ts';

const ROOT = join(import.meta.dirname, '..');
const ENTITIES = 10_000;
const ROUNDS = 5;
const CALLS = 300;
const NAMES = [
  ...Array.from({ length: 5 }, (_, i) => `d${i}`),
  ...Array.from({ length: 5 }, (_, i) => `i${i}`),
];

const FEATURES = `
import { entity, featureView, float64, int64, parquet, source, timestamp } from 'samewise';
const one = entity({ name: 'one', key: { entity_id: int64 } });
const rows = source({
  name: 'rows',
  columns: { entity_id: int64, at: timestamp, ${NAMES.map((name) => `${name}: ${name[0] === 'd' ? 'float64' : 'int64'}`)} },
  eventTime: 'at', batch: parquet('data/*.parquet'),
});
export const fv = featureView({
  name: 'fv', entity: one, source: rows, features: ({ ${NAMES} }) => ({ ${NAMES} }),
});
`;
const ROWS = `SELECT i AS entity_id, TIMESTAMP '2024-01-01' + to_seconds(i) AS "at",
  ${NAMES.map((name, n) => (name[0] === 'd' ? `(i * ${n + 7}) / 8 AS ${name}` : `(i * ${n + 31}) AS ${name}`))}
  FROM range(${ENTITIES}) t(i)`;

const children: ChildProcess[] = [];

async function started(command: (port: string) => string[], path: string): Promise<string> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  const [program, ...args] = command(String(port));
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`a server ended with ${child.exitCode}`);
    if ((await fetch(url + path).catch(() => null))?.ok) return url;
    await setTimeout(200);
  }
}

function python(set: string): string {
  return execFileSync(join(ROOT, 'scripts/python'), [set], { encoding: 'utf8' }).trim();
}

interface Trips {
  readonly wall: number;
  readonly cpu: number;
}

function trips(interpreter: string, kind: string, url: string): Trips {
  const script = join(import.meta.dirname, 'python_client.py');
  const said = execFileSync(interpreter, [script, kind, url, String(CALLS)], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: join(ROOT, 'python/src') },
  });
  const each = JSON.parse(said.trim().split('\n').at(-1)!) as Trips;
  process.stderr.write(`${kind}: ${each.wall.toFixed(0)} µs, CPU ${each.cpu.toFixed(0)} µs\n`);
  return each;
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;

function medians(all: readonly Trips[]): Trips {
  return { wall: median(all.map(({ wall }) => wall)), cpu: median(all.map(({ cpu }) => cpu)) };
}

const made = await project(FEATURES, ROWS);
try {
  const app = await made.open();
  await materialize(app);
  await app.close();
  const withFeast = python('feast');
  const withOurs = python('client');
  const rows = join(made.folder, 'data/payments.parquet');
  const script = join(import.meta.dirname, 'feast_server.py');
  const feastUrl = await started(
    (port) => [withFeast, script, join(made.folder, 'feast'), rows, 'sqlite', port],
    '/health',
  );
  const bin = join(ROOT, 'bin/samewise.js');
  const ourUrl = await started(
    (port) => [process.execPath, bin, '--project', made.folder, 'serve', '--port', port],
    '/readyz',
  );
  const ours: Trips[] = [];
  const theirs: Trips[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(trips(withOurs, 'samewise', ourUrl));
    theirs.push(trips(withFeast, 'feast', feastUrl));
  }
  const [own, feast] = [medians(ours), medians(theirs)];
  const ratio = feast.wall / own.wall;
  const figures = ({ wall, cpu }: Trips) =>
    `${wall.toFixed(0)} µs, of which the client’s CPU ${cpu.toFixed(0)} µs`;
  printBenchReport({
    title: 'The Python client',
    command: 'node bench/python_client.ts',
    about:
      'get_online_features(…).to_dict() of one entity and 10 features, one call after the other: our client to `samewise serve`, and ' +
      'Feast’s remote client to Feast’s server (one worker, SQLite). Medians of calls, then of rounds that take turns.',
    rows: [
      { what: 'Samewise, a round trip', value: figures(own) },
      { what: 'Feast, a round trip', value: figures(feast) },
      {
        what: 'a round trip against Feast’s',
        value: `${ratio.toFixed(1)} × faster`,
        target: '≥ 3 ×',
        met: ratio >= 3,
      },
    ],
  });
} finally {
  for (const child of children) child.kill();
  made.remove();
}
