/**
 * `make demo-stream`: half a day of real flights, played 1,000 times as fast as it happened through an event log into features
 * that are served while they change; then the proof that what was served is what training computes, and what a naive oracle does.
 * `--kafka` plays them through Kafka: nothing else changes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, styleText } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';

import type { ServedProof } from '../../src/app/prove_served.ts';
import { formatCount } from '../../src/base/numbers.ts';
import { naiveVectors } from '../flights/oracle.ts';

const { values: flags } = parseArgs({ options: { kafka: { type: 'boolean', default: false } } });
const ROOT = join(import.meta.dirname, '../..');
const PROJECT = 'examples/flights-live';
const OUT = 'demo-out/live';
const SERVICE = 'flight_live_v1';
const FLIGHTS = 'node_modules/vega-datasets/data/flights-3m.parquet';
const FROM = '2001-06-01 06:00';
const UNTIL = '2001-06-01 18:00';
const SPEED = 1_000;
const TICK_MS = 100;
const TRAINING = `${OUT}/training.parquet`;
const LABELS = `sql:select origin, destination, distance, date, delay > 15 as late
  from '../../${FLIGHTS}' where date >= '${FROM}' and date < '${UNTIL}'
  order by date, origin, destination, distance, late`;
/** Of the topic, with --kafka. */
const PARTITIONS = 4;
const PROVED_ROWS = 2_000;
const ORACLE_ROWS = 50;

const environment = { ...process.env };
if (flags.kafka) environment.SAMEWISE_STREAM = `kafka:${await startKafka()}`;
const bold = (text: string) => styleText('bold', text, { stream: process.stdout });
const cli = ['bin/samewise.js', '--project', PROJECT];
const children: ChildProcess[] = [];
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a broker of the demo's own, which ends when the demo does, and makes the topic: Samewise makes none in a Kafka that others run. */
async function startKafka(): Promise<string> {
  process.stdout.write('Starting Kafka …\n');
  const address = kafka('up').trim().split('\n').at(-1)!;
  const { Admin } = await import('@platformatic/kafka');
  const admin = new Admin({ clientId: 'demo', bootstrapBrokers: [address] });
  await admin.createTopics({ topics: ['flights'], partitions: PARTITIONS, replicas: 1 });
  await admin.close();
  return address;
}

function kafka(command: 'up' | 'down'): string {
  return execFileSync('scripts/services/kafka', [command], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      SAMEWISE_SERVICES_DIR: join(tmpdir(), `samewise-demo-${process.pid}`),
      SAMEWISE_SERVICES_OWNER: String(process.pid),
    },
  });
}

function start(args: readonly string[], output: 'pipe' | 'inherit'): ChildProcess {
  process.stdout.write(`\n${bold(`$ npx samewise --project ${PROJECT} ${args.join(' ')}`)}\n`);
  const child = spawn(process.execPath, [...cli, ...args], {
    cwd: ROOT,
    env: environment,
    stdio: ['ignore', output, 'inherit'],
  });
  children.push(child);
  return child;
}

/** Runs one command of the CLI, shows it, and gives its --json result. */
async function samewise<T>(args: readonly string[], said: (result: T) => string): Promise<T> {
  const shown = args.map((arg) => (/[\s'*?]/.test(arg) ? `"${arg.replace(/\s+/g, ' ')}"` : arg));
  process.stdout.write(`\n${bold(`$ npx samewise --project ${PROJECT} ${shown.join(' ')}`)}\n`);
  const child = spawn(process.execPath, [...cli, '--json', ...args], {
    cwd: ROOT,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  const [code] = await exited;
  if (code !== 0) {
    process.stderr.write(`${text}\nThe command ended with exit code ${code}.\n`);
    process.exit(1);
  }
  const result = JSON.parse(text) as T;
  process.stdout.write(`${said(result)}\n`);
  return result;
}

function sum<Name extends string>(rows: readonly Record<Name, number>[], of: Name): number {
  return rows.reduce((total, row) => total + row[of], 0);
}

interface Played {
  /** When it is sent: mostly when it happened, some of them up to two hours late. */
  readonly sentMs: number;
  readonly line: string;
}

/** The flights as a network would deliver them: one in twenty late, one in fifty twice. */
async function delivered(): Promise<Played[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(
    `SELECT epoch_ms(date) AS ms, strftime(date, '%Y-%m-%dT%H:%M:%SZ') AS date, delay, distance, origin, destination,
       hash(date, delay, distance, origin, destination) % 1000 AS luck
     FROM '${join(ROOT, FLIGHTS)}' WHERE date >= '${FROM}' AND date < '${UNTIL}' ORDER BY date, luck`,
  );
  const rows = reader.getRowObjectsJson();
  connection.closeSync();
  instance.closeSync();
  const all = rows.flatMap(({ ms, luck, ...flight }) => {
    const [at, drawn] = [Number(ms), Number(luck)];
    const event = { ...flight, delay: Number(flight.delay), distance: Number(flight.distance) };
    const line = JSON.stringify(event);
    const once_ = { sentMs: drawn < 50 ? at + drawn * 144_000 : at, line };
    return drawn % 50 === 7 ? [once_, { sentMs: once_.sentMs + 600_000, line }] : [once_];
  });
  return all.sort((a, b) => a.sentMs - b.sentMs);
}

async function push(url: string, lines: readonly string[], wait: string): Promise<void> {
  const response = await fetch(`${url}/api/v1/events/flights?wait=${wait}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
  if (!response.ok) throw new Error(await response.text());
}

/** Plays all flights, and asks for a flight's vector now and then, as a model would; gives how many were sent. */
async function play(url: string, flights: readonly Played[]): Promise<number> {
  const firstMs = flights[0]!.sentMs;
  const started = performance.now();
  for (let next = 0; next < flights.length; ) {
    const nowMs = firstMs + (performance.now() - started) * SPEED;
    let end = next;
    while (end < flights.length && flights[end]!.sentMs <= nowMs) end++;
    const lines = flights.slice(next, end).map(({ line }) => line);
    if (lines.length > 0) {
      await push(url, lines, end === flights.length ? 'applied' : 'durable');
      const { date, origin, destination } = JSON.parse(lines.at(-1)!);
      await vector(url, { origin, destination }, date);
    }
    next = end;
    await sleep(TICK_MS);
  }
  return flights.length;
}

async function serve(): Promise<{ url: string; child: ChildProcess }> {
  const child = start(['--json', 'serve', '--port', '0', '--no-stream'], 'pipe');
  for await (const chunk of child.stdout!) {
    const { url } = JSON.parse(String(chunk)) as { url: string };
    process.stdout.write(`Serving on ${url}\n`);
    return { url, child };
  }
  throw new Error('the server did not start');
}

async function stopped(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function vector(url: string, entity: unknown, at: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/api/v1/services/${SERVICE}/vectors`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities: [entity], at }),
  });
  if (!response.ok) throw new Error(await response.text());
  return ((await response.json()) as { vectors: Record<string, unknown>[] }).vectors[0]!;
}

/** HTTP, training row and a filter-and-fold over raw rows must be the same text. */
async function askOracle(url: string): Promise<number> {
  const cases = await naiveVectors(join(ROOT, FLIGHTS), join(ROOT, TRAINING), ORACLE_ROWS);
  let values = 0;
  let mismatches = 0;
  for (const { entity, at, training, naive } of cases) {
    const { origin, destination } = entity;
    const online = await vector(url, { origin, destination }, at);
    for (const name of Object.keys(naive).filter((each) => each in online)) {
      values++;
      const texts = [naive[name], training[name], online[name]].map((value) =>
        JSON.stringify(value),
      );
      if (texts[0] === texts[1] && texts[1] === texts[2]) continue;
      mismatches++;
      process.stdout.write(
        `  ${name} at ${at}: oracle ${texts[0]}, training ${texts[1]}, online ${texts[2]}\n`,
      );
    }
  }
  process.stdout.write(
    `\n${bold('Naive oracle')} (examples/flights/oracle.ts)\n${formatCount(values)} values of ${cases.length} (entity, T), training = HTTP = filter-and-fold over raw rows: ${mismatches} mismatches\n`,
  );
  return mismatches;
}

rmSync(join(ROOT, OUT), { recursive: true, force: true });
rmSync(join(ROOT, PROJECT, '.samewise'), { recursive: true, force: true });
process.stdout.write(
  `${bold('Samewise, live')}: flights until ${FROM} are history; those until ${UNTIL} come in at ${formatCount(SPEED)}× real time,
some late, some twice${flags.kafka ? ', through Kafka' : ''}. The definitions are in ${PROJECT}/features.ts.\n`,
);
await samewise<{ plan: { changes: unknown[] } }>(
  ['apply', '--yes', '--message', 'the live demo'],
  ({ plan }) => `${plan.changes.length} definitions registered`,
);
await samewise<{ rows: number; keys: number }[]>(['materialize'], (views) => {
  return `${formatCount(sum(views, 'rows'))} events of ${formatCount(sum(views, 'keys'))} entity keys`;
});
const flights = await delivered();
const { url, child: server } = await serve();
const worker = start(['stream', 'run'], 'inherit');
const sent = await play(url, flights);
await stopped(worker);
process.stdout.write(`${formatCount(sent)} deliveries were played.\n`);
await samewise<{ partitions: { history: { rows: number } | null }[] }[]>(
  ['status'],
  ([status]) =>
    `history has ${formatCount(status!.partitions.reduce((n, { history }) => n + (history?.rows ?? 0), 0))} of them`,
);
await samewise<{ rows: number }>(
  ['train', '--service', SERVICE, '--labels', LABELS, '--time', 'date', '--out', TRAINING],
  ({ rows }) => `${formatCount(rows)} labels of that half day: ${TRAINING}`,
);
const proof = await samewise<{
  online: { rows: number; values: number; mismatches: unknown[] };
}>(
  ['verify', `${TRAINING}.manifest.json`, '--online', String(PROVED_ROWS)],
  ({ online }) =>
    `${formatCount(online.values)} values of ${formatCount(online.rows)} (entity, T), as streamed and as trained: ${online.mismatches.length} mismatches`,
);
let wrong = proof.online.mismatches.length + (await askOracle(url));
await stopped(server);
const served = await samewise<ServedProof>(
  ['prove'],
  ({ values, proven, mismatches, views }) =>
    `${formatCount(values)} values of ${formatCount(proven)} vectors as they were served, computed again from what their pages had then: ${formatCount(mismatches)} mismatches;
of ${formatCount(sum(views, 'reads'))} pages ${formatCount(sum(views, 'behind'))} lacked what had arrived before the read, ${formatCount(sum(views, 'later'))} what arrived later`,
);
wrong += served.mismatches;
if (flags.kafka) {
  kafka('down');
  process.stdout.write('\nKafka is stopped, and with it the topic is gone.\n');
} else {
  process.stdout.write(`
${bold('Try next')}
  npx samewise --project ${PROJECT} serve
  curl -X POST 'localhost:7480/api/v1/events/flights?wait=applied' -H 'content-type: application/json' \\
    -d '{"date": "2001-06-01T18:30:00Z", "delay": 5, "distance": 2586, "origin": "JFK", "destination": "SFO"}'
  npx samewise --project ${PROJECT} get ${SERVICE} -k origin=JFK -k destination=SFO --at 2001-06-01T19:00:00Z
  npx samewise --project ${PROJECT} status
`);
}
if (wrong > 0) process.exitCode = 1;
