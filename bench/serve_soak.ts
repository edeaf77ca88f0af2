/**
 * `node bench/serve_soak.ts [minutes] [workers]`: a server under 70 % of the load that it can bear, for half an hour unless told otherwise,
 * while events come in. The memory of each of its processes must be flat and the 99th percentile must not drift. h2load sends each
 * request when it is due (a generator in JavaScript took as much of the machine as the server); one that is sent late counts from
 * when it was due. Needs wrk and h2load (nghttp2-client).
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ask } from '../test/e2e/load.ts';
import { scaffolded, temporary } from '../test/e2e/support.ts';
import { type BenchReport, printBenchReport } from './report.ts';
import { residentMb, say } from './stream_project.ts';

const MINUTES = Number(process.argv[2] ?? 30);
const WORKERS = Number(process.argv[3] ?? 1);
const LOAD = 0.7;
const CONNECTIONS = 16;
/** Each has one request under way: enough that one that waits holds up no other. */
const PACED_READS = 64;
const PACED_BATCHES = 16;
const SATURATED_S = 10;
const WARM_UP_S = 10;
const CUSTOMERS = 8;
/** The last minutes against the first ones, at most. */
const MOST_GROWTH = 1.1;

const { folder, remove } = temporary();
const project = await scaffolded(folder);
const posted = join(folder, 'batch.json');
const reads = join(folder, 'reads.txt');
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

const READ =
  '/api/v1/features/online?entity=customer&features=avg_amount_7d,tx_count_1d,last_5_amounts&id=';
const BATCH = '/api/v1/services/fraud_v1/vectors';
const batch = JSON.stringify({
  entities: Array.from({ length: CUSTOMERS }, (_, i) => ({ customer_id: i + 1, amount: 25 })),
});

/** Nine plain reads and one batch in ten requests, as fast as answers come: requests a second. */
function saturation(url: string, seconds: number): number {
  const lua = join(folder, 'load.lua');
  writeFileSync(
    lua,
    `local i = 0
request = function()
  i = i + 1
  if i % 10 > 0 then return wrk.format("GET", "${READ}" .. i % ${CUSTOMERS} + 1) end
  return wrk.format("POST", "${BATCH}", {["content-type"]="application/json"}, '${batch}')
end
done = function(summary)
  io.stderr:write(string.format("%f", summary.requests / summary.duration * 1e6))
end
`,
  );
  return Number(
    execFileSync(
      'sh',
      ['-c', `wrk -t1 -c${CONNECTIONS} -d${seconds} -s ${lua} ${url} 2>&1 >/dev/null`],
      { encoding: 'utf8' },
    ),
  );
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
    await ask(new URL('/api/v1/events/transactions', url), JSON.stringify(event));
    await pause(200);
  }
}

/** One load at a fixed rate for a minute: latencies in milliseconds, from when each request was due; and how many failed. */
async function paced(
  name: string,
  rate: number,
  connections: number,
  options: readonly string[],
): Promise<{ latencies: Float64Array; failed: number }> {
  const log = join(folder, `${name}.log`);
  rmSync(log, { force: true });
  const rps = String(rate / connections);
  await promisify(execFile)('h2load', [
    ...['--h1', '-t', '1', '-c', String(connections), '--rps', rps, '-D', '60', '--log-file', log],
    ...options,
  ]);
  // Start and status and duration, times in microseconds.
  const rows = readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((row) => row.split('\t').map(Number));
  rows.sort(([a], [b]) => a! - b!);
  const begunUs = rows[0]![0]!;
  const latencies = Float64Array.from(rows, ([startUs, , tookUs], i) => {
    const lateUs = Math.max(0, startUs! - (begunUs + (i / rate) * 1e6));
    return (lateUs + tookUs!) / 1000;
  });
  const due = Math.floor(rate * 59);
  const failed =
    rows.filter(([, status]) => status !== 200).length + Math.max(0, due - rows.length);
  return { latencies, failed };
}

/** A minute of both kinds of requests: their latencies, sorted, and how many failed or were never sent. */
async function minuteOf(
  url: string,
  rate: number,
): Promise<{ sorted: Float64Array; failed: number }> {
  const loads = await Promise.all([
    paced('reads', rate * 0.9, PACED_READS, ['-i', reads]),
    paced('batches', rate * 0.1, PACED_BATCHES, [
      '-d',
      posted,
      '-H',
      'content-type: application/json',
      `${url}${BATCH}`,
    ]),
  ]);
  const all = new Float64Array(loads[0].latencies.length + loads[1].latencies.length);
  all.set(loads[0].latencies);
  all.set(loads[1].latencies, loads[0].latencies.length);
  return { sorted: all.sort(), failed: loads[0].failed + loads[1].failed };
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
  writeFileSync(posted, batch);
  writeFileSync(
    reads,
    Array.from({ length: CUSTOMERS }, (_, i) => `${url}${READ}${i + 1}\n`).join(''),
  );
  saturation(url, WARM_UP_S);
  const most = saturation(url, SATURATED_S);
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
    about: `\`samewise serve --workers ${WORKERS}\` at 70 % of ${Math.round(most)} requests/s for ${MINUTES} minutes (h2load, ${PACED_READS + PACED_BATCHES} connections; saturated by wrk with ${CONNECTIONS}), nine plain reads of 3 features and one batch of ${CUSTOMERS} entities in ten, 5 events a second pushed meanwhile. The load generator shares the machine with the server. Growth: the median of the last third of the minutes against that of the second.`,
    rows: [
      {
        what: 'requests that failed or could not be sent',
        value: String(failed),
        target: '0',
        met: failed === 0,
      },
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
  remove();
}
