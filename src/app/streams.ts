/** The workers of a project's sources in this process: one a source, started again when it fails, as sources come and go. */
import { randomUUID } from 'node:crypto';
import { SamewiseError } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import type { Source, ViewProgram } from '../model/index.ts';
import { readCheckpoint } from '../stream/checkpoint.ts';
import type { EventLog, RecordPlace } from '../stream/contract.ts';
import { readControl, topicOf } from '../stream/control.ts';
import type { Decoder, SchemaChange } from '../stream/decode/index.ts';
import { LookUps } from '../stream/lookups.ts';
import type { StreamObserver } from '../stream/observer.ts';
import { Worker, type WorkerSetup } from '../stream/worker.ts';
import { followViews, liveSources, viewsOfSource } from './live_sources.ts';
import { tidyStreams } from './stream_tidying.ts';
import { type Streaming, sleep } from './streaming.ts';

/** Workers of all processes of a project are one group. */
const GROUP = 'samewise';
/** How often it is asked whether the workers of other processes have applied something. */
const ASK_MS = 50;
/** After so long somebody who waits for it is told that it has not happened yet. */
const MOST_WAIT_MS = 30_000;
/** How often the registry is asked for sources that have come or gone. */
const LOOK_MS = 1_000;
/** A worker that failed rests for so long, twice as long after each failure in a row, and at most so long. */
const FIRST_REST_MS = 1_000;
const MOST_REST_MS = 30_000;

export interface StreamsOptions {
  /** Only these sources; null: all, also those that are applied later. */
  readonly sources: readonly string[] | null;
  readonly observer: StreamObserver;
  /** See `WorkerSetup`. */
  readonly catchesUp?: boolean;
  /** A worker has given up for now; it is started again after `restMs`. */
  readonly onFailure: (source: string, error: unknown, restMs: number) => void;
  /** Records come by a schema from which a source can no longer be read: they are dead letters until something is done. */
  readonly onSchemaChange: (change: SchemaChange) => void;
}

/** The worker of one source as it runs, or rests. */
interface Running {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class Streams {
  readonly #app: Streaming;
  readonly #options: StreamsOptions;
  /** By source and definition: one whose definition has changed gets a worker that knows it. */
  readonly #running = new Map<string, Running>();
  /** By source. */
  readonly #workers = new Map<string, Worker>();
  /** By source of which the log has nothing yet: ends its wait. */
  readonly #idle = new Map<string, AbortController>();

  constructor(app: Streaming, options: StreamsOptions) {
    this.#app = app;
    this.#options = options;
  }

  /**
   * Runs workers until the signal aborts; then each finishes what it holds, and the promise resolves. Throws `app/unknown-source`
   * for a name that is not registered.
   */
  async run(signal: AbortSignal): Promise<void> {
    const tidying = tidyStreams(this.#app, this.#options, signal);
    let head = -1;
    while (!signal.aborted) {
      const now = await this.#app.registry.head();
      if (now !== head) await this.#follow(signal);
      head = now;
      await sleep(LOOK_MS, signal);
    }
    await Promise.all([tidying, ...[...this.#running.values()].map(({ ended }) => ended)]);
  }

  /**
   * Resolves when the pages of all live views of the source have what lies at these places, whichever process applies it. Rejects
   * with `stream/not-applied-yet` when that takes half a minute.
   */
  applied = async (source: Source, places: readonly RecordPlace[]): Promise<void> => {
    const given = new AbortController();
    this.#idle.get(source.name)?.abort();
    const here = this.#workers.get(source.name)?.reached(places, { signal: given.signal });
    const elsewhere = async () => {
      do await sleep(ASK_MS, given.signal);
      while (!given.signal.aborted && !(await isApplied(this.#app, source, places)));
    };
    try {
      const ways = [elsewhere(), tooLong(source, given.signal)];
      // A worker that failed is started again; the events wait for it.
      if (here !== undefined) ways.push(here.catch(() => elsewhere()));
      await Promise.race(ways);
    } finally {
      given.abort();
    }
  };

  async #follow(signal: AbortSignal): Promise<void> {
    const sources = liveSources(await this.#app.registry.load(), this.#options.sources);
    const live = new Map(sources.map((source) => [canonicalJson(source), source]));
    for (const [name, { stop, ended }] of this.#running) {
      if (live.has(name)) continue;
      stop.abort();
      await ended;
      this.#running.delete(name);
    }
    for (const [name, source] of live) {
      if (this.#running.has(name)) continue;
      const stop = new AbortController();
      const both = AbortSignal.any([signal, stop.signal]);
      this.#running.set(name, { stop, ended: this.#runSource(source, both) });
    }
  }

  /** Most sources of a large registry have no stream: they cost a question a second, not a consumer. */
  async #untilRecords(source: Source, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await hasRecords(this.#app.log, topicOf(source)))) {
      const wake = new AbortController();
      this.#idle.set(source.name, wake);
      await sleep(LOOK_MS, AbortSignal.any([signal, wake.signal]));
    }
    this.#idle.delete(source.name);
  }

  async #runSource(source: Source, signal: AbortSignal): Promise<void> {
    const { clock } = this.#app;
    const { observer, catchesUp = false, onFailure, onSchemaChange } = this.#options;
    let decoder: ReturnType<Streaming['decoder']> | null = null;
    let restMs = FIRST_REST_MS;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      try {
        decoder ??= this.#app.decoder(source, onSchemaChange);
        await this.#untilRecords(source, signal);
        if (signal.aborted) return;
        const worker = workerFor(this.#app, source, decoder, GROUP, { observer, catchesUp });
        this.#workers.set(source.name, worker);
        await worker.run(signal);
      } catch (error) {
        // It had worked for a while: this is a new failure.
        if (clock.monotonicMs() - startedMs > MOST_REST_MS) restMs = FIRST_REST_MS;
        onFailure(source.name, error, restMs);
        await sleep(restMs, signal);
        restMs = Math.min(MOST_REST_MS, restMs * 2);
      } finally {
        this.#workers.delete(source.name);
      }
    }
  }
}

/** Whether there is something to read. A log that cannot tell is left to the worker, which tries again and says why. */
async function hasRecords(log: EventLog, topic: string): Promise<boolean> {
  try {
    return [...(await log.ends(topic)).values()].some(({ next }) => next > 0n);
  } catch (error) {
    return !(error instanceof SamewiseError && error.code === 'stream/no-topic');
  }
}

/**
 * Applies what lies at these places in this process, beside whatever workers there are (they then find it done), and puts it into
 * history; first what the source looks up, which it would else wait for.
 */
export async function applyHere(
  app: Streaming,
  source: Source,
  places: readonly RecordPlace[],
): Promise<void> {
  const { sources } = await followViews(app.registry, source.name)();
  const own = startHere(app, source);
  const streamed: Source[] = [];
  for (const other of sources) if (await hasRecords(app.log, topicOf(other))) streamed.push(other);
  const others = streamed.map((other) => startHere(app, other));
  const all = [own, ...others];
  try {
    await Promise.race([own.worker.reached(places), ...all.map(({ running }) => running)]);
  } finally {
    // What is looked up is in history before what looks it up is to follow.
    for (const { end } of others) await end();
    await own.end();
  }
}

/** A worker in a group of its own: it need not wait for a partition that another one reads. */
function startHere(app: Streaming, source: Source) {
  const done = new AbortController();
  const group = `${GROUP}-${randomUUID()}`;
  const worker = workerFor(
    app,
    source,
    app.decoder(source, () => {}),
    group,
    {},
  );
  const running = worker.run(done.signal);
  // Whoever waits for it is told; until then it is no failure that nobody has heard of.
  running.catch(() => {});
  const end = () => {
    done.abort();
    return running;
  };
  return { worker, running, end };
}

function workerFor(
  { registry, online, offline, history, log, clock }: Streaming,
  source: Source,
  decoder: Decoder,
  group: string,
  options: Pick<WorkerSetup, 'observer' | 'catchesUp'>,
): Worker {
  return new Worker({
    source,
    log,
    decoder,
    online,
    offline,
    history,
    views: followViews(registry, source.name),
    clock,
    group,
    ...options,
    sleep,
    random: Math.random,
  });
}

async function isApplied(
  app: Streaming,
  source: Source,
  places: readonly RecordPlace[],
): Promise<boolean> {
  const { registry, online } = app;
  const last = new Map<string, bigint>();
  for (const { partition, position } of places)
    if (position > (last.get(partition) ?? -1n)) last.set(partition, position);
  const control = await readControl(online, source.name);
  for (const { program } of viewsOfSource(await registry.load(), source.name)) {
    for (const [partition, position] of last) {
      const place = { source: source.name, partition, viewId: program.id };
      const at = (await readCheckpoint(online, place, control))?.at ?? null;
      if (at !== null && at.position >= position) continue;
      // Until what it looks up is built nobody counts on it.
      if (await looksUpUnbuilt(app, program)) break;
      return false;
    }
  }
  return true;
}

async function looksUpUnbuilt(app: Streaming, { lookups }: ViewProgram): Promise<boolean> {
  const lookUps = new LookUps(app);
  for (const { program } of lookups)
    if ((await lookUps.readinessOf(program)) === 'unbuilt') return true;
  return false;
}

async function tooLong(source: Source, signal: AbortSignal): Promise<never> {
  await sleep(MOST_WAIT_MS, signal);
  throw new SamewiseError(
    'stream/not-applied-yet',
    `after ${MOST_WAIT_MS / 1000} s the events are durable, but not applied`,
    {
      where: { source: source.name },
      hint: 'see `samewise status`: is the source paused, or does no worker run?',
    },
  );
}
