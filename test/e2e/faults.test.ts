/** Processes that are killed, that run at once, and disks that are full: nothing is lost, nothing is there twice. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openApp } from '../../src/app/open.ts';
import { compileView } from '../../src/model/index.ts';
import { copyOf, finished, json, run, scaffolded, sql, start, temporary } from './support.ts';

const ROWS = 150_000;
const CUSTOMERS = 15_000;

const { folder, remove } = temporary();
after(remove);

/** Pages of the view, heads and blocks, by key. */
async function pages(project: string): Promise<Map<string, string>> {
  const app = await openApp({ projectDir: project, environment: {} });
  try {
    const { id } = compileView(await app.definitions(), 'customer_spending');
    const out = new Map<string, string>();
    for await (const key of app.online.scan(id)) {
      const [head] = await app.online.heads([{ view: id, key }]);
      const blocks = await app.online.blocks({ view: id, key }, [1, 2, 3, 4]);
      out.set(key.toHex(), [head!.bytes, ...blocks].map((bytes) => bytes?.toHex()).join());
    }
    return out;
  } finally {
    await app.close();
  }
}

/** The scaffold with more customers than one moment's work, registered but not materialised. */
async function large(): Promise<string> {
  const project = await scaffolded(folder, false);
  await sql(`
    COPY (
      SELECT i AS tx_id, strftime(TIMESTAMP '2024-01-01' + to_seconds(i), '%Y-%m-%dT%H:%M:%SZ') AS "at",
        (i * 7919) % ${CUSTOMERS} AS customer_id, (i % 1000) / 4 AS amount
      FROM range(${ROWS}) t(i)
    ) TO '${project}/data/transactions.csv'`);
  await json(project, 'apply', '--yes');
  return project;
}

/** Resolves when a process has stored some of its pages, or has ended. */
async function writing(project: string, child: ChildProcess): Promise<void> {
  const store = join(project, '.samewise/online');
  const size = () =>
    existsSync(store)
      ? readdirSync(store).reduce((sum, file) => sum + statSync(join(store, file)).size, 0)
      : 0;
  while (size() < 500_000 && child.exitCode === null) await setTimeout(2);
}

let project: string;
let expected: Map<string, string>;

test('a materialisation that is killed is completed by the next, as if nothing had happened', async () => {
  project = await large();
  const undisturbed = copyOf(project, 'undisturbed');
  await json(undisturbed, 'materialize');
  expected = await pages(undisturbed);
  assert.equal(expected.size, CUSTOMERS);

  // A kill that came after the end showed nothing: again, from the beginning.
  for (let signal: NodeJS.Signals | null = null, tries = 0; signal !== 'SIGKILL'; tries++) {
    assert.ok(tries < 20, 'no kill came in the middle');
    if (tries > 0) {
      rmSync(project, { recursive: true });
      project = await large();
    }
    const child = start(project, ['materialize']);
    const ended = finished(child);
    await writing(project, child);
    child.kill('SIGKILL');
    ({ signal } = await ended);
  }
  const [done] = await json(project, 'materialize');
  assert.deepEqual([done.rows, done.keys], [ROWS, CUSTOMERS]);
  assert.deepEqual(await pages(project), expected);
  const jobs = await json(project, 'jobs');
  assert.deepEqual(
    jobs.map((job: { status: string }) => job.status),
    ['succeeded', 'interrupted'],
  );
});

test('two materialisations at once leave what one leaves', async () => {
  const fresh = copyOf(project, 'both');
  rmSync(join(fresh, '.samewise/online'), { recursive: true });
  const ran = await Promise.all([
    run(fresh, 'materialize', '--json'),
    run(fresh, 'materialize', '--json'),
  ]);
  for (const { code, stdout, stderr } of ran) assert.equal(code, 0, stdout + stderr);
  assert.deepEqual(await pages(fresh), expected);
});

test('a killed train leaves nothing under the name of its output', async () => {
  const args = [
    'train',
    '--service',
    'fraud_v1',
    '--labels',
    'data/transactions.csv',
    '--time',
    'at',
    '--out',
    'out/t.parquet',
  ];
  mkdirSync(join(project, 'out'));
  let killed = 0;
  for (const ms of [300, 700, 1400]) {
    const child = start(project, args);
    const ended = finished(child);
    await Promise.race([ended, setTimeout(ms)]);
    child.kill('SIGKILL');
    if ((await ended).signal !== 'SIGKILL') break;
    killed++;
    assert.ok(!existsSync(join(project, 'out/t.parquet')), `killed after ${ms} ms`);
  }
  assert.ok(killed > 0);
  assert.equal((await json(project, ...args)).rows, ROWS);
  assert.equal((await json(project, 'verify', 'out/t.parquet.manifest.json')).ok, true);
});

test('a full disk is an error that says so, and leaves no file', async (t) => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    t.skip('NOT TESTED: mounting a small tmpfs needs root');
    return;
  }
  try {
    const out = join(disk, 't.parquet');
    const ran = await run(
      ...([
        project,
        'train',
        '--service',
        'fraud_v1',
        '--labels',
        'data/transactions.csv',
      ] as const),
      ...(['--time', 'at', '--out', out, '--json'] as const),
    );
    assert.equal(ran.code, 1, ran.stdout + ran.stderr);
    assert.equal(ran.json.error.code, 'offline/write-failed', ran.stdout);
    assert.match(ran.json.error.message, /space/i);
    assert.deepEqual(readdirSync(disk), []);
  } finally {
    execFileSync('umount', [disk]);
  }
});

test('two applies at once: one revision', async () => {
  const fresh = copyOf(project, 'applies');
  rmSync(join(fresh, '.samewise'), { recursive: true });
  const ran = await Promise.all([
    run(fresh, 'apply', '--yes', '--json'),
    run(fresh, 'apply', '--yes', '--json'),
  ]);
  const outcomes = ran.map(({ code, json: said, stdout, stderr }) => {
    assert.ok(code === 0 || code === 1, stdout + stderr);
    return code === 0 ? (said.revision?.number ?? 'nothing to do') : said.error.code;
  });
  assert.equal(outcomes.filter((outcome) => outcome === 1).length, 1, outcomes.join());
  for (const outcome of outcomes)
    assert.ok([1, 'nothing to do', 'registry/stale-plan'].includes(outcome), String(outcome));
  assert.deepEqual((await json(fresh, 'plan')).changes, []);
});

test('a push that is killed at any moment and repeated is there once, in history and online', async () => {
  const small = await scaffolded(join(folder, 'disk'));
  const rows = 8_000;
  const lines = Array.from(
    { length: rows },
    (_, i) => `${1000 + i},2024-03-25T00:00:${String(i % 60).padStart(2, '0')}Z,${1 + (i % 8)},1`,
  );
  writeFileSync(join(small, 'new.csv'), `tx_id,at,customer_id,amount\n${lines.join('\n')}\n`);
  const push = ['push', 'transactions', 'new.csv'];
  for (let ms = 500; ; ms += 300) {
    const child = start(small, push);
    const ended = finished(child);
    await Promise.race([ended, setTimeout(ms)]);
    child.kill('SIGKILL');
    const { signal, code, stderr } = await ended;
    if (signal !== 'SIGKILL') {
      assert.equal(code, 0, stderr);
      break;
    }
  }
  const again = await json(small, ...push);
  assert.deepEqual([again.rows, again.state], [rows, 'applied']);
  const at = '2024-03-25T00:01:00Z';
  await json(small, 'snapshot', 'customer_spending', '--at', at, '--out', 's.parquet');
  const snapshot = await sql(`FROM '${small}/s.parquet' ORDER BY customer_id`);
  assert.equal(snapshot.length, 8);
  const before = await sql(`
    SELECT customer_id, count(*) AS n FROM read_csv('${small}/data/transactions.csv', types = {'at': 'TIMESTAMP'})
    WHERE "at" >= TIMESTAMP '2024-03-24 00:01:00' AND "at" < TIMESTAMP '2024-03-25 00:01:00' GROUP BY 1`);
  for (const { customer_id, tx_count_1d, avg_amount_7d } of snapshot) {
    const own = Number(before.find((row) => row.customer_id === customer_id)?.n ?? 0);
    assert.equal(Number(tx_count_1d), own + rows / 8, `customer ${customer_id}`);
    const key = `customer_id=${customer_id}`;
    if (Number(customer_id) > 1) continue;
    const { features } = await json(
      small,
      'get',
      'fraud_v1',
      '-k',
      key,
      '-r',
      'amount=1',
      '--at',
      at,
    );
    assert.equal(features.tx_count_1d, Number(tx_count_1d));
    assert.ok(Object.is(features.avg_amount_7d, avg_amount_7d));
  }
});

test('Ctrl-C ends a materialisation with 130, and its job as interrupted', async () => {
  const fresh = copyOf(project, 'stopped');
  rmSync(join(fresh, '.samewise/online'), { recursive: true });
  const child = start(fresh, ['materialize']);
  const ended = finished(child);
  await writing(fresh, child);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /^error cli\/interrupted: stopped by SIGINT$/m);
  const [job] = await json(fresh, 'jobs', '--limit', '1');
  assert.equal(job.status, 'interrupted');
});
