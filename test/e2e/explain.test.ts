/** `samewise explain` as its users run it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { json, run, scaffolded, temporary } from './support.ts';

test('why a served value, and why one of a training set', async (t) => {
  const { folder, remove } = temporary();
  t.after(remove);
  const project = await scaffolded(folder);
  const feature = 'customer_spending:avg_amount_7d';
  const asked = ['--key', 'customer_id=1', '--at', '2024-03-20T12:00:00Z'];
  const text = await run(project, 'explain', feature, ...asked);
  assert.equal(text.code, 0);
  assert.match(text.stdout, /from history +the same/);
  const set = ['--labels', 'labels.csv', '--time', 'at', '--out', 'set.parquet'];
  await json(project, 'train', '--service', 'fraud_v1', ...set);
  const row = ['--row', '3', '--feature', 'avg_amount_7d'];
  const trained = await json(project, 'explain', '--training', 'set.parquet', ...row);
  assert.equal(trained.agrees, true);
  const vague = await run(project, 'explain', '--training', 'set.parquet', '--json');
  assert.match(vague.stderr + vague.stdout, /cli\/bad-option/);
});
