/** The command line: a project's whole life, every command by --json and for people. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { copyOf, edit, json, run, scaffolded, sql, startServer, temporary } from './support.ts';

const { folder, remove } = temporary();
after(remove);
const AT = '2024-03-20T00:00:00Z';
const GET = ['--key', 'customer_id=1', '--request', 'amount=25', '--at', AT];

let project: string;

/** What the scaffold's features mean, from its data, the slow way. */
async function expected(customer: number, at: string, days = 1) {
  const from = (n: number) =>
    `"at" < TIMESTAMP '${at}' AND "at" >= TIMESTAMP '${at}' - ${n} * INTERVAL 1 DAY`;
  const [row] = await sql(`
    SELECT count(*) FILTER (${from(days)}) AS n, avg(amount) FILTER (${from(7)}) AS mean,
      list(amount ORDER BY "at", tx_id) FILTER (${from(30)}) AS amounts
    FROM read_csv('${project}/data/transactions.csv', types = {'at': 'TIMESTAMP'})
    WHERE customer_id = ${customer}`);
  return { n: Number(row!.n), mean: row!.mean, last: row!.amounts.slice(-5) };
}

test('a new project goes from plan to a vector', async () => {
  project = await scaffolded(folder, false);
  const planned = await json(project, 'plan');
  assert.equal(planned.changes.length, 5);
  const applied = await json(project, 'apply', '--yes', '--message', 'first');
  assert.equal(applied.revision.number, 1);
  assert.equal(applied.revision.author, 'tester');
  assert.equal((await json(project, 'plan')).changes.length, 0);
  assert.equal((await json(project, 'apply', '--yes')).revision, null);
  const [view] = await json(project, 'materialize');
  assert.deepEqual(
    [view.view, view.mode, view.rows, view.keys],
    ['customer_spending', 'full', 400, 8],
  );
  const [again] = await json(project, 'materialize', 'customer_spending', '--full');
  assert.deepEqual([again.written, again.unchanged], [0, 8]);

  const { features, statuses, at } = await json(project, 'get', 'fraud_v1', ...GET);
  const { n, mean, last } = await expected(1, '2024-03-20');
  assert.equal(at, AT);
  assert.ok(n > 0);
  assert.equal(features.tx_count_1d, n);
  assert.ok(Math.abs(features.avg_amount_7d - mean) < 1e-9);
  assert.deepEqual(features.last_5_amounts, last);
  assert.equal(features.amount_to_mean, 25 / features.avg_amount_7d);
  assert.deepEqual([...new Set(Object.values(statuses))], ['PRESENT']);
  const some = await json(project, 'get', 'customer_spending:tx_count_1d', ...GET.slice(0, 2));
  assert.deepEqual(
    [some.features, some.statuses],
    [{ tx_count_1d: 0 }, { tx_count_1d: 'PRESENT' }],
  );
});

test('a training set is rebuilt byte for byte and verified against file and online store', async () => {
  const labels = ['--labels', 'labels.csv', '--time', 'at'];
  const trained = await json(
    project,
    'train',
    '--service',
    'fraud_v1',
    ...labels,
    '--out',
    'training.parquet',
  );
  assert.equal(trained.rows, 60);
  await json(project, 'rebuild', 'training.parquet.manifest.json', '--out', 'again.parquet');
  const bytes = (file: string) => readFileSync(join(project, file));
  assert.ok(bytes('again.parquet').equals(bytes('training.parquet')));
  const verified = await json(
    project,
    'verify',
    'training.parquet.manifest.json',
    '--online',
    '60',
  );
  assert.equal(verified.ok, true);
  assert.equal(verified.online.rows, 60);
  assert.deepEqual(verified.online.mismatches, []);
  for (const format of ['csv', 'arrow']) {
    const out = `training.${format}`;
    const other = await json(project, 'train', '--service', 'fraud_v1', ...labels, '--out', out);
    assert.equal(other.rows, 60);
    assert.ok(existsSync(join(project, out)));
  }
  assert.equal(readFileSync(join(project, 'training.csv'), 'utf8').split('\n').length, 62);
});

test('verify finds what was changed, and says so with exit code 3', async () => {
  const spoilt = copyOf(project, 'spoilt');
  edit(spoilt, 'data/transactions.csv', ',2,16.69\n', ',2,17.69\n');
  const ran = await run(spoilt, 'verify', 'training.parquet.manifest.json', '--json');
  assert.equal(ran.code, 3, ran.stderr);
  assert.equal(ran.json.ok, false);
  assert.match(ran.json.findings.join('\n'), /transactions/);
});

test('a snapshot has a row for each entity, as of its time', async () => {
  const { rows } = await json(
    project,
    'snapshot',
    'customer_spending',
    '--at',
    AT,
    '--out',
    'snapshot.parquet',
  );
  assert.equal(rows, 8);
  const [one] = await sql(`FROM '${project}/snapshot.parquet' WHERE customer_id = 1`);
  const { features } = await json(project, 'get', 'fraud_v1', ...GET);
  assert.equal(Number(one!.tx_count_1d), features.tx_count_1d);
  assert.equal(one!.avg_amount_7d, features.avg_amount_7d);
});

test('features are listed, searched and shown with their lineage', async () => {
  const refs = (hits: { ref: string }[]) => hits.map(({ ref }) => ref).sort();
  const all = refs(await json(project, 'features', 'list'));
  assert.deepEqual(all, [
    'amount_context:amount_to_mean',
    'customer_spending:avg_amount_7d',
    'customer_spending:last_5_amounts',
    'customer_spending:tx_count_1d',
  ]);
  assert.deepEqual(refs(await json(project, 'features', 'search', 'transactions')), [
    'customer_spending:tx_count_1d',
  ]);
  assert.deepEqual(await json(project, 'features', 'list', '--owner', 'nobody'), []);
  const { lineage } = await json(project, 'features', 'show', 'amount_context:amount_to_mean');
  assert.deepEqual(lineage.request, ['amount']);
  assert.deepEqual(lineage.features, ['customer_spending:avg_amount_7d']);
  assert.deepEqual(lineage.models, ['fraud-detector']);
});

test('pushed events are in the next read, however often they are pushed', async () => {
  const fresh = copyOf(project, 'pushed');
  writeFileSync(
    join(fresh, 'new.csv'),
    'tx_id,at,customer_id,amount\n1001,2024-03-19T23:59:59.999999Z,1,1000\n1002,2024-03-20T00:00:00Z,1,2000\n',
  );
  const value = async () => (await json(fresh, 'get', 'fraud_v1', ...GET)).features;
  const before = await value();
  const pushed = await json(fresh, 'push', 'transactions', 'new.csv');
  assert.deepEqual(pushed, { source: 'transactions', rows: 2, state: 'applied' });
  const now = await value();
  assert.equal(
    now.tx_count_1d,
    before.tx_count_1d + 1,
    'what lies on the very time is not before it',
  );
  assert.equal(now.last_5_amounts.at(-1), 1000);
  await json(fresh, 'push', 'transactions', 'new.csv');
  const later = await json(fresh, 'push', 'transactions', 'new.csv', '--no-wait');
  assert.equal(later.state, 'durable');
  assert.deepEqual(await value(), now);
  const [waiting] = await json(fresh, 'status');
  assert.deepEqual([waiting.partitions[0].next, waiting.views[0].lag], [6, 2]);
  await json(fresh, 'stream', 'run', '--catch-up');
  const [status] = await json(fresh, 'status');
  assert.deepEqual([status.views[0].lag, status.views[0].state], [0, 'fresh']);
  assert.deepEqual(await value(), now);
  // History has them too, once: a full run finds nothing to write.
  const [view] = await json(fresh, 'materialize', '--full');
  assert.deepEqual([view.rows, view.written], [402, 0]);
  const checks: { ok: boolean }[] = await json(fresh, 'doctor');
  assert.ok(checks.length > 0 && checks.every(({ ok }) => ok), JSON.stringify(checks));
  edit(fresh, 'samewise.config.json', 'features.ts', 'feature.ts');
  assert.equal((await run(fresh, 'doctor')).code, 3);
});

test('jobs tell what ran', async () => {
  const jobs = await json(project, 'jobs', '--view', 'customer_spending');
  assert.deepEqual([...new Set(jobs.map((job: { status: string }) => job.status))], ['succeeded']);
  assert.equal(jobs.at(-1).rows, 400);
});

test('a changed window is a new version; the old one is served until it is retired', async () => {
  edit(project, 'features.ts', "over('1d')", "over('10d')");
  const { changes } = await json(project, 'plan');
  const versions = changes.map((c: any) => `${c.name}@${c.after}`);
  assert.ok(versions.includes('fraud_v1@2'), versions.join());
  const refused = await run(project, 'apply');
  assert.deepEqual([refused.code, /cli\/not-confirmed/.test(refused.stderr)], [1, true]);
  await json(project, 'apply', '--yes');
  const built = await json(project, 'materialize');
  assert.deepEqual(built.map((v: any) => `${v.view}@${v.version} ${v.mode}`).sort(), [
    'customer_spending@1 incremental',
    'customer_spending@2 full',
  ]);
  const count = async (service: string) =>
    (await json(project, 'get', service, ...GET)).features.tx_count_1d;
  const [one, two] = [await expected(1, '2024-03-20', 1), await expected(1, '2024-03-20', 10)];
  assert.notEqual(one.n, two.n);
  assert.deepEqual([await count('fraud_v1@1'), await count('fraud_v1')], [one.n, two.n]);
  await json(project, 'retire', 'fraud_v1@1');
  const gone = await run(project, 'get', 'fraud_v1@1', ...GET);
  assert.deepEqual([gone.code, gone.stdout], [1, '']);
  assert.match(gone.stderr, /error plan\/unknown-object: .*version 1 .*fraud_v1/);
  assert.deepEqual(
    (await json(project, 'materialize')).map((v: any) => `${v.view}@${v.version} ${v.mode}`),
    ['customer_spending@2 incremental', 'customer_spending@1 dropped'],
  );
});

test('what people read has no control codes where there is no terminal', async () => {
  const said = await Promise.all([
    run(project, '--help'),
    run(project, 'plan'),
    run(project, 'materialize', '--full'),
    run(project, 'features', 'list'),
    run(project, 'get', 'fraud_v1', ...GET),
    run(project, 'jobs'),
  ]);
  for (const { code, stdout, stderr } of said) {
    assert.equal(code, 0, stderr);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f]/);
    assert.equal(stderr, '', 'no warnings of the platform either');
  }
});

test('Ctrl-C ends the server with 130', async () => {
  const server = await startServer(project);
  assert.equal((await server.get('/healthz')).status, 200);
  assert.equal(await server.stop('SIGINT'), 130);
});
