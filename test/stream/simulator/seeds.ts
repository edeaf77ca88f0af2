/** Seeds of the simulator that a test file runs: all files together the first 2,000, and SAMEWISE_SOAK times as many in a soak. */
import { test } from 'node:test';
import { cases } from '../../support/cases.ts';
import { run } from './run.ts';

const SEEDS = 2_000;
const FILES = 4;

/** Runs every `FILES`th seed from `file` on. */
export function testSeeds(file: number): void {
  const end = cases(SEEDS);
  test(`pages and history end as the log says, whatever happens: every ${FILES}th of ${end} runs`, async () => {
    for (let seed = file; seed < end; seed += FILES) await run(seed);
  });
}
