/**
 * `node bench/serve_soak.ts [minutes] [workers]`: a server under 70 % of the load that it can bear, for half an hour unless told otherwise,
 * while events come in. The memory of each of its processes must be flat and the 99th percentile must not drift. A request counts
 * from when it was due, so that one that is late makes those behind it late as well.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../test/e2e/load.ts';
import { scaffolded, temporary } from '../test/e2e/support.ts';
import { type BenchReport, printBenchReport } from './report.ts';
import { residentMb, say } from './stream_project.ts';

const MINUTES = Number(process.argv[2] ?? 30);
const WORKERS = Number(process.argv[3] ?? 1);
const LOAD = 0.7;
const CONNECTIONS = 16;
const SATURATED_S = 10;
const WARM_UP_S = 10;
const CUSTOMERS = 8;
const TICK_MS = 5;
/** The last minutes against the first ones, at most. */
const MOST_GROWTH = 1.1;

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
const { folder, remove } = temporary();
const project = await scaffolded(folder);
const server = spawn(
  process.execPath,
  [
    'bin/samewise.js',
    '--project',
    project,
    '--json',
    'serve',
    '--port',
    '0',
    '--workers',
    String(WORKERS),
  ],
  { cwd: new URL('..', import.meta.url), stdio: ['ignore', 'pipe', 'inherit'] },
);
let made = 0;

/** One in ten requests is a batch, the others are plain reads; now, so that windows move. */
function request(url: string): Promise<string> {
  const customer = (++made % CUSTOMERS) + 1;
  if (made % 10 > 0)
    return ask(
      new URL(
        `/api/v1/features/online?entity=customer&id=${customer}&features=avg_amount_7d,tx_count_1d,last_5_amounts`,
        url,
      ),
      undefined,
      agent,
    );
  const entities = Array.from({ length: CUSTOMERS }, (_, i) => ({
    customer_id: i + 1,
    amount: 25,
  }));
  return ask(
    new URL('/api/v1/services/fraud_v1/vectors', url),
    JSON.stringify({ entities }),
    agent,
  );
}

/** Requests a second, as fast as answers come. */
async function saturation(url: string, seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  const before = made;
  const client = async () => {
    while (performance.now() < until) await request(url);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  return (made - before) / seconds;
}

/** A few events a second, as long as the load lasts. */
async function push(url: string, signal: AbortSignal): Promise<void> {
  for (let id = 1_000_000; !signal.aborted; id++) {
    const event = {
      tx_id: id,
      at: new Date().toISOString(),
      customer_id: (id % CUSTOMERS) + 1,
      amount: 1,
    };
    await ask(new URL('/api/v1/events/transactions', url), JSON.stringify(event), agent);
    await pause(200);
  }
}

/** The latencies of one minute at a fixed rate, sorted, in milliseconds; and how many requests failed. */
async function minuteOf(
  url: string,
  rate: number,
): Promise<{ sorted: Float64Array; failed: number }> {
  const begun = performance.now();
  const count = Math.round(rate * 60);
  const latencies = new Float64Array(count);
  const answers: Promise<void>[] = [];
  let failed = 0;
  for (let sent = 0; sent < count; await pause(TICK_MS)) {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1000) * rate));
    for (; sent < due; sent++) {
      const at = sent;
      answers.push(
        request(url).then(
          () => {
            latencies[at] = performance.now() - (begun + (at / rate) * 1000);
          },
          () => {
            failed++;
          },
        ),
      );
    }
  }
  await Promise.all(answers);
  return { sorted: latencies.sort(), failed };
}

function processes(): { name: string; pid: number }[] {
  const children = execFileSync('pgrep', ['-P', String(server.pid), '-a', '-f', 'role']);
  return [
    { name: 'parent', pid: server.pid! },
    ...children
      .toString()
      .trim()
      .split('\n')
      .map((line) => ({
        name: line.includes('"duties"') ? 'duties' : 'worker',
        pid: Number(line.split(' ')[0]),
      })),
  ];
}

try {
  const [chunk] = await once(server.stdout!, 'data');
  const { url } = JSON.parse(String(chunk)) as { url: string };
  while (!(await ask(new URL('/readyz', url))).includes('ok')) await pause(100);
  await saturation(url, WARM_UP_S);
  const most = await saturation(url, SATURATED_S);
  const rate = most * LOAD;
  say(
    `saturated at ${Math.round(most)} requests/s; now ${Math.round(rate)}/s for ${MINUTES} minutes`,
  );
  const ending = new AbortController();
  const pushing = push(url, ending.signal);
  const p99: number[] = [];
  const memory = new Map<string, number[]>();
  let failed = 0;
  for (let minute = 0; minute < MINUTES; minute++) {
    const { sorted, failed: lost } = await minuteOf(url, rate);
    failed += lost;
    p99.push(sorted[Math.floor(sorted.length * 0.99)]!);
    for (const { name, pid } of processes()) {
      const key = `${name} ${pid}`;
      memory.set(key, [...(memory.get(key) ?? []), residentMb(pid)]);
    }
    say(
      `minute ${minute + 1}: p50 ${sorted[sorted.length >> 1]!.toFixed(2)} ms, p99 ${p99.at(-1)!.toFixed(2)} ms, ${[...memory].map(([key, mb]) => `${key} ${mb.at(-1)} MB`).join(', ')}`,
    );
  }
  ending.abort();
  await pushing;
  const third = Math.max(1, Math.floor(MINUTES / 3));
  const middle = (all: number[]) => all.toSorted((a, b) => a - b)[all.length >> 1]!;
  // The first minutes fill what V8, LMDB and DuckDB keep.
  const growth = (all: number[]) => middle(all.slice(-third)) / middle(all.slice(third, 2 * third));
  const report: BenchReport = {
    title: 'Serving, for long',
    command: 'node bench/serve_soak.ts',
    about: `\`samewise serve --workers ${WORKERS}\` at 70 % of ${Math.round(most)} requests/s over ${CONNECTIONS} connections for ${MINUTES} minutes, nine plain reads of 3 features and one batch of ${CUSTOMERS} entities in ten, 5 events a second pushed meanwhile. The load generator shares the machine with the server. Growth: the median of the last third of the minutes against that of the second.`,
    rows: [
      { what: 'requests that failed', value: String(failed), target: '0', met: failed === 0 },
      {
        what: 'p99 by minute, ms',
        value: p99.map((ms) => ms.toFixed(1)).join(', '),
        target: `growth ≤ ${MOST_GROWTH}`,
        met: growth(p99) <= MOST_GROWTH,
      },
      ...[...memory].map(([key, mb]) => ({
        what: `${key.split(' ')[0]}, MB by minute, without mapped files`,
        value: mb.join(', '),
        target: `growth ≤ ${MOST_GROWTH}`,
        met: growth(mb) <= MOST_GROWTH,
      })),
    ],
  };
  printBenchReport(report);
} finally {
  server.kill('SIGTERM');
  await once(server, 'exit');
  agent.destroy();
  remove();
}
