/** Breaking a worker is noticed: if the simulator passed these, its silence about ours would mean little. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOK_UP_MUTANTS, MUTANTS } from './simulator/mutants.ts';
import { isEnriched, type Mutant, run } from './simulator/run.ts';

function testMutants(
  mutants: Readonly<Record<string, Mutant>>,
  runs: number,
  isOfUse: (seed: number) => boolean,
): void {
  for (const [name, mutant] of Object.entries(mutants)) {
    test(`a worker with ${name} is found out`, async () => {
      for (let seed = 0, left = runs; left > 0; seed++) {
        if (!isOfUse(seed)) continue;
        left--;
        const failure = await run(seed, mutant).catch((error) => error);
        if (failure instanceof Error) return;
      }
      assert.fail(`${runs} runs found nothing wrong`);
    });
  }
}

testMutants(MUTANTS, 60, () => true);
testMutants(LOOK_UP_MUTANTS, 200, isEnriched);
