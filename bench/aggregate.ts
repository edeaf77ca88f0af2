/** Adding to every aggregate, and sweeping windows with it, against a naive sum of floats in the same run. */

import { ExactSum } from '../src/aggregate/exact_sum.ts';
import { aggregateFor, completeSpec } from '../src/aggregate/index.ts';
import { ByteReader, ByteWriter } from '../src/base/bytes.ts';
import { type Column, ColumnBuilder, columnOf } from '../src/types/column.ts';
import { bool, type Dtype, float64, int64, string } from '../src/types/dtype.ts';
import { type BenchReport, printBenchReport } from './report.ts';

const ROWS = 200_000;
/** Windows of the sweep, each with this many rows of which the next has all but ten. */
const WINDOW = 300;
const STEP = 10;

let seed = 1;
function random(below: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) % below;
}

const cents = Array.from({ length: ROWS }, () => random(10_000_000) / 100);
const columns: Record<string, Column> = {
  float64: columnOf(float64, cents),
  int64: columnOf(
    int64,
    cents.map((x) => BigInt(Math.round(x))),
  ),
  string: columnOf(
    string,
    cents.map(() => `merchant ${random(50)}`),
  ),
  bool: columnOf(
    bool,
    cents.map(() => random(2) === 1),
  ),
};

/** Nanoseconds a piece of work: the best of some rounds after warming up. */
function measure(pieces: number, work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 6; round++) {
    const start = performance.now();
    work();
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1e6) / pieces;
}

const windows = Math.floor((ROWS - WINDOW) / STEP);
const lo = Int32Array.from({ length: windows }, (_, i) => STEP * i);
const hi = Int32Array.from(lo, (x) => x + WINDOW);

const rows: { what: string; value: string; target?: string; met?: boolean }[] = [];
const data = columns.float64!.data as Float64Array;
let sink = 0;
const naiveAdd = measure(ROWS, () => {
  let sum = 0;
  for (let i = 0; i < ROWS; i++) sum += data[i]!;
  sink += sum;
});
const naiveWindow = measure(windows, () => {
  for (let w = 0; w < windows; w++) {
    let sum = 0;
    for (let i = lo[w]!; i < hi[w]!; i++) sum += data[i]!;
    sink += sum;
  }
});
rows.push({
  what: 'naive `+=` over float64 (inexact)',
  value: `${naiveAdd.toFixed(1)} ns/row, ${naiveWindow.toFixed(0)} ns/window`,
});

const single = new ExactSum();
const one = measure(ROWS, () => {
  for (let i = 0; i < ROWS; i++) single.add(data[i]!);
});
rows.push({ what: 'exact sum, one value at a time', value: `${one.toFixed(1)} ns/row` });

const TRIALS: readonly [string, string, Record<string, number>?][] = [
  ['count', 'float64'],
  ['sum', 'float64'],
  ['sum', 'int64'],
  ['avg', 'float64'],
  ['min', 'float64'],
  ['max', 'int64'],
  ['variance', 'float64'],
  ['stddev', 'float64'],
  ['skewness', 'float64'],
  ['kurtosis', 'float64'],
  ['first', 'float64'],
  ['last', 'string'],
  ['latest', 'float64'],
  ['last_k', 'string', { k: 5 }],
  ['distinct_count', 'string'],
  ['approx_distinct', 'string'],
  ['quantile', 'float64', { q: 0.9 }],
  ['mode', 'string'],
  ['top_k', 'string', { k: 3 }],
  ['histogram', 'string'],
  ['bool_or', 'bool'],
];
for (const [fn, kind, params] of TRIALS) {
  process.stderr.write(`${fn} of ${kind}\n`);
  const column = columns[kind]!;
  const aggregate = aggregateFor(completeSpec(fn, params), column.dtype as Dtype);
  const state = aggregate.create();
  const add = measure(ROWS, () => {
    aggregate.clear(state);
    aggregate.add(state, column, 0, ROWS, 'after');
  });
  const out = new ColumnBuilder(aggregate.output, windows);
  const sweep = measure(windows, () => {
    aggregate.sweep!(column, lo, hi, windows, out);
    out.finish();
  });
  aggregate.clear(state);
  aggregate.add(state, column, 0, WINDOW, 'after');
  const writer = new ByteWriter();
  aggregate.encode(state, writer);
  const bytes = writer.finish();
  const into = aggregate.create();
  const merge = measure(1000, () => {
    for (let i = 0; i < 1000; i++) {
      const reader = new ByteReader(bytes);
      if (aggregate.absorbEncoded !== undefined) aggregate.absorbEncoded(into, reader, 'after');
      else aggregate.absorb(into, aggregate.decode(reader), 'after');
    }
  });
  const target = fn === 'sum' && kind === 'float64' ? { target: 'add ≤ 5 ns', met: add <= 5 } : {};
  rows.push({
    what: `${fn}(${kind})`,
    value: `${add.toFixed(1)} ns/row, ${sweep.toFixed(0)} ns/window, ${bytes.length} B, ${merge.toFixed(0)} ns/merge`,
    ...target,
  });
}

const report: BenchReport = {
  title: 'Aggregates',
  command: 'node bench/aggregate.ts',
  about: `Random amounts of 0.00 to 99,999.99. Adding ${ROWS.toLocaleString('en-US')} rows at once; sweeping ${windows.toLocaleString('en-US')} windows of ${WINDOW} rows, each ${STEP} rows further; the encoded state of one window and merging it into another state. Best of six rounds.`,
  rows,
};
if (!Number.isFinite(sink)) process.exitCode = 1;
printBenchReport(report);
