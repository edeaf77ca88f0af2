/**
 * Streams, Kafka: how fast a worker brings a topic into pages with four windows and into history, against how fast the bare client
 * reads the same topic and lets go of it: one process each, in turns, and two at once. The broker is the benchmark's own
 * (scripts/services/kafka).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin, Consumer, Producer } from '@platformatic/kafka';
import { answer, startChild } from './child.ts';
import { type BenchReport, printBenchReport } from './report.ts';
import {
  CUSTOMERS,
  endedCpuSeconds,
  load,
  Payments,
  StreamProject,
  say,
} from './stream_project.ts';

const TOPIC = 'payments';
const EVENTS = 500_000;
const EVENTS_A_SEND = 5_000;
const PARTITIONS = 4;
const ROUNDS = 3;

if (process.argv[2] === 'bare') await answer(() => readBare(process.argv[3]!));
else await compare();

interface Measured {
  readonly seconds: number;
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
}

/** The client as its documentation shows it, with nothing done to what it reads: from when it has joined to the last record. */
async function readBare(address: string): Promise<Measured> {
  const consumer = new Consumer({
    clientId: 'bare',
    groupId: `bare-${process.pid}`,
    bootstrapBrokers: [address],
  });
  const stream = await consumer.consume({ topics: [TOPIC], mode: 'earliest', autocommit: false });
  const start = performance.now();
  const cpu = process.cpuUsage();
  let left = EVENTS;
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('data', () => {
      if (--left === 0) resolve();
    });
  });
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await consumer.close(true);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

async function fill(address: string): Promise<void> {
  const payments = new Payments();
  const options = { clientId: 'bench', bootstrapBrokers: [address] };
  const admin = new Admin(options);
  await admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: 1 });
  await admin.close();
  const producer = new Producer(options);
  for (let sent = 0; sent < EVENTS; sent += EVENTS_A_SEND)
    await producer.send({
      messages: payments.lines(EVENTS_A_SEND).map((line) => ({
        topic: TOPIC,
        key: Buffer.from(/"customer_id":(\d+)/.exec(line)![1]!),
        value: Buffer.from(line),
      })),
    });
  await producer.close();
}

async function compare(): Promise<void> {
  const services = mkdtempSync(join(tmpdir(), 'samewise-bench-kafka-'));
  const kafka = (what: string) =>
    execFileSync(join(import.meta.dirname, '../scripts/services/kafka'), [what], {
      env: {
        ...process.env,
        SAMEWISE_SERVICES_DIR: services,
        SAMEWISE_SERVICES_OWNER: String(process.pid),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    }).trim();
  try {
    const address = kafka('up');
    await fill(address);
    say(`${EVENTS} events are in the topic`);
    const found: Found[] = [1, 2].map((processes) => ({ processes, bare: [], ours: [] }));
    for (let round = 0; round < ROUNDS; round++)
      for (const { processes, bare, ours } of found) {
        bare.push(await bareAtOnce(address, processes));
        ours.push(await applied(address, processes));
      }
    printBenchReport(reportOf(found));
  } finally {
    kafka('down');
    rmSync(services, { recursive: true, force: true });
  }
}

interface Found {
  readonly processes: number;
  readonly bare: Measured[];
  readonly ours: Measured[];
}

/** Several at once, each of which reads the whole topic: what one of them would take if they shared it out without any loss. */
async function bareAtOnce(address: string, processes: number): Promise<Measured> {
  const runs = await Promise.all(
    Array.from({ length: processes }, () => startChild(import.meta.filename, 'bare', address)),
  );
  const all = runs.map(({ result }) => result as Measured);
  return {
    seconds: Math.max(...all.map(({ seconds }) => seconds)) / processes,
    cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / processes,
  };
}

/** Workers of a new project, from the topic's first event to its last, less what it takes where nothing is to be done. */
async function applied(address: string, processes: number): Promise<Measured> {
  const project = new StreamProject();
  try {
    await project.open({ stream: `kafka:${address}` }, `stream: stream({ topic: '${TOPIC}' }),`);
    const run = () => project.run('stream', 'run', '--catch-up');
    const atOnce = () => measured(() => Promise.all(Array.from({ length: processes }, run)));
    const all = await atOnce();
    const nothing = await atOnce();
    const seconds = all.seconds - nothing.seconds;
    const cpu = all.cpuSeconds - nothing.cpuSeconds;
    say(`workers in ${processes} processes: ${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s CPU`);
    return { seconds, cpuSeconds: cpu };
  } finally {
    project.close();
  }
}

async function measured(body: () => Promise<unknown>): Promise<Measured> {
  const start = performance.now();
  const cpu = endedCpuSeconds();
  await body();
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: endedCpuSeconds() - cpu };
}

function reportOf(found: readonly Found[]): BenchReport {
  return {
    title: 'Streams: Kafka',
    command: 'node bench/stream_kafka.ts',
    about:
      `${count(EVENTS)} payments of ${count(CUSTOMERS)} customers as JSON in ${PARTITIONS} partitions of a real broker, keyed by their customers, as topics usually are: all payments of a customer are in one partition. Bare: @platformatic/kafka reads them and lets go of them. ` +
      `Samewise: \`samewise stream run --catch-up\` applies them to the pages of a view with four windows and commits them to history, both durable. ` +
      `One process each, in turns, and two at once: workers share the partitions, bare clients read the whole topic each and together count as one that is twice as fast. ` +
      `The broker runs beside them on the same cores. The best of ${ROUNDS} rounds. Load average at the end: ${load()}.`,
    rows: found.flatMap(rowsOf),
  };
}

function rowsOf({ processes, bare, ours }: Found): BenchReport['rows'] {
  const best = (runs: readonly Measured[], of: keyof Measured) =>
    Math.min(...runs.map((run) => run[of]));
  const said = (runs: readonly Measured[]) =>
    `${rate(best(runs, 'cpuSeconds'))} events per CPU second, ${rate(best(runs, 'seconds'))}/s`;
  const share = best(bare, 'cpuSeconds') / best(ours, 'cpuSeconds');
  const wallShare = best(bare, 'seconds') / best(ours, 'seconds');
  const where = processes === 1 ? 'one process' : `${processes} processes`;
  return [
    { what: `the bare client, ${where}`, value: said(bare) },
    { what: `Samewise, into pages and history, ${where}`, value: said(ours) },
    {
      what: `Samewise against the bare client, ${where}`,
      value: `${percent(share)} of the events per CPU second, ${percent(wallShare)} of the events/s`,
      target: '≥ 60 %',
      met: share >= 0.6 && wallShare >= 0.6,
    },
  ];
}

function count(n: number): string {
  return n.toLocaleString('en');
}

function rate(seconds: number): string {
  return count(Math.round(EVENTS / seconds));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
