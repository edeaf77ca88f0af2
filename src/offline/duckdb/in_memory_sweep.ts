/** A look-up whose labels and history lie in memory: sorted, swept, and put back into label order. Nothing here needs the engine. */
import { type Catalog, compileView } from '../../model/index.ts';
import type { Knowledge } from '../../timeline/index.ts';
import type { Batch } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { type Dtype, float64 } from '../../types/dtype.ts';
import { ARRIVAL, appendOnlyEvents, eventOrder } from './event_batches.ts';
import { merge, questionOf } from './merge.ts';
import { PlacedRows } from './placed_rows.ts';
import { inOrder, type Part } from './sort.ts';

export interface SweepJob {
  readonly catalog: Catalog;
  /** A view of an append-only source. */
  readonly view: string;
  /** Which of its features, by index, and their types. */
  readonly features: readonly number[];
  readonly dtypes: readonly Dtype[];
  readonly knowledge: Knowledge;
  /** T `t` in microseconds and key parts `k…`, in label order. */
  readonly labels: Batch;
  /** Rows of the source as `appendOnlyEvents` takes them, in any order. */
  readonly history: Batch;
}

/** A column for each feature in label order, before defaults. `between` is called every now and then. */
export async function placedAnswers(
  { catalog, view, features, dtypes, knowledge, labels, history }: SweepJob,
  between: () => Promise<void>,
): Promise<Column[]> {
  const program = compileView(catalog, view);
  const question = questionOf(program, features, knowledge);
  const keys = question.keyDtypes.map((_, i) => `k${i}`);
  const numbered = { ...labels, columns: { ...labels.columns, r: numbers(labels.length) } };
  const events = inOrder(once(history, eventOrder(program, ARRIVAL in history.columns)));
  const answers = merge(
    question,
    inOrder(once(numbered, [...keys, 't'])),
    appendOnlyEvents(events, { program, knowledge }),
  );
  const placed = new PlacedRows(dtypes, labels.length);
  for await (const { rows, columns } of answers) {
    placed.put(new Int32Array(rows), columns);
    await between();
  }
  return placed.finish();
}

async function* once(batch: Batch, sortBy: readonly string[]): AsyncGenerator<Part> {
  yield { batch, sortBy };
}

function numbers(length: number): Column {
  const data = new Float64Array(length);
  for (let i = 0; i < length; i++) data[i] = i;
  return { kind: 'float64', dtype: float64, length, validity: null, data };
}
