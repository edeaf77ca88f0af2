/**
 * Columns: how values travel in bulk. Typed arrays with validity, one byte a row (1 = a value, 0 = null);
 * `validity` is null when nothing is. What `data` holds in a null row is 0, '' or empty, never garbage.
 * Columns are read-only once built; whoever builds one owns its buffers until then.
 */
import { assert } from '../base/errors.ts';
import type { Dtype, ListType, VectorType } from './dtype.ts';
import type { Scalar } from './scalar.ts';

interface Common<D extends Dtype> {
  readonly kind: D['kind'];
  readonly dtype: D;
  readonly length: number;
  readonly validity: Uint8Array | null;
}
export interface BoolColumn extends Common<Dtype & { kind: 'bool' }> {
  readonly data: Uint8Array;
}
export interface Int32Column extends Common<Dtype & { kind: 'int32' | 'date' }> {
  readonly data: Int32Array;
}
export interface Int64Column extends Common<Dtype & { kind: 'int64' }> {
  readonly data: BigInt64Array;
}
export interface Float32Column extends Common<Dtype & { kind: 'float32' }> {
  readonly data: Float32Array;
}
/** Also instants: integer microseconds are exact in a float64 and cost no bigint. */
export interface Float64Column extends Common<Dtype & { kind: 'float64' | 'timestamp' }> {
  readonly data: Float64Array;
}
export interface StringColumn extends Common<Dtype & { kind: 'string' }> {
  readonly data: readonly string[];
}
export interface BytesColumn extends Common<Dtype & { kind: 'bytes' }> {
  readonly data: readonly Uint8Array[];
}
/** Row i holds elements offsets[i] to offsets[i+1] of `data`; `offsets` has length + 1 entries. */
export interface ListColumn extends Common<ListType> {
  readonly offsets: Int32Array;
  readonly data: Column;
}
/** Row i holds data[i*size] to data[(i+1)*size]. */
export interface VectorColumn extends Common<VectorType> {
  readonly data: Float32Array;
}

export type Column =
  | BoolColumn
  | Int32Column
  | Int64Column
  | Float32Column
  | Float64Column
  | StringColumn
  | BytesColumn
  | ListColumn
  | VectorColumn;

export function isNull(column: Column, row: number): boolean {
  return column.validity !== null && column.validity[row] === 0;
}

/** The value of one row, or null. */
export function scalarAt(column: Column, row: number): Scalar | null {
  if (column.validity !== null && column.validity[row] === 0) return null;
  switch (column.kind) {
    case 'bool':
      return column.data[row] === 1;
    case 'list': {
      const out: (Scalar | null)[] = [];
      for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++)
        out.push(scalarAt(column.data, i));
      return out;
    }
    case 'vector':
      return column.data.slice(row * column.dtype.size, (row + 1) * column.dtype.size);
    default:
      return column.data[row]!;
  }
}

/** A column from scalars, which must already be of that dtype (see `coerce`). */
export function columnOf(dtype: Dtype, values: readonly (Scalar | null)[]): Column {
  const builder = new ColumnBuilder(dtype, values.length);
  for (const value of values) builder.push(value);
  return builder.finish();
}

/** All rows of a column as scalars. */
export function scalarsOf(column: Column): (Scalar | null)[] {
  return Array.from({ length: column.length }, (_, row) => scalarAt(column, row));
}

/** The rows named by `rows`, in that order; −1 gives null. */
export function gather(column: Column, rows: ArrayLike<number>): Column {
  const builder = new ColumnBuilder(column.dtype, rows.length);
  for (let i = 0; i < rows.length; i++) builder.pushFrom(column, rows[i]!);
  return builder.finish();
}

type TypedData = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array;

function allocate(dtype: Dtype, capacity: number): TypedData | null {
  switch (dtype.kind) {
    case 'bool':
      return new Uint8Array(capacity);
    case 'int32':
    case 'date':
      return new Int32Array(capacity);
    case 'int64':
      return new BigInt64Array(capacity);
    case 'float32':
      return new Float32Array(capacity);
    case 'float64':
    case 'timestamp':
      return new Float64Array(capacity);
    case 'vector':
      return new Float32Array(capacity * dtype.size);
    default:
      return null;
  }
}

/** Grows a column by appending. After `finish` it is empty again and may be reused. */
export class ColumnBuilder {
  readonly dtype: Dtype;
  length = 0;
  /** Rows to make room for at first. */
  readonly #first: number;
  /** 0: nothing is there yet. */
  #capacity = 0;
  #typed: TypedData | null = null;
  /** The same bytes as an int64 column's data, in 32-bit halves (little-endian). */
  #halves: Int32Array | null = null;
  #strings: string[] | null = null;
  #bytes: Uint8Array[] | null = null;
  #offsets: Int32Array | null = null;
  #child: ColumnBuilder | null = null;
  #validity: Uint8Array | null = null;

  constructor(dtype: Dtype, capacity = 16) {
    this.dtype = dtype;
    this.#first = Math.max(1, capacity);
  }

  #start(): void {
    const { dtype } = this;
    this.#capacity = this.#first;
    this.#typed = allocate(dtype, this.#capacity);
    this.#halves =
      dtype.kind === 'int64' ? new Int32Array((this.#typed as BigInt64Array).buffer) : null;
    this.#strings = dtype.kind === 'string' ? [] : null;
    this.#bytes = dtype.kind === 'bytes' ? [] : null;
    if (dtype.kind === 'list') {
      this.#offsets = new Int32Array(this.#capacity + 1);
      this.#child = new ColumnBuilder(dtype.of, this.#capacity);
    }
  }

  #grow(): void {
    if (this.#capacity === 0) {
      this.#start();
      return;
    }
    this.#capacity *= 2;
    const typed = allocate(this.dtype, this.#capacity);
    if (typed !== null) {
      (typed as Float64Array).set(this.#typed as Float64Array);
      this.#typed = typed;
      if (this.dtype.kind === 'int64')
        this.#halves = new Int32Array((typed as BigInt64Array).buffer);
    }
    if (this.#offsets !== null) {
      const offsets = new Int32Array(this.#capacity + 1);
      offsets.set(this.#offsets);
      this.#offsets = offsets;
    }
    if (this.#validity !== null) {
      const validity = new Uint8Array(this.#capacity).fill(1, this.length);
      validity.set(this.#validity);
      this.#validity = validity;
    }
  }

  pushNull(): void {
    if (this.length === this.#capacity) this.#grow();
    if (this.#validity === null) this.#validity = new Uint8Array(this.#capacity).fill(1);
    this.#validity[this.length] = 0;
    if (this.#strings !== null) this.#strings.push('');
    else if (this.#bytes !== null) this.#bytes.push(new Uint8Array(0));
    else if (this.#child !== null) this.#offsets![this.length + 1] = this.#child.length;
    this.length++;
  }

  push(value: Scalar | null): void {
    if (value === null) return this.pushNull();
    if (this.length === this.#capacity) this.#grow();
    switch (this.dtype.kind) {
      case 'string':
        this.#strings!.push(value as string);
        break;
      case 'bytes':
        this.#bytes!.push(value as Uint8Array);
        break;
      case 'list':
        for (const item of value as readonly (Scalar | null)[]) this.#child!.push(item);
        this.#offsets![this.length + 1] = this.#child!.length;
        break;
      case 'vector':
        (this.#typed as Float32Array).set(value as Float32Array, this.length * this.dtype.size);
        break;
      case 'bool':
        this.#typed![this.length] = value === true ? 1 : 0;
        break;
      default:
        (this.#typed as Float64Array)[this.length] = value as number;
    }
    this.length++;
  }

  /** Appends a safe integer or a float to a numeric column without making a bigint. */
  pushNumber(value: number): void {
    if (this.length === this.#capacity) this.#grow();
    if (this.#halves !== null) {
      this.#halves[2 * this.length] = value;
      this.#halves[2 * this.length + 1] = Math.floor(value / 4294967296);
    } else (this.#typed as Float64Array)[this.length] = value;
    this.length++;
  }

  /** Appends row `row` of a column of the same dtype; −1 appends null. */
  pushFrom(column: Column, row: number): void {
    if (row < 0 || (column.validity !== null && column.validity[row] === 0)) return this.pushNull();
    if (this.length === this.#capacity) this.#grow();
    switch (column.kind) {
      case 'string':
        this.#strings!.push(column.data[row]!);
        break;
      case 'bytes':
        this.#bytes!.push(column.data[row]!);
        break;
      case 'list':
        for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++)
          this.#child!.pushFrom(column.data, i);
        this.#offsets![this.length + 1] = this.#child!.length;
        break;
      case 'vector': {
        const { size } = column.dtype;
        (this.#typed as Float32Array).set(
          column.data.subarray(row * size, (row + 1) * size),
          this.length * size,
        );
        break;
      }
      default:
        (this.#typed as Float64Array)[this.length] = (column.data as Float64Array)[row]!;
    }
    this.length++;
  }

  /** The column built so far, which from now on owns the buffers; the builder starts anew. */
  finish(): Column {
    if (this.#capacity === 0) this.#start();
    const { dtype, length } = this;
    const common = {
      kind: dtype.kind,
      dtype,
      length,
      validity: this.#validity?.subarray(0, length) ?? null,
    };
    let column: unknown;
    if (dtype.kind === 'string') column = { ...common, data: this.#strings };
    else if (dtype.kind === 'bytes') column = { ...common, data: this.#bytes };
    else if (dtype.kind === 'list') {
      column = {
        ...common,
        offsets: this.#offsets!.subarray(0, length + 1),
        data: this.#child!.finish(),
      };
    } else {
      const width = dtype.kind === 'vector' ? dtype.size : 1;
      assert(this.#typed !== null, 'a typed column has typed data');
      column = { ...common, data: this.#typed.subarray(0, length * width) };
    }
    this.length = this.#capacity = 0;
    this.#typed = this.#halves = this.#strings = this.#bytes = null;
    this.#offsets = this.#child = this.#validity = null;
    return column as Column;
  }
}
