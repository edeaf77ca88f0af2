/** The recipes of docs/patterns.md run, and say what the page says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run as cqrs } from '../../examples/patterns/cqrs.ts';
import { run as kappa } from '../../examples/patterns/kappa.ts';
import { run as lambda } from '../../examples/patterns/lambda.ts';

test('Lambda: batch and speed give what everything at once gives, and what both have counts once', async () => {
  const { both, rebuilt } = await lambda();
  assert.deepEqual(both, { count_7d: 3n, mean_7d: 30 });
  assert.deepEqual(rebuilt, both);
});

test('Kappa: a changed definition is built from what the log brought, and goes on with it', async () => {
  const { first, replayed, live } = await kappa();
  assert.deepEqual(first, { total_1d: 40 });
  assert.deepEqual(replayed, { total_3d: 70, largest_3d: 40 });
  assert.deepEqual(live, { total_3d: 150, largest_3d: 80 });
});

test('CQRS: queries see their commands, at any time, also by a projection that was added later', async () => {
  const { balances, dayBefore, statement } = await cqrs();
  assert.deepEqual(
    balances.map(({ balance }) => balance),
    [100, 70, 100, 65],
  );
  assert.deepEqual(dayBefore, { balance: 100, transfers: 1n });
  assert.deepEqual(statement, { last_two: [100, -35] });
});
