/** The thread that compares pages with history (see sampling.ts), over stores of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { assert, SamewiseError } from '../base/errors.ts';
import { MismatchSampler } from './mismatch_sampler.ts';
import { openOffline, openOnline, openRegistry } from './open.ts';
import type { SamplingNews, SamplingSetup } from './sampling.ts';

assert(parentPort !== null, 'this module is started as a thread');
const port = parentPort;
const { config, everyMs } = workerData as SamplingSetup;
const tell = (news: SamplingNews) => port.postMessage(news);
const stop = new AbortController();
// All that it is ever told.
port.once('message', () => stop.abort());

const registry = await openRegistry(config);
const online = await openOnline(config);
// One thread reads: there is time.
const offline = await openOffline(config, systemClock, 1);
const sampler = new MismatchSampler(
  {
    registry,
    online,
    offline,
    history: offline.historyLog,
    clock: systemClock,
    random: Math.random,
    // Of all threads, also those that only this one's work has made: it is a little more than what was spent here.
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
  },
  {
    everyMs,
    onMismatch: (found) => tell({ type: 'mismatch', found }),
    onFailure: (view, error) =>
      tell({
        type: 'failure',
        view,
        error:
          error instanceof SamewiseError
            ? error.toJSON()
            : { stack: String((error as Error)?.stack ?? error) },
      }),
    onTurn: () => tell({ type: 'totals', totals: sampler.totals }),
  },
);
await sampler.run(stop.signal);
await offline.close();
await online.close();
await registry.close();
port.close();
