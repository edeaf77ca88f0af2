/** A project of its own for benchmarks of streams, its servers and workers, and the payments that they are given. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
export const CUSTOMERS = 1_000;
/** Events of one request. */
export const BATCH = 1_000;
/** Requests that are under way at once. */
const IN_FLIGHT = 4;
/** Of so many requests one waits until its events are applied: what is only durable piles up in the log. */
const REQUESTS_A_WAIT = 25;

/** `stream`: more of the source, such as its topic. */
const features = (stream: string) => `
import { avg, count, entity, featureView, float64, int64, source, stream, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const payments = source({
  name: 'payments', eventTime: 'at', eventId: 'id', lateness: '1h', ${stream}
  columns: { id: int64, at: timestamp, customer_id: int64, amount: float64 },
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments, retention: '2h',
  features: ({ amount }) => ({
    n_1m: count().over('1m'), n_1h: count().over('1h'), total: sum(amount).over('10m'), mean: avg(amount).over('30m'),
  }),
});
`;

export interface Server {
  /** Where events of the source are posted. */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

/** New payments, each with an id of its own. */
export class Payments {
  #made = 0;

  /** Each is a line of JSON. */
  lines(count: number): string[] {
    const nowMs = Date.now();
    return Array.from({ length: count }, () => {
      const id = this.#made++;
      return `{"id":${id},"at":${nowMs * 1000 + (id % 1000)},"customer_id":${(id * 7919) % CUSTOMERS},"amount":${(id % 9973) / 4}}`;
    });
  }
}

export class StreamProject {
  readonly folder = mkdtempSync(join(tmpdir(), 'samewise-bench-stream-'));
  readonly #children: ChildProcess[] = [];
  readonly #payments = new Payments();

  /** `config` is that of samewise.config.json; `stream` as in `features`. */
  async open(config: object = {}, stream = ''): Promise<void> {
    const { folder } = this;
    writeFileSync(join(folder, 'samewise.config.json'), JSON.stringify(config));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'features.ts'), features(stream));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(ROOT, join(folder, 'node_modules/samewise'));
    await this.run('apply', '--yes');
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #start(...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [join(ROOT, 'bin/samewise.js'), ...args], {
      cwd: this.folder,
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    return child;
  }

  /** Runs a command to its end. */
  async run(...args: string[]): Promise<void> {
    const child = this.#start(...args);
    child.stdout!.resume();
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`samewise ${args.join(' ')} ended with ${code}`);
  }

  async serve(): Promise<Server> {
    const server = this.#start('serve', '--port', '0', '--json');
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

  async post(url: string, count: number, wait: 'durable' | 'applied'): Promise<void> {
    const answer = await fetch(`${url}?wait=${wait}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: this.#payments.lines(count).join('\n'),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  }

  /**
   * Pushes while `more` says so, as fast as events are taken and applied: one request of some waits until reads see its events. All
   * are applied when it resolves.
   */
  async push(url: string, more: () => boolean): Promise<void> {
    const pusher = async () => {
      for (let sent = 1; more(); sent++)
        await this.post(url, BATCH, sent % REQUESTS_A_WAIT === 0 ? 'applied' : 'durable');
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, pusher));
    await this.post(url, 1, 'applied');
  }
}

/** User and system time of a process so far, in seconds (ticks of 10 ms). */
export function cpuSeconds(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The same of all children of this process that have ended. */
export function endedCpuSeconds(): number {
  const fields = statOf(process.pid);
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function statOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
}

/** Memory of a process without what is mapped from files, in MB. */
export function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/RssAnon:\s+(\d+)/.exec(status)![1]) / 1024);
}

/** Load average of the last minute. */
export const load = (): string => loadavg()[0]!.toFixed(1);
/** Progress, with the load. */
export const say = (text: string): void => void process.stderr.write(`${text} (load ${load()})\n`);
