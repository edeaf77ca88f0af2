/**
 * Labels sorted by (key, T) meet history sorted by (key, t), and the sweep gives the values. Nothing here knows where either comes
 * from, so that threads without an engine can do it.
 */
import { aggregateFor } from '../../aggregate/index.ts';
import { sweptLayout, type ViewProgram } from '../../model/index.ts';
import {
  type Knowledge,
  type Layout,
  type Resolved,
  sweep,
  sweepAsServed,
} from '../../timeline/index.ts';
import type { Batch } from '../../types/batch.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { compareKeys, runStarts } from './columns.ts';
import { floats, type KeyedBatch } from './event_batches.ts';

/** Where the merge stands in the history. */
interface Cursor {
  batch: KeyedBatch | null;
  key: number;
}

/** What is asked of a view. */
export interface Question {
  readonly keyDtypes: readonly Dtype[];
  /** Its reads are the features that are asked for. */
  readonly layout: Layout;
  readonly knowledge: Knowledge;
}

/** What some of a view's features ask, given as `sweptFeatures` does. */
export function questionOf(
  program: ViewProgram,
  features: readonly number[],
  knowledge: Knowledge,
): Question {
  return { keyDtypes: program.keyDtypes, layout: sweptLayout(program, features), knowledge };
}

/** Some labels' values. */
export interface Answers {
  /** The labels' numbers. */
  readonly rows: Float64Array;
  /** A column for each read of the layout, before defaults. */
  readonly columns: readonly Column[];
}

/**
 * The values of labels sorted by (key, T), which are numbers `r`, T `t` and key parts `k…`, from history sorted by key. As-served a
 * label may bring the time `u` of what is known to it; without one that is T.
 */
export async function* merge(
  question: Question,
  labels: AsyncIterable<Batch>,
  history: AsyncIterator<KeyedBatch>,
): AsyncGenerator<Answers> {
  for await (const { batch, columns } of sweepLabels(question, labels, history))
    yield { rows: floats(batch.columns.r!), columns };
}

/** As `merge`, but labels without numbers: each batch of them with a column for each read of the layout. */
export async function* sweepLabels(
  question: Question,
  labels: AsyncIterable<Batch>,
  history: AsyncIterator<KeyedBatch>,
): AsyncGenerator<{ readonly batch: Batch; readonly columns: Column[] }> {
  const { keyDtypes, layout, knowledge } = question;
  const dtypes = answerDtypes(question);
  const none = nothing(layout);
  const cursor: Cursor = { batch: null, key: 0 };
  const advance = async (): Promise<void> => {
    const next = await history.next();
    cursor.batch = next.done === true ? null : next.value;
    cursor.key = 0;
  };
  try {
    await advance();
    for await (const batch of labels) {
      const builders = dtypes.map((dtype) => new ColumnBuilder(dtype, batch.length));
      const keys = keyDtypes.map((_, i) => batch.columns[`k${i}`]!);
      const readUs = floats(batch.columns.t!);
      const knownUs = batch.columns.u === undefined ? readUs : floats(batch.columns.u);
      const starts = runStarts(keys, batch.length);
      for (let run = 0; run + 1 < starts.length; run++) {
        const from = starts[run]!;
        const known = keys.every(({ validity }) => validity?.[from] !== 0);
        let order = -1;
        while (known && cursor.batch !== null) {
          order = seek(cursor, keys, from);
          if (cursor.key < cursor.batch.keys[0]!.length) break;
          await advance();
        }
        const found = known && cursor.batch !== null && order === 0;
        const {
          events,
          visibleFrom,
          visibleTo,
          starts: at,
        } = found ? cursor.batch!.resolved : none;
        const lo = found ? at[cursor.key]! : 0;
        const hi = found ? at[cursor.key + 1]! : 0;
        if (knowledge === 'final')
          sweep(layout, events, lo, hi, readUs, from, starts[run + 1]!, builders);
        else
          sweepAsServed(
            layout,
            events,
            visibleFrom,
            visibleTo,
            lo,
            hi,
            readUs,
            knownUs,
            from,
            starts[run + 1]!,
            builders,
          );
      }
      yield { batch, columns: builders.map((builder) => builder.finish()) };
    }
  } finally {
    await history.return?.();
  }
}

/** Moves to the first key that is not before the label's; negative: the label's key has no history before the end of the batch. */
function seek(cursor: Cursor, keys: readonly Column[], row: number): number {
  const { batch } = cursor;
  const count = batch!.keys[0]!.length;
  for (; cursor.key < count; cursor.key++) {
    const order = compareKeys(keys, row, batch!.keys, cursor.key);
    if (order <= 0) return order;
  }
  return 1;
}

/** No events. */
function nothing(layout: Layout): Omit<Resolved, 'tombstones'> {
  const columns = layout.columns.map((dtype) => new ColumnBuilder(dtype).finish());
  const events = {
    length: 0,
    timeUs: new Float64Array(0),
    arrivalUs: null,
    id: new BigInt64Array(0),
    columns,
  };
  return { events, starts: new Int32Array(2), visibleFrom: new Float64Array(0), visibleTo: null };
}

/** The types of what is answered, a read of the layout each. */
export function answerDtypes({ layout: { reads, aggregates, columns } }: Question): Dtype[] {
  return reads.map(({ aggregate }) => {
    const { spec, input } = aggregates[aggregate]!;
    return aggregateFor(spec, input < 0 ? null : columns[input]!).output;
  });
}
