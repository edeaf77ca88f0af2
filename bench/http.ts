/**
 * Serving over HTTP against a bare `node:http` server that answers a constant of the same size. Servers run on one core, the
 * load (wrk) on another; rounds alternate, and the median of their ratios counts. The ratio is that of CPU time a request,
 * which on a core that a server keeps busy is the ratio of requests a second, and holds also where others use the machine.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BenchReport, printBenchReport } from './report.ts';

const ROUNDS = 9;
const SECONDS = 1;
/** Before the rounds: the compiler settles only after some tens of thousands of requests. */
const WARM_UP_SECONDS = 8;
const CONNECTIONS = 16;
const LATEST = [0, 1, 2, 3, 4].flatMap((i) => [`score_${i}`, `level_${i}`]).join();
const WINDOWED =
  'count_1d,count_7d,count_30d,sum_1d,mean_7d,mean_30d,max_30d,last_5,city,was_online';
const THOUSAND = Array.from(
  { length: 1000 },
  (_, i) => `wide_${i % 10}_${Math.floor(i / 10)}`,
).join();

/** Entities that have the features: those asked again, and as many as nobody asks again before they are forgotten. */
const AGAIN = 1_000;
const ANEW = 100_000;

/** Entities of a batch. */
const BATCH = 100;

const about =
  'GET of one entity × 10 features from LMDB, keep-alive. Latest: 10 values of one row. ' +
  'Windowed: 8 aggregates over 100 events and 2 latest values of another view, folded at the read. ' +
  'Asked again: 1,000 entities in turn, whose answers are remembered while versions of pages and time allow. ' +
  'Asked anew: 100,000 entities in turn, none of which comes back before it is forgotten, so every page is read and folded. ' +
  'Server on one core, wrk with 16 connections on the other; the peer is node:http answering a constant of the same size.';
const report = { title: 'HTTP', command: 'node bench/http.ts', about };

function has(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const folder = mkdtempSync(join(tmpdir(), 'samewise-bench-http-'));
const children: ChildProcess[] = [];

interface Server {
  readonly port: number;
  readonly pid: number;
}

async function serve(kind: 'bare' | 'samewise'): Promise<Server> {
  const script = join(import.meta.dirname, 'http_server.ts');
  const child = spawn('taskset', ['-c', '0', process.execPath, script, kind, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [text] = (await once(child.stdout!, 'data')) as [Buffer];
  return { port: Number(text.toString()), pid: child.pid! };
}

/** User and system time of a process so far, in seconds (ticks of 10 ms). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

interface Load {
  readonly cpuUs: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
}

/** Requests made so far: the next load goes on where the last one ended. */
let made = 0;

/** A load of requests for these features of so many entities in turn. */
function load(
  server: Server,
  features: string,
  entities: number,
  connections: number,
  seconds = SECONDS,
): Load {
  const get = `wrk.format("GET", "/api/v1/features/online?entity=customer&id=" .. i % ${entities} .. "&features=${features}")`;
  return run(server, `i = i + 1\n  return ${get}`, connections, seconds);
}

/** A load of vectors of a service, of so many entities in each request; `restMs`: each connection rests so long between two. */
function batches(
  server: Server,
  service: string,
  batch: number,
  connections: number,
  seconds: number,
  restMs = 0,
): Load {
  const body = `local entities = {}
  for k = 1, ${batch} do
    i = i + 1
    entities[k] = '{"customer_id":' .. i % ${service === 'five_views' ? AGAIN : ANEW} .. '}'
  end
  local body = '{"entities":[' .. table.concat(entities, ",") .. ']}'
  return wrk.format("POST", "/api/v1/services/${service}/vectors", {["content-type"]="application/json"}, body)`;
  const rest = restMs === 0 ? '' : `delay = function() return ${Math.round(restMs)} end\n`;
  return run(server, body, connections, seconds, rest);
}

/** Has wrk run with the body of a function that makes a request out of the counter `i`. */
function run(
  { port, pid }: Server,
  request: string,
  connections: number,
  seconds: number,
  more = '',
): Load {
  const lua = join(folder, 'load.lua');
  writeFileSync(
    lua,
    `local i = ${made}
${more}request = function()
  ${request}
end
done = function(summary, latency)
  io.stderr:write(string.format("%f %f %d %d", summary.requests / summary.duration * 1e6, latency:percentile(99) / 1e3,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout, summary.requests))
end
`,
  );
  const before = cpuSeconds(pid);
  const output = execFileSync(
    'sh',
    [
      '-c',
      `taskset -c 1 wrk -t1 -c${connections} -d${seconds} -s ${lua} http://127.0.0.1:${port} 2>&1 >/dev/null`,
    ],
    { encoding: 'utf8' },
  );
  const [requestsPerSecond, p99Ms, errors, requests] = output.trim().split(' ').map(Number);
  made += requests!;
  if (errors !== 0) throw new Error(`the load saw ${errors} errors: ${output}`);
  const cpuUs = ((cpuSeconds(pid) - before) * 1e6) / requests!;
  return { requestsPerSecond: requestsPerSecond!, p99Ms: p99Ms!, cpuUs };
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;

type Rows = BenchReport['rows'][number][];

/** Rounds against a bare server whose constant is one answer of ours. */
async function against(
  ours: Server,
  what: string,
  features: string,
  entities: number,
): Promise<Rows> {
  const url = `http://127.0.0.1:${ours.port}/api/v1/features/online?entity=customer&id=1&features=${features}`;
  const constant = await (await fetch(url)).text();
  writeFileSync(join(folder, 'constant'), constant);
  const bare = await serve('bare');
  load(ours, features, entities, CONNECTIONS, WARM_UP_SECONDS);
  load(bare, features, entities, CONNECTIONS, WARM_UP_SECONDS);
  const rounds = Array.from({ length: ROUNDS }, (_, i) => {
    // Who goes first alternates, so that what else the machine does falls on both alike.
    const first = i % 2 === 0 ? load(bare, features, entities, CONNECTIONS) : null;
    const own = load(ours, features, entities, CONNECTIONS);
    const peer = first ?? load(bare, features, entities, CONNECTIONS);
    const ratio = peer.cpuUs / own.cpuUs;
    process.stderr.write(
      `${what} ${i + 1}: bare ${Math.round(peer.requestsPerSecond)}/s ${peer.cpuUs.toFixed(0)} µs, ours ${Math.round(own.requestsPerSecond)}/s ${own.cpuUs.toFixed(0)} µs (${(100 * ratio).toFixed(0)} %)\n`,
    );
    return { peer, own, ratio };
  });
  const figures = (side: 'own' | 'peer') => {
    const rate = median(rounds.map((round) => round[side].requestsPerSecond));
    const p99 = median(rounds.map((round) => round[side].p99Ms));
    const cpu = median(rounds.map((round) => round[side].cpuUs));
    return `${cpu.toFixed(0)} µs of CPU a request, ${Math.round(rate).toLocaleString('en')} requests/s, p99 ${p99.toFixed(2)} ms`;
  };
  const ratio = median(rounds.map((round) => round.ratio));
  return [
    { what: `bare node:http, ${constant.length} characters`, value: figures('peer') },
    { what: `one entity × 10 features, ${what}`, value: figures('own') },
    {
      what: `requests per CPU second against bare node:http, ${what}`,
      value: `${(100 * ratio).toFixed(0)} %`,
      target: '≥ 60 % (aim 75 %)',
      met: ratio >= 0.6,
    },
  ];
}

/** Such answers are too long to be remembered. */
function wideRow(ours: Server): Rows {
  load(ours, THOUSAND, AGAIN, 1, WARM_UP_SECONDS);
  const wide = load(ours, THOUSAND, AGAIN, 1, 3);
  return [
    {
      what: 'one entity × 1,000 windowed features of 10 views, one connection, asked anew',
      value: `p99 ${wide.p99Ms.toFixed(2)} ms, ${Math.round(wide.requestsPerSecond)} requests/s`,
      target: 'p99 < 10 ms',
      met: wide.p99Ms < 10,
    },
  ];
}

/** Many entities of one view, and one entity of many views. */
function services(ours: Server): Rows {
  batches(ours, 'scores', BATCH, CONNECTIONS, WARM_UP_SECONDS);
  const batch = batches(ours, 'scores', BATCH, CONNECTIONS, 3);
  batches(ours, 'five_views', 1, CONNECTIONS, WARM_UP_SECONDS);
  const full = batches(ours, 'five_views', 1, CONNECTIONS, 3);
  // Of sixteen connections each makes a request in so many milliseconds at half of that rate.
  const everyMs = (CONNECTIONS / (full.requestsPerSecond / 2)) * 1000;
  const half = batches(ours, 'five_views', 1, CONNECTIONS, 5, everyMs);
  const rate = (each: Load) =>
    `${each.cpuUs.toFixed(0)} µs of CPU a request, ${Math.round(each.requestsPerSecond).toLocaleString('en')} requests/s, p99 ${each.p99Ms.toFixed(2)} ms`;
  return [
    { what: `${BATCH} entities × 10 features, latest, anew, by service`, value: rate(batch) },
    { what: 'one entity × 200 features of 5 views, by service, all it can', value: rate(full) },
    {
      what: 'the same at about half of that',
      value: rate(half),
      target: 'p99 < 5 ms',
      met: half.p99Ms < 5,
    },
  ];
}

if (!has('wrk') || !has('taskset')) {
  process.stderr.write('wrk or taskset is not installed (apt-get install wrk util-linux)\n');
  printBenchReport({ ...report, rows: [{ what: 'not run', value: 'wrk or taskset is missing' }] });
} else {
  try {
    const ours = await serve('samewise');
    printBenchReport({
      ...report,
      rows: [
        ...(await against(ours, 'latest, asked again', LATEST, AGAIN)),
        ...(await against(ours, 'latest, asked anew', LATEST, ANEW)),
        ...(await against(ours, 'windowed, asked again', WINDOWED, AGAIN)),
        ...(await against(ours, 'windowed, asked anew', WINDOWED, ANEW)),
        ...wideRow(ours),
        ...services(ours),
      ],
    });
  } finally {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true });
  }
}
