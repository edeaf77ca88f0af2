/** A thread that sorts, resolves and sweeps for one look-up (see lookup_threads.ts). It reads nothing itself. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, SamewiseError } from '../../base/errors.ts';
import { compileView } from '../../model/index.ts';
import { appendOnlyEvents } from './event_batches.ts';
import {
  buffersOf,
  type FromThread,
  type Input,
  type Job,
  type ToThread,
} from './lookup_threads.ts';
import { merge, questionOf } from './merge.ts';
import { inOrder, type Part } from './sort.ts';

/** Answers on their way at most, so that they do not pile up. */
const ANSWERS_AHEAD = 2;

assert(parentPort !== null, 'this module is started as a thread');
const port = parentPort;
const tell = (message: FromThread, buffers: ArrayBuffer[] = []) =>
  port.postMessage(message, buffers);

const waiting: Partial<Record<Input, (part: Part | null) => void>> = {};
let ahead = 0;
let onTaken = () => {};
port.on('message', (message: ToThread) => {
  if (message.type === 'part') waiting[message.of]!(message.part);
  else {
    ahead--;
    onTaken();
  }
});

function ask(of: Input): Promise<Part | null> {
  const part = new Promise<Part | null>((resolve) => {
    waiting[of] = resolve;
  });
  tell({ type: 'next', of });
  return part;
}

/** One part is read ahead, the first one at once. */
function parts(of: Input): AsyncGenerator<Part> {
  let next = ask(of);
  return (async function* () {
    for (let part = await next; part !== null; part = await next) {
      next = ask(of);
      yield part;
    }
  })();
}

const { catalog, view, features, knowledge } = workerData as Job;
const labels = parts('labels');
const history = parts('history');
let inHistory = false;
try {
  const program = compileView(catalog, view);
  const events = (async function* () {
    try {
      yield* appendOnlyEvents(inOrder(history), {
        program,
        knowledge,
        onRows: (rows) => tell({ type: 'history', rows }),
        onKeyless: (rows) => tell({ type: 'keyless', rows }),
      });
    } catch (error) {
      inHistory = true;
      throw error;
    }
  })();
  const question = questionOf(program, features, knowledge);
  for await (const { rows, columns } of merge(question, inOrder(labels), events)) {
    // The numbers of all labels may lie in one buffer.
    const own = rows.slice();
    tell({ type: 'answers', answers: { rows: own, columns } }, [own.buffer, ...buffersOf(columns)]);
    ahead++;
    while (ahead > ANSWERS_AHEAD)
      await new Promise<void>((resolve) => {
        onTaken = resolve;
      });
  }
  tell({ type: 'done' });
} catch (error) {
  if (error instanceof SamewiseError) tell({ type: 'failed', error: error.toJSON(), inHistory });
  else tell({ type: 'broken', stack: String((error as Error)?.stack ?? error) });
}
