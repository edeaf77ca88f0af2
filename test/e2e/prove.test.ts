/** `samewise prove`: what a server answered while events came in, before and after it was killed, is what history says. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { json, run, type Server, scaffolded, sql, startServer, temporary } from './support.ts';

const { folder, remove } = temporary();
after(remove);
let project: string;
let log: string;
before(async () => {
  project = await scaffolded(folder);
  log = join(project, '.samewise/feature-log');
  const config = join(project, 'samewise.config.json');
  const settings = JSON.parse(readFileSync(config, 'utf8'));
  settings.featureLog = 'file:.samewise/feature-log?share=1';
  writeFileSync(config, JSON.stringify(settings));
});

const FILES = () => `'${log}/date=*/*.parquet'`;
let ids = 9_000;

/** Pushes and reads at once, `rounds` times; how many vectors were answered. */
async function traffic(server: Server, rounds: number): Promise<number> {
  let vectors = 0;
  for (let round = 0; round < rounds; round++) {
    const rows = Array.from({ length: 5 }, (_, i) => ({
      tx_id: ids++,
      at: new Date(Date.now() - i * 1_000).toISOString(),
      customer_id: i % 3,
      amount: round + i / 4,
    }));
    const wait = round % 2 === 0 ? '?wait=applied' : '';
    const asked = '/api/v1/features/online?entity=customer&id=1&features=tx_count_1d,avg_amount_7d';
    const entities = [0, 1, 2].map((customer_id) => ({ customer_id, amount: round }));
    const answers = await Promise.all([
      server.post(`/api/v1/events/transactions${wait}`, rows),
      server.get(asked),
      server.get(asked),
      server.post('/api/v1/services/fraud_v1/vectors', { entities }),
    ]);
    for (const { status, text } of answers) assert.ok(status < 300, text);
    vectors += 2 + entities.length;
  }
  return vectors;
}

/** Vectors in files. */
async function inFiles(): Promise<number> {
  if (!existsSync(log)) return 0;
  const [found] = await sql(`SELECT count(*)::INT AS n FROM glob(${FILES()})`);
  if (found!.n === 0) return 0;
  const [row] = await sql(`SELECT count(*)::INT AS n FROM read_parquet(${FILES()})`);
  return row!.n;
}

test('a project that logs nothing says so', async () => {
  const ran = await run(project, 'prove');
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /No vector is logged/);
});

test('what was served is proven, also over a kill; what is changed is found', async () => {
  const first = await startServer(project);
  await traffic(first, 15);
  while ((await inFiles()) === 0) await sleep(50);
  await traffic(first, 5);
  await first.stop('SIGKILL');
  const kept = await inFiles();
  assert.ok(kept > 0);

  const second = await startServer(project);
  const served = await traffic(second, 10);
  const metrics = (await second.get('/metrics')).text;
  assert.match(metrics, /samewise_feature_log_dropped_total 0/);
  assert.equal(await second.stop(), 0);
  assert.equal(await inFiles(), kept + served, 'a server that is stopped writes what waits');

  const proof = await json(project, 'prove');
  assert.deepEqual([proof.told, proof.unprovable], [[], {}]);
  assert.deepEqual([proof.vectors, proof.proven], [kept + served, kept + served]);
  assert.ok(proof.values > 2 * proof.vectors);
  const service = await json(project, 'prove', '--service', 'fraud_v1', '--sample', '7');
  assert.equal(service.proven, 7);
  assert.equal((await json(project, 'prove', '--since', '1ms')).vectors, 0);

  const [one] = await sql(`SELECT file FROM glob(${FILES()}) LIMIT 1`);
  await sql(
    `COPY (SELECT * REPLACE (list_concat(['77'], "values"[2:]) AS "values") FROM read_parquet('${one!.file}'))
     TO '${one!.file}' (FORMAT parquet, KV_METADATA {format: 'samewise-feature-log', version: '1'})`,
  );
  const found = await run(project, 'prove');
  assert.equal(found.code, 3, found.stdout);
  assert.match(found.stdout, /tx_count_1d was 77, is \d+/);
});
