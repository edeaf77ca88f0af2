/**
 * The same features over gRPC, Connect and JSON: CPU time of the server for a request, and the size of an answer. Rounds
 * alternate, and the median of their ratios counts, which holds also where others use the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type BenchReport, printBenchReport } from './report.ts';

const ROUNDS = 7;
const SECONDS = 1;
const WARM_UP_SECONDS = 6;
const folder = mkdtempSync(join(tmpdir(), 'samewise-bench-grpc-'));
const children: ChildProcess[] = [];

function start(core: number, script: string, ...args: string[]): ChildProcess {
  const path = join(import.meta.dirname, script);
  const child = spawn('taskset', ['-c', String(core), process.execPath, path, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

/** User and system time of a process so far, in seconds (ticks of 10 ms). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

interface Round {
  readonly cpuUs: number;
  readonly bytes: number;
  readonly p99Ms: number;
}

interface Server {
  readonly pid: number;
  readonly port: string;
}

async function serve(kind: 'samewise' | 'bare-grpc'): Promise<Server> {
  const child = start(0, 'http_server.ts', kind, folder);
  const [port] = (await once(child.stdout!, 'data')) as [Buffer];
  return { pid: child.pid!, port: port.toString().trim() };
}

/** A load that is ready, in a process of its own. */
async function loader(
  { pid: serverPid, port }: Server,
  protocol: string,
  rows: number,
): Promise<(seconds: number) => Promise<Round>> {
  const child = start(1, 'grpc_load.ts', protocol, port, String(rows));
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  await lines.next();
  return async (seconds) => {
    const before = cpuSeconds(serverPid);
    child.stdin!.write(`${seconds}\n`);
    const [requests, bytes, p99Ms] = String((await lines.next()).value)
      .split(' ')
      .map(Number);
    return {
      cpuUs: ((cpuSeconds(serverPid) - before) * 1e6) / requests!,
      bytes: bytes! / requests!,
      p99Ms: p99Ms!,
    };
  };
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
const count = (n: number) => Math.round(n).toLocaleString('en');

/** What node:http2 takes for a constant of the size of one answer: less is not to be had. */
const BARE = 'bare node:http2';

async function compare(ours: Server, rows: number): Promise<BenchReport['rows']> {
  const protocols = [...(rows === 1 ? ['get'] : []), 'json', 'connect', 'grpc'];
  const loads = new Map<string, (seconds: number) => Promise<Round>>();
  for (const protocol of protocols) loads.set(protocol, await loader(ours, protocol, rows));
  const { bytes } = await loads.get('grpc')!(SECONDS);
  const constant = Buffer.alloc(Math.round(bytes));
  constant.writeUInt32BE(constant.length - 5, 1);
  writeFileSync(join(folder, 'constant'), constant);
  loads.set(BARE, await loader(await serve('bare-grpc'), 'grpc', rows));
  const names = [...loads.keys()];
  const rounds: Record<string, Round>[] = [];
  for (const load of loads.values()) await load(WARM_UP_SECONDS);
  for (let i = 0; i < ROUNDS; i++) {
    const round: Record<string, Round> = {};
    for (const [protocol, load] of loads) round[protocol] = await load(SECONDS);
    rounds.push(round);
    process.stderr.write(
      `${rows} × 10, ${i + 1}: ${names.map((p) => `${p} ${round[p]!.cpuUs.toFixed(0)} µs, ${round[p]!.bytes.toFixed(0)} bytes`).join('; ')}\n`,
    );
  }
  const of = (protocol: string, what: keyof Round) =>
    median(rounds.map((round) => round[protocol]![what]));
  const ratio = (protocol: string, peer: string) =>
    median(rounds.map((round) => round[peer]!.cpuUs / round[protocol]!.cpuUs));
  return names.map((protocol) => {
    const value = `${of(protocol, 'cpuUs').toFixed(0)} µs of CPU a request, answers of ${count(of(protocol, 'bytes'))} bytes, p99 ${of(protocol, 'p99Ms').toFixed(1)} ms`;
    const what = `${rows.toLocaleString('en')} × 10, ${protocol}`;
    if (protocol !== 'connect' && protocol !== 'grpc') return { what, value };
    const json = ratio(protocol, 'json');
    const bare =
      protocol === 'grpc' ? `, ${(100 * ratio(protocol, BARE)).toFixed(0)} % of ${BARE}’s` : '';
    return {
      what,
      value: `${json.toFixed(2)} × JSON’s requests per CPU second${bare}; ${value}`,
      target: '≥ 1 × JSON',
      met: json >= 1,
    };
  });
}

try {
  const ours = await serve('samewise');
  const sizes = process.argv[2] === undefined ? [1, 100, 1000] : [Number(process.argv[2])];
  const rows: BenchReport['rows'][number][] = [];
  for (const size of sizes) rows.push(...(await compare(ours, size)));
  printBenchReport({
    title: 'gRPC',
    command: 'node bench/grpc.ts',
    about:
      'Ten features (5 float64, 5 int64) of 1, 100 and 1,000 entities with statuses and event times, from LMDB, keep-alive, 16 requests at once. ' +
      'json: POST, columns; get: the plain GET, as HTTP measures it; connect: binary messages over HTTP/1.1; grpc: 16 streams of one HTTP/2 connection; bare node:http2: a server that answers a constant of the same size as gRPC. ' +
      'Server on one core, the load in another process on the other.',
    rows,
  });
} finally {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true });
}
