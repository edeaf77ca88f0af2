/** `samewise serve --workers` under load: a worker is killed, all are replaced, the server ends; no answer is wrong, and none is lost that need not be. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Asked, ask, type Load, startLoad } from './load.ts';
import { scaffolded, start, temporary } from './support.ts';

const WORKERS = 2;
const CONNECTIONS = 8;
const AT = '2024-03-20T12:00:00Z';

const { folder, remove } = temporary();
let server: ChildProcess;
let url: string;
let notes = '';
let load: Load;
before(async () => {
  const project = await scaffolded(folder);
  server = start(project, ['serve', '--workers', String(WORKERS), '--port', '0', '--json']);
  server.stderr!.on('data', (chunk) => {
    notes += chunk;
  });
  let said = '';
  for await (const chunk of server.stdout!) {
    said += chunk;
    if (said.trimEnd().endsWith('}')) break;
  }
  url = JSON.parse(said).url;
  await until('it is ready', async () => (await get('/readyz')) === '{"status":"ok"}');
  load = startLoad(url, await questions(), CONNECTIONS);
});
after(async () => {
  server.kill('SIGKILL');
  remove();
});

function get(path: string): Promise<string> {
  return ask(new URL(path, url));
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const begun = performance.now(); !(await holds()); await setTimeout(20))
    if (performance.now() - begun > 60_000) assert.fail(`it does not come to pass that ${what}`);
}

/** Plain reads, which have a way of their own, and batches, of several entities; with the answers of the quiet server. */
async function questions(): Promise<Asked[]> {
  const list = 'avg_amount_7d,tx_count_1d,last_5_amounts';
  const asked = Array.from({ length: 8 }, (_, i) => [
    { path: `/api/v1/features/online?entity=customer&id=${i + 1}&features=${list}&at=${AT}` },
    {
      path: '/api/v1/services/fraud_v1/vectors',
      body: JSON.stringify({ entities: [{ customer_id: i + 1, amount: 25 }], at: AT, full: true }),
    },
  ]).flat();
  const answers = await Promise.all(
    asked.map(({ path, body }: { path: string; body?: string }) => ask(new URL(path, url), body)),
  );
  for (const answer of answers) assert.match(answer, /PRESENT/);
  return asked.map((one, i) => ({ ...one, answer: answers[i]! }));
}

/** Process ids of the children that serve. */
function workers(): number[] {
  const found = execFileSync('pgrep', ['-P', String(server.pid), '-f', '"role":"serve"']);
  return found.toString().trim().split('\n').map(Number);
}

test('one /metrics tells of all processes', async () => {
  await load.more(200);
  const lines = (await get('/metrics')).split('\n');
  const has = (line: RegExp) =>
    assert.ok(
      lines.some((one) => line.test(one)),
      String(line),
    );
  has(/^samewise_vectors_read_total [1-9]/);
  has(/^samewise_worker_deaths_total 0$/);
  has(/^process_cpu_seconds_total /);
  for (const worker of ['1', '2', 'duties'])
    has(new RegExp(`^process_resident_memory_bytes\\{worker="${worker}"\\} `));
  has(/^samewise_feature_log_vectors_total /);
  assert.equal(lines.filter((one) => one.startsWith('# TYPE process_cpu_seconds_total')).length, 1);
});

test('a worker that is killed costs no more than what it held, and is replaced', async () => {
  const [victim] = workers();
  process.kill(victim!, 'SIGKILL');
  await until('it is replaced', () => {
    const now = workers();
    return now.length === WORKERS && !now.includes(victim!);
  });
  await until('it is said', () => /Worker \d ended by SIGKILL; replaced at once/.test(notes));
  await until('the new one answers', async () => {
    const text = await get('/metrics');
    return (
      /deaths_total 1/.test(text) && ['1', '2'].every((one) => text.includes(`worker="${one}"`))
    );
  });
  await load.more(200);
  assert.deepEqual(load.wrong, []);
  assert.ok(load.failed.length <= CONNECTIONS, JSON.stringify(load.failed));
  load.failed.length = 0;
});

test('SIGHUP replaces every process, and no request fails', async () => {
  const old = workers();
  server.kill('SIGHUP');
  await until('all are replaced', () => notes.includes('Every process has been replaced.'));
  const now = workers();
  assert.equal(now.length, WORKERS);
  assert.deepEqual(
    now.filter((pid) => old.includes(pid)),
    [],
  );
  await load.more(200);
  assert.deepEqual(load.wrong, []);
  assert.deepEqual(load.failed, []);
});

test('SIGTERM lets what has come be answered, then nothing runs any more', async () => {
  const all = workers();
  const exit = once(server, 'exit');
  server.kill('SIGTERM');
  const [code] = await exit;
  await load.stop();
  assert.equal(code, 0);
  assert.deepEqual(load.wrong, []);
  // Who comes anew is refused; nobody who was there is cut off.
  assert.deepEqual(
    load.failed.filter(({ reused }) => reused),
    [],
  );
  for (const pid of all) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
