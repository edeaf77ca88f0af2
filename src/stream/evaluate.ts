/** Rows of a source as one view sees them: whose they are, whether its filter takes them, and the inputs of its aggregates. */
import { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { Batch } from '../types/batch.ts';
import { type Column, gather, isNull, scalarAt } from '../types/column.ts';
import { encodeKey } from '../types/key.ts';

export interface Evaluated {
  /** Distinct entity keys. */
  readonly keys: readonly Uint8Array[];
  /** Of each row, the number of its key; −1: a part of it is null, or the row has failed. */
  readonly keyOf: Int32Array;
  /** Rows that are nobody's. */
  readonly keyless: number;
  /** 0: the view's filter does not take the row. Null: it takes all. */
  readonly taken: Uint8Array | null;
  /** The layout's columns. */
  readonly columns: readonly Column[];
  /** Rows whose values cannot be computed, and why. */
  readonly failed: ReadonlyMap<number, SamewiseError>;
}

/** Evaluates all rows at once; if one of them fails, one by one. */
export function evaluate(program: ViewProgram, batch: Batch): Evaluated {
  const failed = new Map<number, SamewiseError>();
  const keyed = keysOf(program, batch, failed);
  let computed: Computed;
  try {
    computed = compute(program, batch);
  } catch (error) {
    if (!(error instanceof SamewiseError)) throw error;
    computed = computeEach(program, batch, failed);
  }
  const { keyOf } = keyed;
  let keyless = 0;
  for (let row = 0; row < batch.length; row++) if (keyOf[row] === -1) keyless++;
  keyless -= [...failed.keys()].filter((row) => keyOf[row] === -1).length;
  for (const row of failed.keys()) keyOf[row] = -1;
  return { ...keyed, ...computed, keyless, failed };
}

interface Computed {
  readonly taken: Uint8Array | null;
  readonly columns: readonly Column[];
}

function compute({ filter, rowProgram }: ViewProgram, batch: Batch): Computed {
  const found = filter?.run(batch)[0];
  if (found === undefined) return { taken: null, columns: rowProgram.run(batch) };
  const taken = new Uint8Array(batch.length);
  for (let row = 0; row < batch.length; row++) taken[row] = scalarAt(found, row) === true ? 1 : 0;
  return { taken, columns: rowProgram.run(batch) };
}

function computeEach(
  program: ViewProgram,
  batch: Batch,
  failed: Map<number, SamewiseError>,
): Computed {
  const good: number[] = [];
  for (let row = 0; row < batch.length; row++) {
    try {
      compute(program, rowsOf(batch, [row]));
      good.push(row);
    } catch (error) {
      if (!(error instanceof SamewiseError)) throw error;
      if (!failed.has(row)) failed.set(row, error);
    }
  }
  const { taken, columns } = compute(program, rowsOf(batch, good));
  const place = new Int32Array(batch.length).fill(-1);
  good.forEach((row, i) => {
    place[row] = i;
  });
  return {
    taken: taken && Uint8Array.from(place, (i) => (i < 0 ? 0 : taken[i]!)),
    columns: columns.map((column) => gather(column, place)),
  };
}

function rowsOf({ columns }: Batch, rows: readonly number[]): Batch {
  const some = Object.entries(columns).map(([name, column]) => [name, gather(column, rows)]);
  return { length: rows.length, columns: Object.fromEntries(some) };
}

/** The keys of all rows; each distinct one is encoded once where it has one part, which is the usual case. */
function keysOf(
  { view, keyDtypes }: ViewProgram,
  batch: Batch,
  failed: Map<number, SamewiseError>,
): { keys: Uint8Array[]; keyOf: Int32Array } {
  const parts = view.keys.map((name) => batch.columns[name]!);
  const keys: Uint8Array[] = [];
  const keyOf = new Int32Array(batch.length).fill(-1);
  const numbers = new Map<unknown, number>();
  const single = parts.length === 1 && parts[0]!.kind !== 'bytes' ? parts[0]! : null;
  const whole = single?.kind === 'int64' ? single.data : null;
  const words = whole && new Int32Array(whole.buffer, whole.byteOffset, 2 * whole.length);
  for (let row = 0; row < batch.length; row++) {
    if (single === null ? parts.some((part) => isNull(part, row)) : isNull(single, row)) continue;
    let name: unknown;
    let key: Uint8Array | null = null;
    try {
      if (whole !== null) name = wholeAt(words!, whole, row);
      else if (single !== null) name = scalarAt(single, row);
      else {
        key = encodeKey(
          parts.map((part) => scalarAt(part, row)),
          keyDtypes,
        );
        name = nameOfKey(key);
      }
      let number = numbers.get(name);
      if (number === undefined) {
        number = keys.length;
        keys.push(key ?? encodeKey([scalarAt(single!, row)], keyDtypes));
        numbers.set(name, number);
      }
      keyOf[row] = number;
    } catch (error) {
      if (!(error instanceof SamewiseError)) throw error;
      failed.set(row, error);
    }
  }
  return { keys, keyOf };
}

/** Of a whole number below 2^53, the upper 32 bits are below this. */
const SAFE_HIGH = 1 << 21;

/** A value by which rows are told apart: a number where it fits, for bigints take longer to make and to find. */
function wholeAt(words: Int32Array, data: BigInt64Array, row: number): number | bigint {
  const high = words[2 * row + 1]!;
  if (high < -SAFE_HIGH || high >= SAFE_HIGH) return data[row]!;
  return high * 2 ** 32 + (words[2 * row]! >>> 0);
}

/** A key as a string, for maps and sets. */
export function nameOfKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
