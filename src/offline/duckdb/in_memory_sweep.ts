/** A look-up whose labels and history lie in memory: sorted and swept. Nothing here needs the engine. */
import { type Catalog, compileView } from '../../model/index.ts';
import type { Knowledge } from '../../timeline/index.ts';
import type { Batch } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { compareKeys, sliceBatch } from './columns.ts';
import { ARRIVAL, appendOnlyEvents, eventOrder, keysOf } from './event_batches.ts';
import { answerDtypes, questionOf, sweepLabels } from './merge.ts';
import { PlacedRows } from './placed_rows.ts';
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

/** Labels at least to sweep before their values are put in their places: few enough to lie in the processor's cache still. */
const SWEPT_ROWS = 8192;

/** Sorts and sweeps. Gives a column for each of the features asked for, before defaults, in label order. */
export async function sweepInMemory({
  catalog,
  view,
  features,
  knowledge,
  labels,
  history,
}: SweepJob): Promise<Column[]> {
  const program = compileView(catalog, view);
  const question = questionOf(program, features, knowledge);
  const keys = question.keyDtypes.map((_, i) => `k${i}`);
  const asked = [...keys, 't'];
  const order = orderOf(keysOf(labels, asked), null);
  const by = eventOrder(program, ARRIVAL in history.columns);
  const eventsOrder = orderOf(keysOf(history, by), order);
  const events = putInOrder(history, eventsOrder.places);
  const { places } = order;
  // Often the labels are the events: what has made their order is the same then, and is put in order once.
  const shared = eventsOrder === order ? order.by.length : 0;
  const rest = asked.slice(shared).map((column) => [column, labels.columns[column]!]);
  const put = putInOrder({ ...labels, columns: Object.fromEntries(rest) }, places);
  const same = asked.slice(0, shared).map((column, i) => [column, events.columns[by[i]!]!]);
  const sorted = { ...put.columns, ...Object.fromEntries(same) };
  const rows = rowsAt(places, labels.length);
  const out = new PlacedRows(answerDtypes(question), labels.length);
  const swept = sweepLabels(
    question,
    keyParts({ length: labels.length, columns: sorted }, keys),
    appendOnlyEvents(once(events), { program, knowledge }),
  );
  let done = 0;
  for await (const { batch, columns } of swept) {
    out.put(rows.subarray(done, done + batch.length), columns);
    done += batch.length;
  }
  return out.finish();
}

/** Parts of sorted labels, each with all labels of its keys. */
async function* keyParts(labels: Batch, names: readonly string[]): AsyncGenerator<Batch> {
  const keys = keysOf(labels, names);
  for (let from = 0, to = 0; from < labels.length; from = to) {
    to = Math.min(labels.length, from + SWEPT_ROWS);
    while (to < labels.length && compareKeys(keys, to - 1, keys, to) === 0) to++;
    yield sliceBatch(labels, from, to);
  }
}

/** Which row lies at each place. */
function rowsAt(places: Int32Array | null, length: number): Int32Array {
  const rows = new Int32Array(length);
  for (let row = 0; row < length; row++) rows[places === null ? row : places[row]!] = row;
  return rows;
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
