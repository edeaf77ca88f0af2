/** A thread that sweeps look-ups in memory, one after the other (see in_memory_threads.ts). */
import { enableCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { assert, SamewiseError } from '../../base/errors.ts';
import type { SweepJob } from './in_memory_sweep.ts';
import type { Said } from './in_memory_threads.ts';
import { buffersOf } from './lookup_threads.ts';

assert(parentPort !== null, 'this module is started as a thread');
const port = parentPort;
// A thread has none of its own accord, and would spend most of its start on parsing.
if (workerData !== null) enableCompileCache(workerData as string);
const { sweepInMemory } = await import('./in_memory_sweep.ts');
const tell = (said: Said, buffers: ArrayBuffer[] = []) => port.postMessage(said, buffers);
port.on('message', async (job: SweepJob) => {
  try {
    const swept = await sweepInMemory(job);
    tell({ swept }, buffersOf(swept));
  } catch (error) {
    if (error instanceof SamewiseError) tell({ failed: error.toJSON() });
    else tell({ broken: String((error as Error)?.stack ?? error) });
  }
});
