/** A child's side of what the processes of a server say to each other. */
import { SamewiseError } from '../base/errors.ts';
import type { ToChild, ToParent } from './worker_messages.ts';

const ALIVE_MS = 1_000;

export interface WorkerLink {
  /** Aborts when the child is to end: it is told, its parent is gone, or the system says so. */
  readonly stop: AbortSignal;
  listening(): void;
  ready(): void;
  failed(error: unknown): void;
  /** From now on others may ask what this process has counted. */
  answerMetrics(own: () => Promise<string>): void;
  /** What all processes have counted. */
  gather(): Promise<string>;
  /** Says for the last time what this process has counted. */
  counted(): Promise<void>;
  /** Ends the process as one that failed, after what was begun is finished. */
  giveUp(): void;
  /** Nothing is to be said any more. */
  close(): void;
}

/** Speaks over the channel that the parent has made. */
export function linkToParent(): WorkerLink {
  const ending = new AbortController();
  const asked = new Map<number, (text: string) => void>();
  let own: () => Promise<string> = async () => '';
  let questions = 0;
  const tell = (message: ToParent) => {
    // The parent may go at any time; then 'disconnect' ends us.
    if (process.connected) process.send!(message, undefined, undefined, () => {});
  };
  process.on('message', async (message: ToChild) => {
    if (message.type === 'stop') ending.abort();
    else if (message.type === 'gathered') asked.get(message.id)?.(message.text);
    else tell({ type: 'metrics', id: message.id, text: await own().catch(() => '') });
  });
  // Who does not turn says nothing, and the parent replaces it.
  const alive = setInterval(() => tell({ type: 'alive' }), ALIVE_MS).unref();
  tell({ type: 'alive' });
  process.once('disconnect', () => ending.abort());
  process.once('SIGTERM', () => ending.abort());
  // A terminal sends these to all processes in it; the parent decides.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  return {
    stop: ending.signal,
    listening: () => tell({ type: 'listening' }),
    ready: () => tell({ type: 'ready' }),
    failed: (error) => {
      const coded =
        error instanceof SamewiseError
          ? error
          : new SamewiseError('app/worker-failed', (error as Error).stack ?? String(error));
      tell({ type: 'failed', error: coded.toJSON() });
    },
    answerMetrics: (metrics) => {
      own = metrics;
    },
    gather: async () => {
      const id = questions++;
      const { promise, resolve } = Promise.withResolvers<string>();
      asked.set(id, resolve);
      tell({ type: 'gather', id });
      return promise.finally(() => asked.delete(id));
    },
    counted: async () => tell({ type: 'counted', text: await own().catch(() => '') }),
    giveUp: () => {
      process.exitCode = 1;
      ending.abort();
    },
    close: () => {
      clearInterval(alive);
      if (process.connected) process.disconnect!();
    },
  };
}
