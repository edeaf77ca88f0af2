/** Columns that are filled in any order of their rows. */
import { assert } from '../../base/errors.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { wordsOf } from './columns.ts';

/** Every row is put once; then `finish` gives the columns, as often as it is called. */
export class PlacedRows {
  readonly #rows: number;
  readonly #places: readonly Place[];
  #put = 0;

  constructor(dtypes: readonly Dtype[], rows: number) {
    this.#rows = rows;
    this.#places = dtypes.map((dtype) =>
      dtype.kind === 'list' || dtype.kind === 'vector'
        ? new ElementsPlace(dtype, rows)
        : new ValuesPlace(dtype, rows),
    );
  }

  /** Row i of the columns is row `rows[i]`. */
  put(rows: Int32Array, columns: readonly Column[]): void {
    this.#put += rows.length;
    this.#places.forEach((place, i) => {
      place.put(rows, columns[i]!);
    });
  }

  finish(): Column[] {
    assert(this.#put === this.#rows, 'every row has come once');
    return this.#places.map((place) => place.finish());
  }
}

interface Place {
  put(rows: Int32Array, column: Column): void;
  finish(): Column;
}

class ValuesPlace implements Place {
  readonly #dtype: Dtype;
  readonly #rows: number;
  #data: Column['data'] | null = null;
  #validity: Uint8Array | null = null;

  constructor(dtype: Dtype, rows: number) {
    this.#dtype = dtype;
    this.#rows = rows;
  }

  put(rows: Int32Array, column: Column): void {
    this.#data ??= emptyLike(column, this.#rows);
    if (column.kind === 'int64')
      putWords(wordsOf(column.data), rows, wordsOf(this.#data as BigInt64Array));
    else if (column.kind === 'float64' || column.kind === 'timestamp')
      putFloats(column.data, rows, this.#data as Float64Array);
    else putAny(column.data as unknown[], rows, this.#data as unknown[]);
    if (column.validity === null) return;
    this.#validity ??= new Uint8Array(this.#rows).fill(1);
    putBytes(column.validity, rows, this.#validity);
  }

  finish(): Column {
    assert(this.#data !== null, 'there are rows');
    const dtype = this.#dtype;
    return {
      kind: dtype.kind,
      dtype,
      length: this.#rows,
      validity: this.#validity,
      data: this.#data,
    } as unknown as Column;
  }
}

function emptyLike({ data }: Column, rows: number): Column['data'] {
  return new (data.constructor as ArrayConstructor)(rows) as unknown as Column['data'];
}

// One loop a type: each is then as fast as the memory.

function putWords(from: Int32Array, rows: Int32Array, to: Int32Array): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    to[2 * row] = from[2 * i]!;
    to[2 * row + 1] = from[2 * i + 1]!;
  }
}

function putFloats(from: Float64Array, rows: Int32Array, to: Float64Array): void {
  for (let i = 0; i < rows.length; i++) to[rows[i]!] = from[i]!;
}

function putBytes(from: Uint8Array, rows: Int32Array, to: Uint8Array): void {
  for (let i = 0; i < rows.length; i++) to[rows[i]!] = from[i]!;
}

function putAny(from: readonly unknown[], rows: Int32Array, to: unknown[]): void {
  for (let i = 0; i < rows.length; i++) to[rows[i]!] = from[i];
}

/** Rows of several elements: where each lies is remembered until the end. */
class ElementsPlace implements Place {
  readonly #dtype: Dtype;
  readonly #columns: Column[] = [];
  readonly #column: Int32Array;
  readonly #at: Int32Array;

  constructor(dtype: Dtype, rows: number) {
    this.#dtype = dtype;
    this.#column = new Int32Array(rows);
    this.#at = new Int32Array(rows);
  }

  put(rows: Int32Array, column: Column): void {
    const which = this.#columns.push(column) - 1;
    rows.forEach((row, i) => {
      this.#column[row] = which;
      this.#at[row] = i;
    });
  }

  finish(): Column {
    const builder = new ColumnBuilder(this.#dtype, this.#at.length);
    for (let row = 0; row < this.#at.length; row++)
      builder.pushFrom(this.#columns[this.#column[row]!]!, this.#at[row]!);
    return builder.finish();
  }
}
