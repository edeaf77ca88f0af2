/** The thread that runs seeds; tells how many there were. */
import { parentPort, workerData } from 'node:worker_threads';
import { run } from './run.ts';
import type { Seeds } from './seeds.ts';

const { first, step, end } = workerData as Seeds;
let ran = 0;
for (let seed = first; seed < end; seed += step) {
  await run(seed);
  ran++;
}
parentPort!.postMessage(ran);
