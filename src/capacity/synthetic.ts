/** Rows of a source as it might be: of the declared types, with the lengths and the variety that are told. The same ones every time. */
import type { ViewProgram } from '../model/index.ts';
import type { Batch } from '../types/batch.ts';
import { type Column, columnOf, gather, scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { encodeKey } from '../types/key.ts';
import type { Scalar } from '../types/scalar.ts';
import type { ColumnLoad, SourceLoad } from './load.ts';

/** Park & Miller's minimal standard generator: the same numbers on every machine. */
export function randomNumbers(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Length of texts of which nothing is told. */
const TEXT_BYTES = 12;
/** Different values of a text or a whole number of which nothing is told. */
const DISTINCT = 1_000_000;
const LIST_ITEMS = 4;

/** Evaluated inputs of a view's aggregates over those synthetic rows that its filter takes, and which share of all these are. */
export function inputsOf(
  program: ViewProgram,
  source: SourceLoad,
  rows: number,
): { readonly columns: readonly Column[]; readonly length: number; readonly share: number } {
  const random = randomNumbers(rows);
  const columns: Record<string, Column> = {};
  for (const { name, dtype } of program.rowSchema) {
    const about = source.columns[name] ?? {};
    const never = name === program.source.eventTime || program.view.keys.includes(name);
    columns[name] = columnOf(
      dtype,
      Array.from({ length: rows }, (_, row) =>
        !never && random() < (about.nulls ?? 0) ? null : valueFor(dtype, about, random, row),
      ),
    );
  }
  const batch: Batch = { columns, length: rows };
  const inputs = program.rowProgram.run(batch);
  const taken = program.filter?.run(batch)[0];
  if (taken === undefined) return { columns: inputs, length: rows, share: 1 };
  const kept = Array.from({ length: rows }, (_, row) => row).filter(
    (row) => scalarAt(taken, row) === true,
  );
  // A filter that takes none of these rows may take some of the real ones: what it takes is not known then.
  if (kept.length === 0) return { columns: inputs, length: rows, share: 1 };
  return {
    columns: inputs.map((column) => gather(column, kept)),
    length: kept.length,
    share: kept.length / rows,
  };
}

/** An entity key of the types that the view's has. */
export function keyBytesOf({ view, keyDtypes }: ViewProgram, source: SourceLoad): number {
  const random = randomNumbers(1);
  const parts = keyDtypes.map((dtype, i) =>
    valueFor(dtype, source.columns[view.keys[i]!] ?? {}, random, 0),
  );
  return encodeKey(parts, keyDtypes).length;
}

function valueFor(dtype: Dtype, about: ColumnLoad, random: () => number, row: number): Scalar {
  const which = () => Math.floor(random() * (about.distinct ?? DISTINCT));
  switch (dtype.kind) {
    case 'bool':
      return random() < 0.5;
    case 'int32':
      return which();
    case 'int64':
      return BigInt(which());
    // Money: what most numbers are that features are made of, in cents as a whole number of float64.
    case 'float32':
    case 'float64':
      return which() / 100;
    case 'date':
      return 19_000 + (row % 1_000);
    case 'timestamp':
      return 1_700_000_000_000_000 + row;
    case 'string':
      return textOf(which(), about.bytes ?? TEXT_BYTES);
    case 'bytes':
      return new TextEncoder().encode(textOf(which(), about.bytes ?? TEXT_BYTES));
    case 'list':
      return Array.from({ length: LIST_ITEMS }, () =>
        valueFor(dtype.of, about, random, row),
      ) as unknown as Scalar;
    case 'vector':
      return Float32Array.from({ length: dtype.size }, () => random() - 0.5);
  }
}

function textOf(n: number, length: number): string {
  return n.toString(36).padStart(length, 'x').slice(-length);
}
