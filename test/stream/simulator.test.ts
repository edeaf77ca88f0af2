/** Workers under every fault that the simulator knows: pages and history end as the records say, for every seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cases } from '../support/cases.ts';
import { run } from './simulator/run.ts';

const SEEDS = cases(200);

test(`${SEEDS} runs end with history and pages as the log says`, async () => {
  for (let seed = 0; seed < SEEDS; seed++) await run(seed);
});

test('a run depends on its seed alone', async () => {
  for (const seed of [3, 4, 5]) assert.deepEqual(await run(seed), await run(seed));
});
