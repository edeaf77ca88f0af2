/** A look-up whose labels and history lie in memory: sorted and swept. Nothing here needs the engine. */
import { assert } from '../../base/errors.ts';
import { type Catalog, compileView } from '../../model/index.ts';
import type { Knowledge } from '../../timeline/index.ts';
import type { Batch } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { ARRIVAL, appendOnlyEvents, eventOrder, keysOf } from './event_batches.ts';
import { questionOf, sweepLabels } from './merge.ts';
import { orderOf, putInOrder } from './sort.ts';

export interface SweepJob {
  readonly catalog: Catalog;
  /** A view of an append-only source. */
  readonly view: string;
  /** Which of its features, as `sweptFeatures` names them. */
  readonly features: readonly number[];
  readonly knowledge: Knowledge;
  /** T `t` in microseconds and key parts `k…`, in label order. */
  readonly labels: Batch;
  /** Rows of the source as `appendOnlyEvents` takes them, in any order. */
  readonly history: Batch;
}

/** What a look-up gives in the order of key and T. */
export interface InOrder {
  /** A column for each of the features asked for, before defaults. */
  readonly columns: readonly Column[];
  /** Which row of them each label's is; null: that of its number. */
  readonly places: Int32Array | null;
}

/** Sorts and sweeps. The values are left in their order: to take them by label, in label order, is faster than to put them there. */
export async function sweepInMemory({
  catalog,
  view,
  features,
  knowledge,
  labels,
  history,
}: SweepJob): Promise<InOrder> {
  const program = compileView(catalog, view);
  const question = questionOf(program, features, knowledge);
  const keys = question.keyDtypes.map((_, i) => `k${i}`);
  const order = orderOf(keysOf(labels, [...keys, 't']), null);
  // Often the labels are the events.
  const by = keysOf(history, eventOrder(program, ARRIVAL in history.columns));
  const events = putInOrder(history, orderOf(by, order).places);
  const { places } = order;
  const swept = sweepLabels(
    question,
    once(putInOrder(labels, places)),
    appendOnlyEvents(once(events), { program, knowledge }),
  );
  for await (const { columns } of swept) return { columns, places };
  assert(false, 'there are labels');
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
