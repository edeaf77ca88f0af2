/** A thread that builds shards (see materialize_workers.ts). */
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { assert, SamewiseError } from '../base/errors.ts';
import { compileView } from '../model/index.ts';
import { buildKeys } from '../stream/page_builder.ts';
import type { Answer, Question, WorkerSetup } from './materialize_workers.ts';
import { openOffline, openOnline } from './open.ts';

assert(parentPort !== null, 'this module is started as a thread');
const port = parentPort;
const { config, threads } = workerData as WorkerSetup;
const online = await openOnline(config);
const offline = await openOffline(config, systemClock, threads);
const answer = (message: Answer) => port.postMessage(message);
let controller = new AbortController();

port.on('message', async (question: Question) => {
  if (question.type === 'abort') controller.abort();
  else if (question.type === 'close') {
    await offline.close();
    await online.close();
    port.close();
  } else {
    controller = new AbortController();
    const { history, empty } = question.shard;
    try {
      const counts = await buildKeys({
        online,
        offline,
        log: offline.historyLog,
        turn: () => setImmediate(),
        program: compileView(history.catalog, history.view),
        history: { ...history, signal: controller.signal },
        empty,
        onCounts: (soFar) => answer({ type: 'counts', counts: soFar }),
      });
      answer({ type: 'done', counts });
    } catch (error) {
      if (error instanceof SamewiseError) answer({ type: 'failed', error: error.toJSON() });
      else answer({ type: 'broken', stack: String((error as Error)?.stack ?? error) });
    }
  }
});
