/**
 * From rows of a source to events, key by key: the view's filter and row expressions run here, and repeats, corrections and retracts
 * are resolved. Nothing here knows where the rows come from, so that threads without an engine can do it.
 */
import { assert, SamewiseError } from '../../base/errors.ts';
import { eventIds, type ViewProgram } from '../../model/index.ts';
import { type Knowledge, type Resolved, resolveHistory } from '../../timeline/index.ts';
import type { Changes } from '../../timeline/layout.ts';
import type { Batch } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { joinBatches, runStarts, sliceBatch, takeRows } from './columns.ts';

/** Resolved events of whole keys. */
export interface KeyedBatch {
  /** The key columns; row i is key i. */
  readonly keys: readonly Column[];
  readonly resolved: Resolved;
}

/** How rows are read. */
export interface Reading {
  readonly program: ViewProgram;
  readonly knowledge: Knowledge;
  /** Told of raw rows as they are read. */
  readonly onRows?: (rows: number) => void;
  /** Told of rows without a key, which belong to nobody. */
  readonly onKeyless?: (rows: number) => void;
}

/** Columns beside those of the source: arrival, event time (both numbers of microseconds) and whether it is a retract. */
export const ARRIVAL = 'samewise:a';
export const TIME = 'samewise:t';
export const RETRACTED = 'samewise:retract';

/** The columns that rows of an append-only source are sorted by for `appendOnlyEvents`. */
export function eventOrder({ view, source }: ViewProgram, hasArrival: boolean): string[] {
  return [
    ...view.keys,
    TIME,
    ...(hasArrival ? [ARRIVAL] : []),
    // An id that is a number sorts here as the kernel sorts it; other ids are hashes, which are made later.
    ...(source.eventId === null ? [] : [source.eventId]),
  ];
}

/** The events of an append-only source, from its rows by (key, t, a, id where it is a number); without arrivals a = t. */
export async function* appendOnlyEvents(
  rows: AsyncIterable<Batch>,
  reading: Reading,
): AsyncGenerator<KeyedBatch> {
  const { program, knowledge } = reading;
  const { keys } = program.view;
  for await (const whole of wholeKeys(rows, keys)) {
    reading.onRows?.(whole.length);
    const batch = keptRows(reading, whole);
    if (batch.length === 0) continue;
    const keyColumns = keysOf(batch, keys);
    const starts = runStarts(keyColumns, batch.length);
    const changes = changesOf(program, ARRIVAL in batch.columns, batch, null);
    const resolved = resolveHistory(false, changes, starts, knowledge);
    yield { keys: keyColumns.map((key) => takeRows(key, starts.subarray(0, -1))), resolved };
  }
}

/**
 * Regroups a stream sorted by `keys` so that each batch holds whole runs of equal keys. Only the rows of keys that lie across batches
 * are copied.
 */
export async function* wholeKeys(
  batches: AsyncIterable<Batch>,
  keys: readonly string[],
): AsyncGenerator<Batch> {
  /** Parts of one key, which may go on. */
  let pending: Batch[] = [];
  for await (const batch of batches) {
    const starts = runStarts(keysOf(batch, keys), batch.length);
    const last = pending.at(-1);
    const continues =
      last !== undefined &&
      runStarts(
        keysOf(
          joinBatches([sliceBatch(last, last.length - 1, last.length), sliceBatch(batch, 0, 1)]),
          keys,
        ),
        2,
      ).length === 2;
    const lastStart = starts[starts.length - 2]!;
    if (continues && lastStart === 0) {
      pending.push(batch);
      continue;
    }
    const first = continues ? starts[1]! : 0;
    if (continues) pending.push(sliceBatch(batch, 0, first));
    if (pending.length > 0) yield joinBatches(pending);
    if (lastStart > first) yield sliceBatch(batch, first, lastStart);
    pending = [sliceBatch(batch, lastStart, batch.length)];
  }
  if (pending.length > 0) yield joinBatches(pending);
}

/** Without rows that the filter leaves out (retracts always pass) and rows without a key. */
function keptRows(request: Reading, batch: Batch): Batch {
  const leaves = leavesView(request, batch);
  if (leaves === null) return batch;
  const keyless = keylessRows(request.program, batch);
  const retract = retractOf(batch);
  const rows = new Int32Array(batch.length);
  let kept = 0;
  for (let row = 0; row < batch.length; row++)
    if (keyless?.[row] !== 1 && (leaves[row] === 0 || retract?.[row] === 1)) rows[kept++] = row;
  if (kept === batch.length) return batch;
  const columns: Record<string, Column> = {};
  for (const [column, data] of Object.entries(batch.columns))
    columns[column] = takeRows(data, rows.subarray(0, kept));
  return { length: kept, columns };
}

/** 1 for each row that is no event of the view: the filter leaves it out, or it has no key. Null: all are. */
export function leavesView(request: Reading, batch: Batch): Uint8Array | null {
  const { filter } = request.program;
  const keyless = keylessRows(request.program, batch);
  if (filter === null) {
    if (keyless !== null) request.onKeyless?.(keyless.reduce((sum, one) => sum + one, 0));
    return keyless;
  }
  const [passes] = filter.run(batch);
  assert(passes?.kind === 'bool', 'a filter gives one bool column');
  const leaves = new Uint8Array(batch.length);
  for (let row = 0; row < batch.length; row++)
    leaves[row] =
      passes.data[row] === 1 && passes.validity?.[row] !== 0 && keyless?.[row] !== 1 ? 0 : 1;
  if (keyless !== null) request.onKeyless?.(keyless.reduce((sum, one) => sum + one, 0));
  return leaves;
}

function keylessRows(program: ViewProgram, batch: Batch): Uint8Array | null {
  let keyless: Uint8Array | null = null;
  for (const { validity } of keysOf(batch, program.view.keys)) {
    if (validity === null) continue;
    keyless ??= new Uint8Array(batch.length);
    for (let row = 0; row < batch.length; row++) if (validity[row] === 0) keyless[row] = 1;
  }
  return keyless;
}

/** Rows as changes of timelines; `leaves` marks rows that take their event away instead of standing for it. */
export function changesOf(
  program: ViewProgram,
  hasArrival: boolean,
  batch: Batch,
  leaves: Uint8Array | null,
): Changes {
  const time = batch.columns[TIME]!;
  const nullRow = time.validity?.indexOf(0) ?? -1;
  if (nullRow >= 0)
    throw new SamewiseError(
      'offline/null-event-time',
      `the event time ${program.source.eventTime} is null`,
      { where: { source: program.source.name, column: program.source.eventTime } },
    );
  let retract = retractOf(batch);
  if (leaves !== null) {
    const given = retract;
    retract = leaves.map((left, row) => (left === 1 || given?.[row] === 1 ? 1 : 0));
  }
  return {
    length: batch.length,
    timeUs: floats(time),
    arrivalUs: hasArrival ? floats(batch.columns[ARRIVAL]!) : null,
    id: eventIds(program.source, batch),
    columns: program.rowProgram.run(batch),
    retract,
  };
}

function retractOf(batch: Batch): Uint8Array | null {
  const column = batch.columns[RETRACTED];
  return column?.kind === 'bool' ? column.data : null;
}

/** The columns of that name. */
export function keysOf(batch: Batch, keys: readonly string[]): Column[] {
  return keys.map((key) => batch.columns[key]!);
}

/** The data of a column of numbers. */
export function floats(column: Column): Float64Array {
  assert(column.kind === 'float64', 'a column of numbers');
  return column.data;
}

/** The data of a column of ids. */
export function ids(column: Column): BigInt64Array {
  assert(column.kind === 'int64', 'a column of ids');
  return column.data;
}
