/** Seeds of the simulator that a test file runs: all files together the first 2,000, and SAMEWISE_SOAK times as many in a soak. */
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { cases } from '../../support/cases.ts';

const SEEDS = 2_000;
const FILES = 4;

/** Which seeds a thread runs: every `step`th from `first` on, below `end`. */
export interface Seeds {
  readonly first: number;
  readonly step: number;
  readonly end: number;
}

/**
 * Runs every `FILES`th seed from `file` on, in a thread: node:test follows every promise of its own thread, which takes as long as
 * the simulation.
 */
export function testSeeds(file: number): void {
  const seeds: Seeds = { first: file, step: FILES, end: cases(SEEDS) };
  test(`pages and history end as the log says, whatever happens: every ${FILES}th of ${seeds.end} runs`, async () => {
    const thread = new Worker(new URL('seeds_thread.ts', import.meta.url), { workerData: seeds });
    // Rejects with what the thread threw, which names the seed.
    const [ran] = await once(thread, 'message');
    if (ran !== Math.ceil((seeds.end - file) / FILES)) throw new Error(`only ${ran} seeds ran`);
    await thread.terminate();
  });
}
