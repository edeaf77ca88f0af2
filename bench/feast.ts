/**
 * `samewise serve` beside Feast's own feature server: the same rows, the same requests (Feast's, and our REST), in one run. Servers
 * run on one core, the load (wrk) on another. Rounds alternate, and the median counts. Where others use the machine the ratio of
 * CPU time a request is the one to trust: on a core that a server keeps busy it is that of requests a second.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { materialize } from '../src/app/materialize.ts';
import { project } from '../test/app/project.ts';
import { type BenchReport, printBenchReport } from './report.ts';

const ROOT = join(import.meta.dirname, '..');
const ENTITIES = 10_000;
const ROUNDS = 3;
const SECONDS = 2;
/** The compiler settles only after some tens of thousands of requests. */
const WARM_UP_SECONDS = 8;
const CONNECTIONS = 16;
/** Of what Feast can do at most: the load at which latencies are compared. */
const SHARE_OF_FEASTS = 0.5;
const NAMES = [
  ...Array.from({ length: 5 }, (_, i) => `d${i}`),
  ...Array.from({ length: 5 }, (_, i) => `i${i}`),
];

const FEATURES = `
import { entity, featureService, featureView, float64, int64, parquet, source, timestamp } from 'samewise';
const one = entity({ name: 'one', key: { entity_id: int64 } });
const rows = source({
  name: 'rows',
  columns: { entity_id: int64, at: timestamp, ${NAMES.map((name) => `${name}: ${name[0] === 'd' ? 'float64' : 'int64'}`)} },
  eventTime: 'at', batch: parquet('data/*.parquet'),
});
export const fv = featureView({
  name: 'fv', entity: one, source: rows, features: ({ ${NAMES} }) => ({ ${NAMES} }),
});
export const svc = featureService({ name: 'svc', features: [fv] });
`;
const ROWS = `SELECT i AS entity_id, TIMESTAMP '2024-01-01' + to_seconds(i) AS "at",
  ${NAMES.map((name, n) => (name[0] === 'd' ? `(i * ${n + 7}) / 8 AS ${name}` : `(i * ${n + 31}) AS ${name}`))}
  FROM range(${ENTITIES}) t(i)`;

interface Server {
  readonly port: number;
  readonly pid: number;
}
interface Load {
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
}
/** How a server is asked for the features of these entities. */
type Ask = (ids: readonly number[]) => { method: string; path: string; body: string };

const asFeast: Ask = (ids) => ({
  method: 'POST',
  path: '/get-online-features',
  body: JSON.stringify({
    features: NAMES.map((name) => `fv:${name}`),
    entities: { entity_id: ids },
    full_feature_names: false,
    include_feature_view_version_metadata: false,
  }),
});
const asRest: Ask = (ids) =>
  ids.length === 1
    ? {
        method: 'GET',
        path: `/api/v1/features/online?entity=one&id=${ids[0]}&features=${NAMES}`,
        body: '',
      }
    : {
        method: 'POST',
        path: '/api/v1/services/svc/vectors',
        body: JSON.stringify({
          entities: ids.map((entity_id) => ({ entity_id })),
          orientation: 'columns',
        }),
      };

const children: ChildProcess[] = [];

/** Feast says a line for each start and end of its parts, which nobody needs here. */
function begin(command: readonly string[], says: 'inherit' | 'ignore'): ChildProcess {
  const child = spawn('taskset', ['-c', '0', ...command], {
    stdio: ['ignore', 'ignore', says],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  children.push(child);
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** Waits until the server answers as it will be asked. */
async function ready(port: number, child: ChildProcess): Promise<Server> {
  const { method, path, body } = asFeast([1]);
  const headers = { 'content-type': 'application/json' };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`a server ended with ${child.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body, headers }).catch(
      () => null,
    );
    if (answer?.status === 200) return { port, pid: child.pid! };
    await setTimeout(200);
  }
}

/** User and system time of a process and of its children so far, in seconds (ticks of 10 ms). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) / 100;
  const tasks = readdirSync(`/proc/${pid}/task`);
  const below = tasks.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return below.reduce((sum, child) => sum + cpuSeconds(Number(child)), own);
}

let folder = '';

/** `delayMs`: what each connection rests after an answer. */
function load(server: Server, ask: Ask, size: number, seconds: number, delayMs = 0): Load {
  const lua = join(folder, 'load.lua');
  const quoted = (text: string) => `[==[${text}]==]`;
  const requests = Array.from({ length: 500 }, (_, i) => {
    const ids = Array.from({ length: size }, (_, j) => (i * 7919 + j * 104_729) % ENTITIES);
    const { method, path, body } = ask(ids);
    return `wrk.format(${quoted(method)}, ${quoted(path)}, { ["Content-Type"] = "application/json" }, ${body === '' ? 'nil' : quoted(body)})`;
  });
  writeFileSync(
    lua,
    `local requests
init = function() requests = { ${requests.join(',\n')} } end
local i = 0
request = function() i = i % #requests + 1 return requests[i] end
${delayMs > 0 ? `delay = function() return ${Math.round(delayMs)} end` : ''}
done = function(summary, latency)
  io.stderr:write(string.format("%f %f %d %d", summary.requests / summary.duration * 1e6, latency:percentile(99) / 1e3,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout, summary.requests))
end
`,
  );
  const before = cpuSeconds(server.pid);
  const output = execFileSync(
    'sh',
    [
      '-c',
      `taskset -c 1 wrk -t1 -c${CONNECTIONS} -d${seconds} --timeout 20 -s ${lua} http://127.0.0.1:${server.port} 2>&1 >/dev/null`,
    ],
    { encoding: 'utf8' },
  );
  const [perSecond, p99Ms, errors, count] = output.trim().split(' ').map(Number);
  if (errors !== 0) throw new Error(`the load saw ${errors} errors: ${output}`);
  const cpuUs = ((cpuSeconds(server.pid) - before) * 1e6) / count!;
  return { perSecond: perSecond!, p99Ms: p99Ms!, cpuUs };
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;

/** Rounds of all contenders in turn. */
function contest(contenders: readonly { server: Server; ask: Ask; name: string }[], size: number) {
  for (const { server, ask } of contenders) load(server, ask, size, WARM_UP_SECONDS);
  const loads = contenders.map((): Load[] => []);
  for (let round = 0; round < ROUNDS; round++)
    contenders.forEach(({ server, ask, name }, i) => {
      const each = load(server, ask, size, SECONDS);
      loads[i]!.push(each);
      process.stderr.write(
        `${size} × 10, ${name}: ${each.perSecond.toFixed(0)}/s, ${each.cpuUs.toFixed(0)} µs, p99 ${each.p99Ms.toFixed(1)} ms\n`,
      );
    });
  return loads.map((each) => ({
    perSecond: median(each.map(({ perSecond }) => perSecond)),
    p99Ms: median(each.map(({ p99Ms }) => p99Ms)),
    cpuUs: median(each.map(({ cpuUs }) => cpuUs)),
  }));
}

function figures({ perSecond, p99Ms, cpuUs }: Load): string {
  return `${Math.round(perSecond).toLocaleString('en')} requests/s, ${cpuUs.toFixed(0)} µs of CPU each, p99 ${p99Ms.toFixed(1)} ms`;
}

async function compare(): Promise<BenchReport['rows']> {
  const made = await project(FEATURES, ROWS);
  folder = made.folder;
  const app = await made.open();
  await materialize(app);
  await app.close();
  const python = execFileSync(join(ROOT, 'scripts/python'), ['feast'], { encoding: 'utf8' }).trim();
  const redis = execFileSync(join(ROOT, 'scripts/services/redis'), ['up'], {
    encoding: 'utf8',
    env: { ...process.env, SAMEWISE_SERVICES_OWNER: String(process.pid) },
  }).trim();
  const start = async (says: 'inherit' | 'ignore', command: (port: string) => string[]) => {
    const port = await freePort();
    return ready(port, begin(command(String(port)), says));
  };
  const rows = join(folder, 'data/payments.parquet');
  const script = join(import.meta.dirname, 'feast_server.py');
  const feast = (name: string, store: string) =>
    start('ignore', (port) => [python, script, join(folder, name), rows, store, port]);
  const sqlite = await feast('feast_sqlite', 'sqlite');
  const inRedis = await feast('feast_redis', redis);
  const bin = join(ROOT, 'bin/samewise.js');
  const ours = await start('inherit', (port) => [
    process.execPath,
    bin,
    '--project',
    folder,
    'serve',
    '--port',
    port,
  ]);
  const contenders = [
    { server: sqlite, ask: asFeast, name: 'Feast, SQLite' },
    { server: inRedis, ask: asFeast, name: 'Feast, Redis' },
    { server: ours, ask: asFeast, name: 'Samewise, Feast’s requests' },
    { server: ours, ask: asRest, name: 'Samewise, REST' },
  ];
  return [1, 100].flatMap((size) => {
    const what = size === 1 ? '1 entity × 10' : `${size} entities × 10`;
    const loads = contest(contenders, size);
    const [withSqlite, withRedis, likeFeast, rest] = loads as [Load, Load, Load, Load];
    const against = (name: string, peer: Load, own: Load) => {
      const ratio = peer.cpuUs / own.cpuUs;
      return {
        what: `requests per CPU second against ${name}, ${what}`,
        value: `${ratio.toFixed(0)} × (requests/s: ${(own.perSecond / peer.perSecond).toFixed(0)} ×)`,
        target: '≥ 30 ×',
        met: ratio >= 30,
      };
    };
    const delayMs = (1000 * CONNECTIONS) / (SHARE_OF_FEASTS * withSqlite.perSecond);
    const theirs = load(sqlite, asFeast, size, 2 * SECONDS, delayMs).p99Ms;
    const owns = load(ours, asFeast, size, 2 * SECONDS, delayMs).p99Ms;
    return [
      ...contenders.map(({ name }, i) => ({ what: `${name}, ${what}`, value: figures(loads[i]!) })),
      against('Feast with SQLite, Feast’s requests', withSqlite, likeFeast),
      against('Feast with Redis, Feast’s requests', withRedis, likeFeast),
      against('Feast with SQLite, REST', withSqlite, rest),
      {
        what: `p99 at ${SHARE_OF_FEASTS * 100} % of what Feast with SQLite can do, ${what}`,
        value: `Feast ${theirs.toFixed(1)} ms, Samewise ${owns.toFixed(2)} ms: ${(theirs / owns).toFixed(0)} × lower`,
        target: '≥ 20 × lower',
        met: theirs >= 20 * owns,
      },
    ];
  });
}

const report = {
  title: 'Feast’s feature server',
  command: 'node bench/feast.ts',
  about:
    'Feast 0.67 with one worker, and one `samewise serve` over LMDB with its event worker: the same 10,000 entities of 10 latest values (5 floats, 5 int64), ' +
    'asked by the same POST /get-online-features; also by our REST. wrk with 16 connections on the other core, 500 requests in turn: those of ' +
    'one entity come again while we remember their answers, those of 100 are read each time.',
};
try {
  execFileSync('which', ['wrk', 'taskset'], { stdio: 'ignore' });
  printBenchReport({ ...report, rows: await compare() });
} finally {
  for (const child of children) child.kill();
  await Promise.all(
    children.map(
      (child) => child.exitCode === null && child.signalCode === null && once(child, 'close'),
    ),
  );
  if (folder !== '') rmSync(folder, { recursive: true });
}
