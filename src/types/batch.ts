/** A batch: columns of one length under names, in a fixed order. What rooms hand each other in bulk. */
import { assert } from '../base/errors.ts';
import type { Column } from './column.ts';
import type { Dtype } from './dtype.ts';

export interface Field {
  readonly name: string;
  readonly dtype: Dtype;
}

/** Names and types of columns, in order; names are distinct. */
export type Schema = readonly Field[];

export interface Batch {
  readonly length: number;
  readonly columns: Readonly<Record<string, Column>>;
}

/** Columns of equal length as a batch. */
export function batchOf(columns: Readonly<Record<string, Column>>, length?: number): Batch {
  const rows = length ?? Object.values(columns)[0]?.length ?? 0;
  for (const [name, column] of Object.entries(columns))
    assert(column.length === rows, `column ${name} has the batch's length`);
  return { length: rows, columns };
}
