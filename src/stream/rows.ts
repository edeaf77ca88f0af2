/** Rows as they come (decoded, not yet coerced) into columns of the source's types, column by column; bad rows are named, not thrown. */
import { SamewiseError } from '../base/errors.ts';
import { US_PER_DAY } from '../base/time.ts';
import type { Source } from '../model/index.ts';
import type { Batch, Field } from '../types/batch.ts';
import { type Column, ColumnBuilder, columnOf, gather } from '../types/column.ts';
import { coerce } from '../types/scalar.ts';
import type { DecodedRow } from './decode/contract.ts';

/** Rows in the source's types. */
export interface Rows {
  /** All columns of the source, one row for each that was given; of a bad row what it holds means nothing. */
  readonly batch: Batch;
  /** When each happened. */
  readonly timeUs: Float64Array;
  /** 1: the row takes its event away. Null: none does. */
  readonly retract: Uint8Array | null;
  /** What is wrong with a row, by its number. */
  readonly bad: ReadonlyMap<number, SamewiseError>;
}

/**
 * Reads rows that arrived when `arrivalUs` says. A column that a row does not have is an error, for a field that was renamed would
 * otherwise be null in silence; a retract needs only what identifies its event. Columns that the source does not declare are
 * passed by. Codes: `stream/missing-column`, `stream/null-event-time`, `stream/null-event-id` and the `types/…` and `time/…` ones.
 */
export function readRows(
  source: Source,
  rows: readonly DecodedRow[],
  arrivalUs: Float64Array,
): Rows {
  const bad = new Map<number, SamewiseError>();
  const columns: Record<string, Column> = {};
  let retract: Uint8Array | null = null;
  for (let i = 0; i < rows.length; i++) {
    if (rows[i]!.op !== 'retract') continue;
    retract ??= new Uint8Array(rows.length);
    retract[i] = 1;
  }
  for (const field of source.columns) {
    const { name, dtype } = field;
    if (name === source.op) columns[name] = columnOf(dtype, opsOf(rows));
    else if (name === source.arrivalTime)
      columns[name] = {
        kind: 'timestamp',
        dtype,
        length: rows.length,
        validity: null,
        data: arrivalUs,
      } as Column;
    else columns[name] = readColumn(source, field, rows, arrivalUs, bad);
  }
  const batch = { length: rows.length, columns };
  const timeUs = timesOf(source, batch);
  for (let i = 0; i < rows.length; i++) {
    if (Number.isSafeInteger(timeUs[i]!)) continue;
    const where = { source: source.name, column: source.eventTime };
    if (!bad.has(i))
      bad.set(
        i,
        new SamewiseError(
          'types/out-of-range',
          'an event time lies between the years 1684 and 2255',
          { where },
        ),
      );
  }
  return { batch, timeUs, retract, bad };
}

/**
 * As `readRows`, of rows of which most are in columns already: those are right. `others` are read here and put in their places;
 * the columns are this call's to write to.
 */
export function readOthers(
  source: Source,
  columns: Readonly<Record<string, Column>>,
  others: ReadonlyMap<number, DecodedRow>,
  arrivalUs: Float64Array,
): Rows {
  const batch = { length: arrivalUs.length, columns: { ...columns } };
  if (others.size === 0)
    return { batch, timeUs: timesOf(source, batch), retract: null, bad: new Map() };
  const places = [...others.keys()];
  const own = readRows(
    source,
    [...others.values()],
    Float64Array.from(places, (place) => arrivalUs[place]!),
  );
  const from = new Int32Array(batch.length).fill(-1);
  places.forEach((place, i) => {
    from[place] = i;
  });
  for (const { name } of source.columns)
    batch.columns[name] = merged(columns[name]!, own.batch.columns[name]!, from);
  const retract = own.retract && Uint8Array.from(from, (i) => (i < 0 ? 0 : own.retract![i]!));
  const bad = new Map([...own.bad].map(([i, error]) => [places[i]!, error]));
  return { batch, timeUs: timesOf(source, batch), retract, bad };
}

/** A column's rows, but for those that come `from` a row of another one. */
function merged(column: Column, other: Column, from: Int32Array): Column {
  const builder = new ColumnBuilder(column.dtype, column.length);
  for (let row = 0; row < column.length; row++)
    if (from[row]! < 0) builder.pushFrom(column, row);
    else builder.pushFrom(other, from[row]!);
  return builder.finish();
}

/** The batch's rows `rows`, in that order. */
export function pickRows(source: Source, batch: Batch, rows: readonly number[]): Batch {
  const columns = Object.fromEntries(
    source.columns.map(({ name }) => [name, gather(batch.columns[name]!, rows)]),
  );
  return { length: rows.length, columns };
}

function opsOf(rows: readonly DecodedRow[]): string[] {
  return rows.map(({ op }) => op);
}

function readColumn(
  source: Source,
  { name, dtype }: Field,
  rows: readonly DecodedRow[],
  arrivalUs: Float64Array,
  bad: Map<number, SamewiseError>,
): Column {
  const builder = new ColumnBuilder(dtype, rows.length);
  const where = { source: source.name, column: name };
  const fail = (row: number, error: SamewiseError) => {
    builder.pushNull();
    if (!bad.has(row)) bad.set(row, error);
  };
  const { kind } = dtype;
  for (let i = 0; i < rows.length; i++) {
    const { values, op } = rows[i]!;
    const value = values[name];
    // What most values are needs no more than a look.
    if (typeof value === 'number') {
      if (kind === 'float64') {
        if (!Number.isNaN(value)) {
          builder.pushNumber(value + 0);
          continue;
        }
      } else if (kind === 'int64' || kind === 'timestamp') {
        if (Number.isSafeInteger(value)) {
          builder.pushNumber(value + 0);
          continue;
        }
      } else if (kind === 'int32' && value === (value | 0)) {
        builder.pushNumber(value + 0);
        continue;
      }
    } else if (value === null || value === undefined) {
      const retract = op === 'retract';
      const problem = absent(source, name, value, retract);
      // A row of a table is known by its id alone: what takes it away happened when it arrived, if it does not say.
      if (name === source.eventTime && source.mutable && retract)
        builder.pushNumber(
          kind === 'date' ? Math.floor(arrivalUs[i]! / US_PER_DAY) : arrivalUs[i]!,
        );
      else if (problem === null) builder.pushNull();
      else fail(i, problem);
      continue;
    }
    try {
      builder.push(coerce(value, dtype, where));
    } catch (error) {
      if (!(error instanceof SamewiseError)) throw error;
      fail(i, error);
    }
  }
  return builder.finish();
}

/** What is wrong with a value that is not there; null: nothing. */
function absent(
  source: Source,
  name: string,
  value: null | undefined,
  retract: boolean,
): SamewiseError | null {
  const where = { source: source.name, column: name };
  if (name === source.eventId)
    return new SamewiseError('stream/null-event-id', `${name} is null`, { where });
  if (name === source.eventTime && !(retract && source.mutable))
    return new SamewiseError('stream/null-event-time', `${name} is null`, { where });
  if (value === null || (retract && source.eventId !== null)) return null;
  return new SamewiseError('stream/missing-column', `the row has no ${name}`, {
    where,
    hint: 'write null for what is not known',
  });
}

function timesOf({ eventTime }: Source, batch: Batch): Float64Array {
  const column = batch.columns[eventTime]!;
  if (column.kind === 'timestamp') return column.data;
  return Float64Array.from(column.data as Int32Array, (days) => days * US_PER_DAY);
}
