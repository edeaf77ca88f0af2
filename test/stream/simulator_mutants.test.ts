/** Breaking a worker is noticed: if the simulator passed these, its silence about ours would mean little. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MUTANTS } from './simulator/mutants.ts';
import { run } from './simulator/run.ts';

for (const [name, mutant] of Object.entries(MUTANTS)) {
  test(`a worker with ${name} is found out`, async () => {
    for (let seed = 0; seed < 60; seed++) {
      const failure = await run(seed, mutant).catch((error) => error);
      if (failure instanceof Error) return;
    }
    assert.fail('sixty runs found nothing wrong');
  });
}
