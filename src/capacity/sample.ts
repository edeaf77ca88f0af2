/**
 * Sampled pages: keys of every degree of activity, with as many events as such a key has, are encoded by the kernel that encodes
 * real ones, and read as real ones are. So a prediction knows of no format, and a change of the format changes it at once.
 */
import { US_PER_SECOND } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import { buildPages, type Events, type Layout, readTimeline } from '../timeline/index.ts';
import { carriesArrival, type EntityLoad, type SourceLoad } from './load.ts';
import { poissonQuantile, strataOf } from './spread.ts';
import { inputsOf, keyBytesOf, randomNumbers } from './synthetic.ts';

/** A page and how many real keys it stands for. */
export interface SampledKey {
  readonly keys: number;
  readonly events: number;
  readonly headBytes: number;
  /** Of each of its blocks. */
  readonly blockBytes: readonly number[];
  /** Blocks that the key really has for each of these: more than 1 where it has more events than were encoded. */
  readonly blocksEach: number;
  /** It became as large as it is event by event, not by one build. */
  readonly grows: boolean;
  /** Blocks that a read of all features opens. */
  readonly blocksRead: number;
  /** Share of the view's events that falls on all the keys it stands for. */
  readonly share: number;
}

export interface SampledView {
  readonly program: ViewProgram;
  readonly keyBytes: number;
  readonly sampled: readonly SampledKey[];
  /** Share of the source's rows that the view's filter takes. */
  readonly taken: number;
  /** Pages that are written a second, where each key's events of `GATHER_MS` are written at once. */
  readonly writesPerSecond: number;
}

/** How long a worker gathers events before it writes their pages (`gatherMs` in stream/worker.ts). */
export const GATHER_MS = 50;

/** Pages that are sampled of a view, about. */
const DRAWS = 128;
/** Pages of each stratum, at least. */
const DRAWS_EACH = 4;
/** Events that are encoded of one key, at most; what it has beyond is more blocks of the same kind. */
const MOST_EVENTS = 1_024;
/** float32 numbers in the synthetic rows of a view with embeddings, at most. */
const MOST_NUMBERS = 2_000_000;
/** An instant to end histories at; any would do. */
const NOW_US = 1_700_000_000 * US_PER_SECOND;

/** Samples the pages of a view. */
export function sampleView(
  program: ViewProgram,
  entity: EntityLoad,
  source: SourceLoad,
  historyUs: number,
): SampledView {
  const widest = Math.max(
    1,
    ...program.rowSchema.map(({ dtype }) => (dtype.kind === 'vector' ? dtype.size : 1)),
  );
  const pool = inputsOf(program, source, Math.min(MOST_EVENTS, Math.ceil(MOST_NUMBERS / widest)));
  const sampler = new Sampler(program, source, pool.columns, pool.length);
  const perSecond = source.perSecond * pool.share;
  // Rows of a table are spread evenly, whoever is active: most often there is one for each key.
  const strata = strataOf(program.source.mutable ? { ...entity, skew: 0 } : entity);
  const draws = Math.max(DRAWS_EACH, Math.ceil(DRAWS / strata.length));
  const sampled: SampledKey[] = [];
  let writesPerSecond = 0;
  for (const { keys, share } of strata) {
    const rate = perSecond * share;
    writesPerSecond += (keys * -Math.expm1((-rate * GATHER_MS) / 1_000) * 1_000) / GATHER_MS;
    const counts = program.source.mutable
      ? rowCounts(source.rows! * pool.share * share, draws)
      : eventCounts(rate / US_PER_SECOND, historyUs, program.layout.retentionUs, draws);
    const each = (keys * counts.existing) / draws;
    if (each === 0) continue;
    for (const events of counts.events)
      sampled.push({
        keys: each,
        share: (keys * share) / draws,
        grows: source.streamed,
        ...sampler.page(events, rate),
      });
  }
  return {
    program,
    keyBytes: keyBytesOf(program, source),
    sampled,
    taken: pool.share,
    writesPerSecond,
  };
}

interface Counts {
  /** Share of the keys that have a page. */
  readonly existing: number;
  /** Events of some of those. */
  readonly events: readonly number[];
}

/** Events of a key to which they come at random, `perUs` on average, given that it has any. */
function eventCounts(
  perUs: number,
  historyUs: number,
  retentionUs: number | null,
  draws: number,
): Counts {
  const existing = -Math.expm1(-perUs * historyUs);
  const kept = retentionUs === null || retentionUs >= historyUs ? null : perUs * retentionUs;
  const events = Array.from({ length: draws }, (_, i) => {
    const quantile = (i + 0.5) / draws;
    // Retention counts from the newest event, which is always there.
    if (kept !== null) return 1 + poissonQuantile(kept, quantile);
    return Math.max(1, poissonQuantile(perUs * historyUs, 1 - existing * (1 - quantile)));
  });
  return { existing, events };
}

/** Rows of a key of a table, `mean` on average: as even as whole numbers allow. */
function rowCounts(mean: number, draws: number): Counts {
  if (mean < 1) return { existing: mean, events: new Array<number>(draws).fill(1) };
  const more = mean - Math.floor(mean);
  const events = Array.from(
    { length: draws },
    (_, i) => Math.floor(mean) + ((i + 0.5) / draws < more ? 1 : 0),
  );
  return { existing: 1, events };
}

class Sampler {
  readonly #layout: Layout;
  readonly #events: Events;
  readonly #positions: ReadonlyMap<string, bigint>;
  readonly #random = randomNumbers(7);
  /** Whether retention drops what is old: a block goes as a whole, when all of it is. */
  readonly #retains: boolean;

  constructor(
    program: ViewProgram,
    source: SourceLoad,
    columns: Events['columns'],
    length: number,
  ) {
    // What retention drops is not made in the first place.
    this.#layout = { ...program.layout, retentionUs: null };
    this.#retains = program.layout.retentionUs !== null;
    const timeUs = new Float64Array(length);
    const arrives = carriesArrival(program.source, source);
    const id = BigInt64Array.from({ length }, (_, i) => BigInt(i) * 0x9e3779b97f4a7cn);
    this.#events = { length, timeUs, arrivalUs: arrives ? timeUs.slice() : null, id, columns };
    this.#positions = source.streamed ? new Map([['0', 1_000_000n]]) : new Map();
  }

  /** The page of a key with so many events, `rate` of them a second. */
  page(events: number, rate: number): Omit<SampledKey, 'keys' | 'share' | 'grows'> {
    const { length } = this.#events;
    let page = this.#build(Math.min(events, length), rate);
    if (this.#retains && page.blockBytes.length > 0) {
      // What it has in blocks ends where a block ends: half a block more, on average.
      const more = Math.round(this.#random() * page.eventsOfBlock);
      page = this.#build(Math.min(events + more, length), rate);
    }
    const { blockBytes, headBytes, blocksRead } = page;
    const encoded = Math.min(events, length);
    // The newest events lie in the head, however many there are; bytes tell how many, near enough.
    const inBlocks = blockBytes.reduce((sum, bytes) => sum + bytes, 0);
    const open = (encoded * headBytes) / (headBytes + inBlocks);
    const blocksEach = events === encoded ? 1 : (events - open) / (encoded - open);
    return { events, headBytes, blockBytes, blocksRead, blocksEach };
  }

  #build(count: number, rate: number) {
    const { timeUs, arrivalUs, length } = this.#events;
    const from = Math.floor(this.#random() * (length - count + 1));
    const gapUs = rate === 0 ? US_PER_SECOND : US_PER_SECOND / rate;
    let us = NOW_US;
    for (let i = from + count - 1; i >= from; i--) {
      // Gaps between independent events; every time another one, and whole microseconds.
      us -= Math.max(1, Math.round(-Math.log(this.#random()) * gapUs));
      timeUs[i] = us;
      if (arrivalUs !== null) arrivalUs[i] = us + US_PER_SECOND;
    }
    const { head, blocks } = buildPages(
      this.#layout,
      this.#events,
      from,
      from + count,
      undefined,
      1,
      [],
      this.#positions,
    );
    const read = new Set<number>();
    readTimeline(
      this.#layout,
      head,
      (block) => {
        read.add(block);
        return blocks.get(block);
      },
      NOW_US,
    );
    const blockBytes = [...blocks.values()].map((block) => block.length);
    return {
      headBytes: head.length,
      blockBytes,
      blocksRead: read.size,
      eventsOfBlock: count / Math.max(1, blockBytes.length),
    };
  }
}
