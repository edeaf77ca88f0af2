/**
 * Random cases for a timeline: a layout, deliveries of one key with ties, disorder, repeats, corrections and retracts
 * (also before what they retract), how they are split into batches, and times to read at, many of them on edges.
 * A case is plain JSON, so that a failing one can be kept in test/regressions.
 */
import fc from 'fast-check';
import { completeSpec, type Window } from '../../src/aggregate/index.ts';
import { compareContent } from '../../src/timeline/identity.ts';
import type { Layout } from '../../src/timeline/layout.ts';
import { columnOf } from '../../src/types/column.ts';
import { bool, type Dtype, float64, int64, list, string } from '../../src/types/dtype.ts';
import { coerce, type Scalar } from '../../src/types/scalar.ts';
import type { Delivery } from '../oracle/timeline.ts';

/** Windows in units of time. */
export interface CaseWindow {
  readonly size: number | null;
  readonly delay: number;
  readonly hop: number | null;
  readonly since: 'day' | 'week' | 'month' | 'year' | null;
  readonly last: number | null;
}

export interface Case {
  readonly mutable: boolean;
  /** Microseconds of a unit of time, and the instant of time 0. */
  readonly unitUs: number;
  readonly originUs: number;
  /** Index into AGGREGATES and a window. */
  readonly reads: readonly (readonly [aggregate: number, window: CaseWindow])[];
  /** Index into AMOUNTS and LABELS for the values; −1: null. */
  readonly deliveries: readonly (readonly [
    t: number,
    late: number,
    id: number,
    retract: boolean,
    amount: number,
    label: number,
  ])[];
  /** So many deliveries a batch, over and over. */
  readonly batches: readonly number[];
  /** Batches that are delivered a second time at the end. */
  readonly again: readonly number[];
  /** So many of the first deliveries are built in bulk where pages are built and then changed. */
  readonly built: number;
  readonly readAt: readonly number[];
}

const COLUMNS: readonly Dtype[] = [float64, string, int64, list(string), bool];

/** Sums of these go wrong in floating point in almost any order. */
const AMOUNTS = [0.1, 0.2, 0.3, -0.1, 1, 3, 7.77, 1e16, -1e16, 1e-9, 123_456_789.01];
const LABELS = ['', 'a', 'b', 'ab', 'é', '猫', '🐈', 'b\u0000'];

/** Kept cases name them by their place: new ones go to the end. */
export const AGGREGATES: readonly {
  readonly fn: string;
  readonly input: number;
  readonly params?: Readonly<Record<string, number>>;
}[] = [
  { fn: 'count', input: -1 },
  { fn: 'count', input: 0 },
  { fn: 'sum', input: 0 },
  { fn: 'sum', input: 2 },
  { fn: 'avg', input: 0 },
  { fn: 'min', input: 0 },
  { fn: 'max', input: 1 },
  { fn: 'first', input: 1 },
  { fn: 'last', input: 0 },
  { fn: 'latest', input: 0 },
  { fn: 'latest', input: 1 },
  { fn: 'latest', input: 3 },
  { fn: 'first_k', input: 2, params: { k: 2 } },
  { fn: 'last_k', input: 1, params: { k: 3 } },
  { fn: 'last', input: 4 },
  { fn: 'variance', input: 0 },
  { fn: 'stddev', input: 0 },
  { fn: 'skewness', input: 0 },
  { fn: 'kurtosis', input: 2 },
  { fn: 'distinct_count', input: 1 },
  { fn: 'approx_distinct', input: 1 },
  { fn: 'quantile', input: 0, params: { q: 0.5 } },
  { fn: 'mode', input: 1 },
  { fn: 'top_k', input: 1, params: { k: 2 } },
  { fn: 'histogram', input: 4 },
  { fn: 'bool_and', input: 4 },
  { fn: 'bool_or', input: 4 },
];

const HOUR_US = 3_600_000_000;

const anyWindow: fc.Arbitrary<CaseWindow> = fc.oneof(
  fc.record({
    size: fc.option(fc.integer({ min: 1, max: 40 }), { freq: 3 }),
    delay: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 8 })),
    hop: fc.constant(null),
    since: fc.constant(null),
    last: fc.option(fc.integer({ min: 1, max: 9 }), { freq: 2 }),
  }),
  fc
    .record({
      hop: fc.integer({ min: 2, max: 6 }),
      size: fc.option(fc.integer({ min: 1, max: 6 })),
      delay: fc.integer({ min: 0, max: 1 }),
    })
    .map(({ hop, size, delay }) => ({
      size: size === null ? null : size * hop,
      delay: delay * hop,
      hop,
      since: null,
      last: null,
    })),
  fc
    .constantFrom('day' as const, 'week' as const, 'month' as const, 'year' as const)
    .map((since) => ({ size: null, delay: 0, hop: null, since, last: null })),
);

export const anyCase: fc.Arbitrary<Case> = fc.record({
  mutable: fc.boolean(),
  unitUs: fc.constantFrom(1, HOUR_US),
  originUs: fc.constantFrom(0, 1_709_164_800_000_000, -2_208_988_800_000_000),
  reads: fc.array(fc.tuple(fc.nat(AGGREGATES.length - 1), anyWindow), {
    minLength: 1,
    maxLength: 5,
  }),
  deliveries: fc.array(
    fc.tuple(
      fc.nat(60),
      fc.oneof(fc.constant(0), fc.nat(6)),
      fc.integer({ min: -4, max: 12 }),
      fc.nat(9).map((n) => n === 0),
      fc.integer({ min: -1, max: AMOUNTS.length - 1 }),
      fc.integer({ min: -1, max: LABELS.length - 1 }),
    ),
    { maxLength: 40, size: 'max' },
  ),
  batches: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
  again: fc.array(fc.nat(5), { maxLength: 2 }),
  built: fc.nat(40),
  readAt: fc.array(fc.integer({ min: -2, max: 75 }), { minLength: 1, maxLength: 3 }),
});

export function layoutOf(the: Case): Layout {
  const used = [...new Set(the.reads.map(([aggregate]) => aggregate))];
  return {
    columns: COLUMNS,
    aggregates: used.map((i) => {
      const { fn, input, params } = AGGREGATES[i]!;
      return { spec: completeSpec(fn, params), input };
    }),
    reads: the.reads.map(([aggregate, window]) => ({
      aggregate: used.indexOf(aggregate),
      window: windowOf(window, the.unitUs),
    })),
    mutable: the.mutable,
    retentionUs: null,
  };
}

function windowOf({ size, delay, hop, since, last }: CaseWindow, unitUs: number): Window {
  return {
    sizeUs: size === null ? null : size * unitUs,
    delayUs: delay * unitUs,
    hopUs: hop === null ? null : hop * unitUs,
    sinceStartOf: since,
    last,
  };
}

export function deliveriesOf(the: Case): Delivery[] {
  return the.deliveries.map(([t, late, id, retract, amount, label]) => ({
    t: the.originUs + t * the.unitUs,
    a: the.originUs + (t + late) * the.unitUs,
    // Some ids differ in their upper half only, some are negative.
    id: BigInt(id) * (id % 3 === 0 ? 2n ** 40n : 1n),
    retract,
    values: COLUMNS.map((dtype) => value(dtype, amount, label)),
  }));
}

function value(dtype: Dtype, amount: number, label: number): Scalar | null {
  if (dtype.kind === 'string') return label < 0 ? null : LABELS[label]!;
  if (dtype.kind === 'list')
    return label < 0 ? null : [...LABELS[label]!, label % 2 === 0 ? null : 'x'];
  if (amount < 0) return null;
  if (dtype.kind === 'int64') return BigInt(amount) * 1_234_567_890_123_457n;
  if (dtype.kind === 'bool') return amount % 2 === 0;
  return coerce(AMOUNTS[amount]!, dtype);
}

/** Read times: those of the case, and the instants around the edges of its first window. */
export function readTimesOf(the: Case): number[] {
  const times = the.readAt.map((at) => the.originUs + at * the.unitUs);
  const [t] = the.deliveries[0] ?? [0];
  for (const [, { size, delay }] of the.reads.slice(0, 1)) {
    const edge = the.originUs + (t + delay + (size ?? 0)) * the.unitUs;
    times.push(edge - 1, edge, edge + 1);
  }
  return [...new Set(times)].sort((x, y) => x - y);
}

/** Deliveries in the case's batches, the repeated ones last. */
export function batchesOf(the: Case, deliveries: readonly Delivery[]): Delivery[][] {
  const batches: Delivery[][] = [];
  for (let at = 0; at < deliveries.length; ) {
    const size = the.batches[batches.length % the.batches.length]!;
    batches.push(deliveries.slice(at, at + size));
    at += size;
  }
  return [...batches, ...the.again.flatMap((i) => batches.slice(i, i + 1))];
}

/** The timeline's own order of equal deliveries of different content: arbitrary, but one and the same everywhere. */
export function contentOrder(x: Delivery, y: Delivery): number {
  const columns = (of: Delivery) => COLUMNS.map((dtype, c) => columnOf(dtype, [of.values[c]!]));
  return compareContent(columns(x), 0, columns(y), 0);
}
