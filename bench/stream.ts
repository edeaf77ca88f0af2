/**
 * Streams, embedded: events pushed over HTTP to a server as users start it, until reads see them. The load comes from another
 * process; what counts is the server's CPU time, which on a core of its own is the rate, and holds also where others use the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type BenchReport, printBenchReport } from './report.ts';

const ROOT = join(import.meta.dirname, '..');
const BATCH = 1_000;
const CUSTOMERS = 1_000;
const WARM_UP = 200_000;
const EVENTS = 500_000;
/** Requests that are under way at once. */
const IN_FLIGHT = 4;
/** Half of the rate that is asked for. */
const BACKGROUND_RATE = 25_000;
const PROBES = 200;
/** A backlog of so many seconds at 10,000 events/s. */
const OUTAGE_SECONDS = 60;
const OUTAGE_RATE = 10_000;

const FEATURES = `
import { avg, count, entity, featureView, float64, int64, source, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const payments = source({
  name: 'payments', eventTime: 'at', eventId: 'id', lateness: '1h',
  columns: { id: int64, at: timestamp, customer_id: int64, amount: float64 },
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments, retention: '2h',
  features: ({ amount }) => ({
    n_1m: count().over('1m'), n_1h: count().over('1h'), total: sum(amount).over('10m'), mean: avg(amount).over('30m'),
  }),
});
`;

const folder = mkdtempSync(join(tmpdir(), 'samewise-bench-stream-'));
const environment = { ...process.env, NODE_NO_WARNINGS: '1' };
const servers: ChildProcess[] = [];

function samewise(...args: string[]): ChildProcess {
  return spawn(process.execPath, [join(ROOT, 'bin/samewise.js'), ...args], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function run(...args: string[]): Promise<void> {
  const child = samewise(...args);
  child.stdout!.resume();
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`samewise ${args.join(' ')} ended with ${code}`);
}

async function serve(): Promise<{ url: string; pid: number; stop(): Promise<unknown> }> {
  const server = samewise('serve', '--port', '0', '--json');
  servers.push(server);
  let said = '';
  for await (const chunk of server.stdout!) {
    said += chunk;
    if (said.trimEnd().endsWith('}')) break;
  }
  const stop = () => {
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    return ended;
  };
  return { url: `${JSON.parse(said).url}/api/v1/events/payments`, pid: server.pid!, stop };
}

/** User and system time of a process so far, in seconds (ticks of 10 ms). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Memory of a process, in MB: all, and without what is mapped from files. */
function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/RssAnon:\s+(\d+)/.exec(status)![1]) / 1024);
}

let made = 0;

function lines(count: number): string {
  const nowMs = Date.now();
  let text = '';
  for (let i = 0; i < count; i++, made++)
    text += `{"id":${made},"at":${nowMs * 1000 + (made % 1000)},"customer_id":${(made * 7919) % CUSTOMERS},"amount":${(made % 9973) / 4}}\n`;
  return text;
}

async function post(url: string, body: string, wait: 'durable' | 'applied'): Promise<void> {
  const answer = await fetch(`${url}?wait=${wait}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
}

/** Pushes events as fast as they are taken; all are applied when it resolves. */
async function pushAll(url: string, events: number): Promise<void> {
  let left = events / BATCH;
  const pusher = async () => {
    while (left-- > 0) await post(url, lines(BATCH), 'durable');
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, pusher));
  await post(url, lines(1), 'applied');
}

/** How long single events take from the request until reads see them, beside a load, in ms. */
async function freshness(url: string): Promise<number[]> {
  let over = false;
  const load = async () => {
    const start = performance.now();
    for (let sent = 0; !over; sent++) {
      const waitMs = (sent * BATCH * 1_000) / BACKGROUND_RATE - (performance.now() - start);
      if (waitMs > 0) await pause(waitMs);
      await post(url, lines(BATCH), 'durable');
    }
  };
  const loading = load();
  const times: number[] = [];
  await pause(2_000);
  for (let i = 0; i < PROBES; i++) {
    const start = performance.now();
    await post(url, lines(1), 'applied');
    times.push(performance.now() - start);
    await pause(20);
  }
  over = true;
  await loading;
  return times.sort((a, b) => a - b);
}

const load = () => loadavg()[0]!.toFixed(1);
const say = (text: string) => process.stderr.write(`${text} (load ${load()})\n`);

try {
  writeFileSync(join(folder, 'samewise.config.json'), '{}');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'features.ts'), FEATURES);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules/samewise'));
  await run('apply', '--yes');

  const { url, pid, stop } = await serve();
  await pushAll(url, WARM_UP);
  const memory = [residentMb(pid)];
  const cpu = cpuSeconds(pid);
  const start = performance.now();
  for (let part = 0; part < 5; part++) {
    await pushAll(url, EVENTS / 5);
    memory.push(residentMb(pid));
  }
  const seconds = (performance.now() - start) / 1000;
  const perCpuSecond = Math.round(EVENTS / (cpuSeconds(pid) - cpu));
  say(
    `push: ${perCpuSecond} events per CPU second, ${Math.round(EVENTS / seconds)}/s; ${memory} MB`,
  );
  const times = await freshness(url);
  const at = (share: number) => times[Math.floor(times.length * share)]!;
  say(`readable after p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms`);

  // An outage: the workers stand still while events come.
  await run('stream', 'pause', 'payments');
  await pause(2_500);
  const backlog = OUTAGE_SECONDS * OUTAGE_RATE;
  for (let i = 0; i < backlog / BATCH; i++) await post(url, lines(BATCH), 'durable');
  await stop();
  const again = await serve();
  await run('stream', 'resume', 'payments');
  const catchStart = performance.now();
  const catchCpu = cpuSeconds(again.pid);
  await post(again.url, lines(1), 'applied');
  const caughtSeconds = (performance.now() - catchStart) / 1000;
  const caughtCpu = cpuSeconds(again.pid) - catchCpu;
  const faster = OUTAGE_SECONDS / caughtSeconds;
  say(
    `caught up ${backlog} events in ${caughtSeconds.toFixed(1)} s, ${caughtCpu.toFixed(1)} s CPU`,
  );

  const grown = memory.at(-1)! / Math.max(...memory.slice(0, 2));
  const report: BenchReport = {
    title: 'Streams',
    command: 'node bench/stream.ts',
    about:
      `One server (\`samewise serve\`, embedded log, one partition) takes JSON lines over HTTP, ${BATCH.toLocaleString('en')} events a request, ` +
      `appends them durably, applies them to the pages of a view with four windows of ${CUSTOMERS.toLocaleString('en')} customers, and commits them to history. ` +
      `Its CPU time is that of all its threads. Load average at the end: ${load()}.`,
    rows: [
      {
        what: `push to applied, ${EVENTS.toLocaleString('en')} events`,
        value: `${perCpuSecond.toLocaleString('en')} events per CPU second (${Math.round(EVENTS / seconds).toLocaleString('en')} events/s)`,
        target: '≥ 50,000 events/s on one core',
        met: perCpuSecond >= 50_000,
      },
      {
        what: `event → readable beside ${BACKGROUND_RATE.toLocaleString('en')} events/s`,
        value: `p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms`,
        target: 'p99 < 250 ms',
        met: at(0.99) < 250,
      },
      {
        what: `catching up ${OUTAGE_SECONDS} s at ${OUTAGE_RATE.toLocaleString('en')} events/s`,
        value: `${caughtSeconds.toFixed(1)} s, ${faster.toFixed(1)} × real time (${caughtCpu.toFixed(1)} s of CPU)`,
        target: '≥ 5 × real time',
        met: faster >= 5,
      },
      {
        what: 'memory without mapped files, after each 100,000 events at full rate',
        value: `${memory.join(', ')} MB`,
        target: 'flat',
        met: grown < 1.25,
      },
    ],
  };
  printBenchReport(report);
} finally {
  for (const server of servers) server.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
