/** What is pushed, checked: rows into scalars of the source's types, all of them or none. */
import { createHash } from 'node:crypto';
import { nearest, SamewiseError } from '../base/errors.ts';
import { type InstantUs, US_PER_DAY } from '../base/time.ts';
import type { Source } from '../model/index.ts';
import type { Batch } from '../types/batch.ts';
import { columnOf } from '../types/column.ts';
import { coerce, type Scalar, scalarToJsonText } from '../types/scalar.ts';

/** Rows that one push may hold: they are in memory together. */
export const MAX_PUSH_ROWS = 1_000_000;

export type PushedRow = Readonly<Record<string, Scalar | null>>;

/** Says of a row without an op column that it takes its event away. */
export const OP = '__op';

/**
 * The rows as scalars by column, with `__op` where it says `retract`. Throws `app/unknown-column`, `app/missing-column`,
 * `app/bad-op`, `app/null-event-time`, `app/null-event-id`, `app/too-many-rows` and the `types/…` errors, each with row and column.
 */
export function checkRows(
  source: Source,
  rows: readonly Readonly<Record<string, unknown>>[],
): PushedRow[] {
  if (rows.length > MAX_PUSH_ROWS) {
    throw new SamewiseError(
      'app/too-many-rows',
      `a push holds at most ${MAX_PUSH_ROWS} rows, not ${rows.length}`,
      {
        where: { source: source.name },
        hint: 'push parts of it, or put the file where the source’s batch location finds it and materialize',
      },
    );
  }
  const known = new Set([...source.columns.map(({ name }) => name), OP]);
  return rows.map((row, i) => {
    const place = (column: string) => ({ source: source.name, row: i, column });
    for (const column of Object.keys(row)) {
      if (known.has(column)) continue;
      const meant = nearest(column, known);
      throw new SamewiseError('app/unknown-column', `the source has no column ${column}`, {
        where: place(column),
        hint: meant === undefined ? `it has ${[...known].join(', ')}` : `did you mean "${meant}"?`,
      });
    }
    const checked: Record<string, Scalar | null> = {};
    for (const { name, dtype } of source.columns) {
      // The store stamps the arrival itself, and without an op a row is an upsert.
      const optional = name === source.arrivalTime || name === source.op;
      if (row[name] === undefined && !optional) {
        throw new SamewiseError('app/missing-column', `the row has no ${name}`, {
          where: place(name),
          hint: 'write null for what is not known',
        });
      }
      checked[name] = coerce(row[name], dtype, place(name));
    }
    for (const [name, code] of [
      [source.eventTime, 'app/null-event-time'],
      [source.eventId, 'app/null-event-id'],
    ] as const) {
      if (name !== null && checked[name] === null)
        throw new SamewiseError(code, `${name} is null`, { where: place(name) });
    }
    const opColumn = row[OP] === undefined && source.op !== null ? source.op : OP;
    const op = row[opColumn] ?? 'upsert';
    if (op !== 'upsert' && op !== 'retract') {
      throw new SamewiseError('app/bad-op', `${JSON.stringify(op)} is not an operation`, {
        where: place(opColumn),
        hint: 'use "upsert" or "retract"',
      });
    }
    if (source.op !== null) checked[source.op] = op;
    checked[OP] = op;
    return checked;
  });
}

/** A hash of the rows in their order: the same rows make the same push. */
export function contentId(source: Source, rows: readonly PushedRow[]): string {
  const hash = createHash('sha256');
  for (const row of rows) {
    for (const { name, dtype } of source.columns)
      if (name !== source.arrivalTime) hash.update(`${scalarToJsonText(row[name]!, dtype)},`);
    hash.update(`${row[OP]}\n`);
  }
  return hash.digest('hex');
}

/** Rows as a batch of a source's columns; a column that an older version had and the rows lack is null. */
export function batchOfRows(
  source: Source,
  rows: readonly PushedRow[],
  arrivalUs: InstantUs,
): Batch {
  const columns = Object.fromEntries(
    source.columns.map(({ name, dtype }) => [
      name,
      columnOf(
        dtype,
        rows.map((row) => (name === source.arrivalTime ? arrivalUs : (row[name] ?? null))),
      ),
    ]),
  );
  return { length: rows.length, columns };
}

/** The event time of a row. */
export function timeOf(source: Source, row: PushedRow): InstantUs {
  const value = row[source.eventTime] as number;
  const { dtype } = source.columns.find(({ name }) => name === source.eventTime)!;
  return dtype.kind === 'date' ? value * US_PER_DAY : value;
}
