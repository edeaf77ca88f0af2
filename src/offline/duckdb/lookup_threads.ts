/**
 * Look-ups side by side, each in a thread of its own: the thread sorts, resolves and sweeps, and is fed with what DuckDB reads here, since
 * only this thread has the engine. Buffers are handed over, not copied.
 */
import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import { SamewiseError } from '../../base/errors.ts';
import type { Catalog } from '../../model/index.ts';
import type { Knowledge } from '../../timeline/index.ts';
import type { Column } from '../../types/column.ts';
import type { Answers } from './merge.ts';
import type { Part } from './sort.ts';

/** What a thread is to do. */
export interface Job {
  readonly catalog: Catalog;
  /** A view of an append-only source. */
  readonly view: string;
  /** Which of its features, as `sweptFeatures` names them. */
  readonly features: readonly number[];
  readonly knowledge: Knowledge;
}

/** What a thread reads: labels as `merge` takes them, and history as `appendOnlyEvents` does, once they are in order. */
export type Input = 'labels' | 'history';

/** `part` answers `next`, null at the end; `taken` answers `answers`. */
export type ToThread =
  | { readonly type: 'part'; readonly of: Input; readonly part: Part | null }
  | { readonly type: 'taken' };

export type FromThread =
  | { readonly type: 'next'; readonly of: Input }
  | { readonly type: 'answers'; readonly answers: Answers }
  /** So many rows of history were read, and so many had no key. */
  | { readonly type: 'history'; readonly rows: number }
  | { readonly type: 'keyless'; readonly rows: number }
  | { readonly type: 'done' }
  | {
      readonly type: 'failed';
      readonly error: ReturnType<SamewiseError['toJSON']>;
      /** Whether history was at fault. */
      readonly inHistory: boolean;
    }
  | { readonly type: 'broken'; readonly stack: string };

export interface Told {
  readonly onHistory: (rows: number) => void;
  readonly onKeyless: (rows: number) => void;
  /** What an error that history is at fault for says to a person. */
  readonly explain: (error: unknown) => Promise<unknown>;
  readonly signal: AbortSignal | undefined;
}

/** What `merge` gives, computed by a thread that ends with the iteration, however that ends. */
export async function* answersOfThread(
  job: Job,
  inputs: Readonly<Record<Input, AsyncGenerator<Part>>>,
  told: Told,
): AsyncGenerator<Answers> {
  const stop = new AbortController();
  const signals = told.signal === undefined ? [stop.signal] : [stop.signal, told.signal];
  const signal = AbortSignal.any(signals);
  const ending = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./lookup_thread.${ending}`, import.meta.url), {
    workerData: job,
  });
  worker.once('exit', (code) => stop.abort(new Error(`a thread ended with code ${code}`)));
  const tell = (message: ToThread, buffers: ArrayBuffer[] = []) =>
    worker.postMessage(message, buffers);
  // Read while the thread starts.
  const first = new Map((['history', 'labels'] as const).map((of) => [of, inputs[of].next()]));
  // Who awaits it is told as well.
  for (const next of first.values()) next.catch(() => {});
  let historyFailed = false;
  const feed = async (of: Input): Promise<void> => {
    try {
      const next = await (first.get(of) ?? inputs[of].next());
      first.delete(of);
      if (next.done === true) tell({ type: 'part', of, part: null });
      else
        tell(
          { type: 'part', of, part: next.value },
          buffersOf(Object.values(next.value.batch.columns)),
        );
    } catch (error) {
      historyFailed ||= of === 'history';
      stop.abort(error);
    }
  };
  try {
    const messages = on(worker, 'message', { signal });
    for await (const [message] of messages as AsyncIterable<[FromThread]>) {
      if (message.type === 'next') void feed(message.of);
      else if (message.type === 'answers') {
        yield message.answers;
        tell({ type: 'taken' });
      } else if (message.type === 'history') told.onHistory(message.rows);
      else if (message.type === 'keyless') told.onKeyless(message.rows);
      else if (message.type === 'done') return;
      else {
        historyFailed = message.type === 'failed' && message.inHistory;
        throw errorOf(message);
      }
    }
  } catch (error) {
    const cause = signal.aborted ? signal.reason : error;
    if (!historyFailed) throw cause;
    await inputs.history.return(undefined);
    throw await told.explain(cause);
  } finally {
    await worker.terminate();
    // What is being read ends before its connection closes.
    await Promise.all([inputs.labels.return(undefined), inputs.history.return(undefined)]);
  }
}

function errorOf(message: Extract<FromThread, { type: 'failed' | 'broken' }>): Error {
  if (message.type === 'broken') return new Error(`in a thread: ${message.stack}`);
  const { code, message: said, where, hint } = message.error;
  return new SamewiseError(code, said, { where, hint });
}

/** The buffers of columns that are nobody else's, to be handed over. */
export function buffersOf(columns: readonly Column[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBufferLike>();
  for (const column of columns) {
    if (column.validity !== null) buffers.add(column.validity.buffer);
    if (column.kind === 'list') {
      buffers.add(column.offsets.buffer);
      for (const buffer of buffersOf([column.data])) buffers.add(buffer);
    } else if (column.kind !== 'string' && column.kind !== 'bytes') buffers.add(column.data.buffer);
  }
  return [...buffers] as ArrayBuffer[];
}
