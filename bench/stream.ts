/**
 * Streams, embedded: events pushed over HTTP to a server as users start it, until reads see them. The load comes from another
 * process; what counts is the server's CPU time, which on a core of its own is the rate, and holds also where others use the machine.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type BenchReport, printBenchReport } from './report.ts';
import {
  BATCH,
  CUSTOMERS,
  cpuSeconds,
  load,
  residentMb,
  StreamProject,
  say,
} from './stream_project.ts';

const WARM_UP = 200_000;
const EVENTS = 500_000;
/** Half of the rate that is asked for. */
const BACKGROUND_RATE = 25_000;
const PROBES = 200;
/** A backlog of so many seconds at 10,000 events/s. */
const OUTAGE_SECONDS = 60;
const OUTAGE_RATE = 10_000;

const project = new StreamProject();
let left = 0;

/** Pushes so many events as fast as they are taken. */
async function pushAll(url: string, events: number): Promise<void> {
  left = events / BATCH;
  await project.push(url, () => left-- > 0);
}

/** How long single events take from the request until reads see them, beside a load, in ms. */
async function freshness(url: string): Promise<number[]> {
  let over = false;
  const loadIt = async () => {
    const start = performance.now();
    for (let sent = 0; !over; sent++) {
      const waitMs = (sent * BATCH * 1_000) / BACKGROUND_RATE - (performance.now() - start);
      if (waitMs > 0) await pause(waitMs);
      await project.post(url, BATCH, 'durable');
    }
  };
  const loading = loadIt();
  const times: number[] = [];
  await pause(2_000);
  for (let i = 0; i < PROBES; i++) {
    const start = performance.now();
    await project.post(url, 1, 'applied');
    times.push(performance.now() - start);
    await pause(20);
  }
  over = true;
  await loading;
  return times.sort((a, b) => a - b);
}

try {
  await project.open();
  const { url, pid, stop } = await project.serve();
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
  await project.run('stream', 'pause', 'payments');
  await pause(2_500);
  const backlog = OUTAGE_SECONDS * OUTAGE_RATE;
  for (let i = 0; i < backlog / BATCH; i++) await project.post(url, BATCH, 'durable');
  await stop();
  const again = await project.serve();
  await project.run('stream', 'resume', 'payments');
  const catchStart = performance.now();
  const catchCpu = cpuSeconds(again.pid);
  await project.post(again.url, 1, 'applied');
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
  project.close();
}
