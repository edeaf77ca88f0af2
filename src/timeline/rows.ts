/** Picking and joining rows of events, column by column, without a scalar in between. */
import { type Column, ColumnBuilder, gather } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { arrivalsOf } from './identity.ts';
import type { Events } from './layout.ts';

type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array;

/** No events, with columns of these dtypes. */
export function noEvents(dtypes: readonly Dtype[]): Events {
  return {
    length: 0,
    timeUs: new Float64Array(0),
    arrivalUs: null,
    id: new BigInt64Array(0),
    columns: dtypes.map((dtype) => new ColumnBuilder(dtype, 1).finish()),
  };
}

/** The rows named by `rows`, in that order. */
export function gatherEvents(events: Events, rows: Int32Array): Events {
  return {
    length: rows.length,
    timeUs: gatherNumbers(events.timeUs, rows),
    arrivalUs: events.arrivalUs === null ? null : gatherNumbers(events.arrivalUs, rows),
    id: gatherIds(events.id, rows),
    columns: events.columns.map((column) => gatherColumn(column, rows)),
  };
}

function gatherColumn(column: Column, rows: Int32Array): Column {
  const validity = column.validity === null ? null : gatherNumbers(column.validity, rows);
  switch (column.kind) {
    case 'float64':
    case 'timestamp':
      return { ...column, length: rows.length, validity, data: gatherNumbers(column.data, rows) };
    case 'float32':
      return { ...column, length: rows.length, validity, data: gatherNumbers(column.data, rows) };
    case 'int32':
    case 'date':
      return { ...column, length: rows.length, validity, data: gatherNumbers(column.data, rows) };
    case 'bool':
      return { ...column, length: rows.length, validity, data: gatherNumbers(column.data, rows) };
    case 'int64':
      return { ...column, length: rows.length, validity, data: gatherIds(column.data, rows) };
    default:
      return gather(column, rows);
  }
}

function gatherNumbers<A extends Numbers>(data: A, rows: Int32Array): A {
  const out = new (data.constructor as new (length: number) => A)(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = data[rows[i]!]!;
  return out;
}

/** 64-bit values as two words each: no bigint is made. */
function gatherIds(data: BigInt64Array, rows: Int32Array): BigInt64Array {
  const from = new Int32Array(data.buffer, data.byteOffset, data.length * 2);
  const out = new BigInt64Array(rows.length);
  const to = new Int32Array(out.buffer);
  for (let i = 0; i < rows.length; i++) {
    to[2 * i] = from[2 * rows[i]!]!;
    to[2 * i + 1] = from[2 * rows[i]! + 1]!;
  }
  return out;
}

/** Runs of rows of several sources of the same columns, in the order in which they are joined. */
export class Runs {
  readonly source: number[] = [];
  readonly start: number[] = [];
  readonly count: number[] = [];
  /** Rows in all. */
  rows = 0;

  add(source: number, start: number, count: number): void {
    if (count === 0) return;
    const last = this.source.length - 1;
    this.rows += count;
    if (this.source[last] === source && this.start[last]! + this.count[last]! === start)
      this.count[last]! += count;
    else {
      this.source.push(source);
      this.start.push(start);
      this.count.push(count);
    }
  }
}

const CHUNK_BYTES = 1 << 16;
/** Where the next small arrays go, and how much of it is taken. */
let chunk = new ArrayBuffer(CHUNK_BYTES);
let used = 0;

/**
 * Zeros that nothing else writes to. Small arrays lie in one buffer together: for a few rows, making a buffer takes longer than
 * filling it.
 */
function zeros<A extends Joined>(
  type: { new (buffer: ArrayBuffer, at: number, length: number): A; BYTES_PER_ELEMENT: number },
  length: number,
): A {
  const bytes = length * type.BYTES_PER_ELEMENT;
  if (bytes > CHUNK_BYTES >> 3) return new type(new ArrayBuffer(bytes), 0, length);
  if (used + bytes > CHUNK_BYTES) {
    chunk = new ArrayBuffer(CHUNK_BYTES);
    used = 0;
  }
  const out = new type(chunk, used, length);
  used += Math.ceil(bytes / 8) * 8;
  return out;
}

/** The rows that the runs name, sharing nothing with the sources. */
export function joinRuns(sources: readonly Events[], runs: Runs): Events {
  const times: Float64Array[] = [];
  const arrivals: Float64Array[] = [];
  const ids: BigInt64Array[] = [];
  let late = false;
  for (const events of sources) {
    times.push(events.timeUs);
    arrivals.push(arrivalsOf(events));
    ids.push(events.id);
    late ||= events.arrivalUs !== null;
  }
  const columns: Column[] = [];
  for (let c = 0; c < sources[0]!.columns.length; c++) {
    const own: Column[] = [];
    for (const events of sources) own.push(events.columns[c]!);
    columns.push(joinColumns(own, runs));
  }
  return {
    length: runs.rows,
    timeUs: joinData(times, runs, zeros(Float64Array, runs.rows), 1),
    arrivalUs: late ? joinData(arrivals, runs, zeros(Float64Array, runs.rows), 1) : null,
    id: joinData(ids, runs, zeros(BigInt64Array, runs.rows), 1),
    columns,
  };
}

function joinColumns(columns: readonly Column[], runs: Runs): Column {
  const first = columns[0]!;
  const { kind, dtype } = first;
  if (kind === 'string' || kind === 'bytes' || kind === 'list') {
    const builder = new ColumnBuilder(dtype, Math.max(1, runs.rows));
    for (let r = 0; r < runs.source.length; r++)
      for (let i = 0; i < runs.count[r]!; i++)
        builder.pushFrom(columns[runs.source[r]!]!, runs.start[r]! + i);
    return builder.finish();
  }
  const size = kind === 'vector' ? first.dtype.size : 1;
  const data = joinData(
    columns.map((column) => column.data as Float64Array),
    runs,
    zeros(first.data.constructor as Float64ArrayConstructor, runs.rows * size),
    size,
  );
  return { kind, dtype, length: runs.rows, validity: joinValidity(columns, runs), data } as Column;
}

function joinValidity(columns: readonly Column[], runs: Runs): Uint8Array | null {
  if (columns.every((column) => column.validity === null)) return null;
  const out = new Uint8Array(runs.rows).fill(1);
  for (let r = 0, at = 0; r < runs.source.length; at += runs.count[r++]!) {
    const { validity } = columns[runs.source[r]!]!;
    if (validity !== null)
      out.set(validity.subarray(runs.start[r]!, runs.start[r]! + runs.count[r]!), at);
  }
  return out;
}

type Joined = Float64Array | BigInt64Array;

function wordsOf({ buffer, byteOffset, length }: Joined): Int32Array {
  return new Int32Array(buffer, byteOffset, 2 * length);
}

function joinData<A extends Joined>(data: readonly A[], runs: Runs, out: A, size: number): A {
  // 64-bit values as two words each: no bigint is made.
  if (out instanceof BigInt64Array) joinNumbers(data.map(wordsOf), runs, wordsOf(out), 2 * size);
  else joinNumbers(data as readonly Float64Array[], runs, out as Float64Array, size);
  return out;
}

/** Runs up to this long are copied number by number: a view of so few takes longer. */
const FEW = 8;

function joinNumbers<A extends Float64Array | Int32Array>(
  data: readonly A[],
  runs: Runs,
  out: A,
  size: number,
): void {
  for (let r = 0, at = 0; r < runs.source.length; at += size * runs.count[r++]!) {
    const source = data[runs.source[r]!]!;
    const from = size * runs.start[r]!;
    const to = from + size * runs.count[r]!;
    if (to - from <= FEW) for (let i = from; i < to; i++) out[at + i - from] = source[i]!;
    else out.set(from === 0 && to === source.length ? source : source.subarray(from, to), at);
  }
}
