/** The simulator itself, and the seeds that once found something. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from './simulator/run.ts';

test('a run depends on its seed alone', async () => {
  for (const seed of [3, 4, 5]) assert.deepEqual(await run(seed), await run(seed));
});

const kept = join(import.meta.dirname, '../regressions/stream-simulator-seeds.json');

test('seeds that once failed', async () => {
  const { seeds } = JSON.parse(readFileSync(kept, 'utf8')) as { seeds: Record<string, string> };
  for (const seed of Object.keys(seeds)) await run(Number(seed));
});
