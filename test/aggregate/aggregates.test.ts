/** Every aggregate is its naive twin, however its rows are split, combined, written down, taken away or swept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  AGGREGATES,
  type Aggregate,
  aggregateFor,
  completeSpec,
} from '../../src/aggregate/index.ts';
import { slidingSweep } from '../../src/aggregate/sweep_sliding.ts';
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { type Column, ColumnBuilder, columnOf, scalarsOf } from '../../src/types/column.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import { isNearQuantile, naive } from '../oracle/aggregate.ts';
import { cases } from '../support/cases.ts';
import { type Input, inputs, windowsOf } from './arbitraries.ts';

const PARAMS: Record<string, Record<string, number>> = {
  first_k: { k: 3 },
  last_k: { k: 3 },
  top_k: { k: 2 },
  quantile: { q: 0.9 },
};
/** Those whose naive twin is another thing: a bound on their error. */
const SKETCHES = ['quantile', 'approx_distinct'];

interface Trial extends Input {
  readonly aggregate: Aggregate<any>;
  readonly params: Readonly<Record<string, number>>;
  readonly column: Column | null;
}

function trialsOf(fn: string): fc.Arbitrary<Trial> {
  const spec = completeSpec(fn, PARAMS[fn]);
  const definition = AGGREGATES.get(fn)!;
  const trial = (input: Input, column: Column | null): Trial => {
    const aggregate = aggregateFor(spec, column === null ? null : input.dtype);
    return { ...input, aggregate, params: spec.params, column };
  };
  return fc
    .tuple(inputs, fc.boolean())
    .filter(([{ dtype }]) => definition.input.accepts(dtype))
    .map(([input, none]) =>
      trial(
        input,
        none && definition.input.accepts(null) ? null : columnOf(input.dtype, input.values),
      ),
    );
}

const dtypeOf = ({ dtype, column }: Trial): Dtype | null => (column === null ? null : dtype);

function folded({ aggregate, column }: Trial, lo: number, hi: number): Scalar | null {
  const state = aggregate.create();
  aggregate.add(state, column, lo, hi, 'after');
  return aggregate.result(state);
}

function bytesOf(aggregate: Aggregate<any>, state: unknown): Uint8Array {
  const writer = new ByteWriter();
  aggregate.encode(state, writer);
  return writer.finish();
}

function check(actual: Scalar | null, expected: Scalar | null, what: string): void {
  if (!sameScalar(actual, expected)) assert.deepEqual(actual, expected, what);
}

/** A state of rows lo to hi, made as the random numbers say. */
function combined(trial: Trial, lo: number, hi: number, next: () => number): unknown {
  const { aggregate, column } = trial;
  const kind = hi - lo < 2 ? 0 : next() % 6;
  const middle = lo + 1 + (hi - lo > 1 ? next() % (hi - lo - 1) : 0);
  if (kind === 0) {
    const state = aggregate.create();
    aggregate.add(state, column, lo, hi, next() % 2 === 0 ? 'after' : 'before');
    return state;
  }
  if (kind === 1 || kind === 2) {
    const [inner, outer] =
      kind === 1
        ? [
            [lo, middle],
            [middle, hi],
          ]
        : [
            [middle, hi],
            [lo, middle],
          ];
    const state = combined(trial, inner![0]!, inner![1]!, next);
    aggregate.add(state, column, outer![0]!, outer![1]!, kind === 1 ? 'after' : 'before');
    return state;
  }
  const left = combined(trial, lo, middle, next);
  const right = combined(trial, middle, hi, next);
  const [state, other, side] =
    kind === 3 ? [left, right, 'after' as const] : [right, left, 'before' as const];
  const encoded = bytesOf(aggregate, other);
  const reader = new ByteReader(encoded);
  if (kind === 5) {
    if (aggregate.absorbEncoded !== undefined) aggregate.absorbEncoded(state, reader, side);
    else aggregate.absorb(state, aggregate.decode(reader), side);
    assert.equal(reader.remaining, 0);
  } else aggregate.absorb(state, other, side);
  assert.deepEqual(bytesOf(aggregate, other), encoded, 'the absorbed state stays as it was');
  return state;
}

const seeds = fc.array(fc.nat({ max: 1 << 20 }), { minLength: 1, maxLength: 40 });
function dice(numbers: readonly number[]): () => number {
  let at = 0;
  return () => numbers[at++ % numbers.length]! + at;
}

for (const fn of AGGREGATES.keys()) {
  test(`${fn}: the fold is its naive twin`, () => {
    if (fn === 'approx_distinct') return;
    fc.assert(
      fc.property(trialsOf(fn), (trial) => {
        const actual = folded(trial, 0, trial.values.length);
        if (fn === 'quantile') assert.ok(isNearQuantile(actual, trial.params, trial.values));
        else check(actual, naive(fn, trial.params, trial.values, dtypeOf(trial)), fn);
      }),
      { numRuns: cases(150) },
    );
  });

  test(`${fn}: splits, orders of combination and encoding change nothing`, () => {
    fc.assert(
      fc.property(trialsOf(fn), seeds, (trial, numbers) => {
        const { aggregate, column, values } = trial;
        const whole = aggregate.create();
        aggregate.add(whole, column, 0, values.length, 'after');
        const expected = aggregate.result(whole);
        const encoded = bytesOf(aggregate, whole);
        const state = combined(trial, 0, values.length, dice(numbers));
        check(aggregate.result(state), expected, 'combined');
        assert.deepEqual(bytesOf(aggregate, state), encoded, 'the same rows give the same bytes');
        const reader = new ByteReader(encoded);
        const decoded = aggregate.decode(reader);
        assert.equal(reader.remaining, 0);
        check(aggregate.result(decoded), expected, 'decoded');
        assert.deepEqual(bytesOf(aggregate, decoded), encoded);
        const out = new ColumnBuilder(aggregate.output);
        if (aggregate.emit !== undefined) aggregate.emit(state, out);
        else out.push(aggregate.result(state));
        check(scalarsOf(out.finish())[0]!, expected, 'emitted');
        aggregate.clear(state);
        assert.deepEqual(bytesOf(aggregate, state), bytesOf(aggregate, aggregate.create()));
      }),
      { numRuns: cases(120) },
    );
  });

  test(`${fn}: what is taken away was never there`, () => {
    fc.assert(
      fc.property(trialsOf(fn), fc.nat(), fc.nat(), (trial, a, b) => {
        const { aggregate, column, values } = trial;
        if (aggregate.remove === undefined) return;
        const [lo, hi] = [a % (values.length + 1), b % (values.length + 1)].sort((x, y) => x - y);
        const state = aggregate.create();
        aggregate.add(state, column, 0, values.length, 'after');
        aggregate.remove(state, column, 0, lo!);
        aggregate.remove(state, column, hi!, values.length);
        check(aggregate.result(state), folded(trial, lo!, hi!), 'removed');
        const fresh = aggregate.create();
        aggregate.add(fresh, column, lo!, hi!, 'after');
        assert.deepEqual(bytesOf(aggregate, state), bytesOf(aggregate, fresh));
      }),
      { numRuns: cases(120) },
    );
  });

  test(`${fn}: the sweep is the fold of each window`, () => {
    const swept = trialsOf(fn).chain((trial) =>
      windowsOf(trial.values.length).map((windows) => ({ trial, ...windows })),
    );
    fc.assert(
      fc.property(swept, ({ trial, lo, hi }) => {
        const { aggregate, column } = trial;
        const expected = Array.from(lo, (_, i) => folded(trial, lo[i]!, hi[i]!));
        const out = new ColumnBuilder(aggregate.output);
        aggregate.sweep!(column, lo, hi, lo.length, out);
        scalarsOf(out.finish()).forEach((value, i) => {
          check(value, expected[i]!, `window ${i}`);
        });
        if (aggregate.remove === undefined) return;
        slidingSweep(aggregate)(column, lo, hi, lo.length, out);
        scalarsOf(out.finish()).forEach((value, i) => {
          check(value, expected[i]!, `window ${i}, sliding`);
        });
      }),
      { numRuns: cases(120) },
    );
  });
}

test('the empty fold: counts are 0, lists empty, all else null', () => {
  for (const [fn, definition] of AGGREGATES) {
    const dtype = { kind: definition.input.text === 'a bool' ? 'bool' : 'int32' } as Dtype;
    const aggregate = aggregateFor(completeSpec(fn, PARAMS[fn]), dtype);
    const expected =
      fn.includes('count') || fn === 'approx_distinct'
        ? 0n
        : fn.endsWith('_k')
          ? []
          : fn === 'histogram'
            ? '{}'
            : null;
    assert.deepEqual(aggregate.result(aggregate.create()), expected, fn);
  }
});

test('long windows that overlap much', () => {
  const values = Array.from({ length: 10_000 }, (_, i) => (i * 2654435761) % 5000);
  const column = columnOf({ kind: 'int32' }, values);
  for (const fn of AGGREGATES.keys()) {
    if (fn.startsWith('bool')) continue;
    const aggregate = aggregateFor(completeSpec(fn, PARAMS[fn]), { kind: 'int32' });
    const n = 400;
    const lo = Int32Array.from({ length: n }, (_, i) => 17 + 10 * i);
    const hi = Int32Array.from({ length: n }, (_, i) => Math.min(10_000, 5000 + 14 * i));
    const out = new ColumnBuilder(aggregate.output);
    aggregate.sweep!(column, lo, hi, n, out);
    const swept = scalarsOf(out.finish());
    for (let i = 0; i < n; i += 37) {
      const state = aggregate.create();
      aggregate.add(state, column, lo[i]!, hi[i]!, 'after');
      check(swept[i]!, aggregate.result(state), `${fn} ${i}`);
    }
  }
});

test('sketches stay within their stated errors', () => {
  assert.deepEqual(
    SKETCHES.filter((fn) => !AGGREGATES.has(fn)),
    [],
  );
  const aggregate = aggregateFor(completeSpec('approx_distinct'), { kind: 'int32' });
  for (const distinct of [1, 10, 100, 1000, 10_000, 100_000]) {
    const column = columnOf(
      { kind: 'int32' },
      Array.from({ length: 2 * distinct }, (_, i) => i % distinct),
    );
    const state = aggregate.create();
    aggregate.add(state, column, 0, column.length, 'after');
    const estimate = Number(aggregate.result(state));
    assert.ok(Math.abs(estimate / distinct - 1) < 0.05, `${estimate} of ${distinct}`);
  }
});

test('more distinct values than the limit are an error, also in between', () => {
  const column = columnOf({ kind: 'int32' }, [1, 2, 3, 1]);
  const aggregate = aggregateFor(completeSpec('mode', { limit: 2 }), { kind: 'int32' });
  const tooMany = (error: unknown) =>
    error instanceof SamewiseError && error.code === 'aggregate/too-many-distinct';
  assert.throws(() => aggregate.add(aggregate.create(), column, 0, 4, 'after'), tooMany);
  const [left, right] = [aggregate.create(), aggregate.create()];
  aggregate.add(left, column, 0, 2, 'after');
  aggregate.add(right, column, 2, 4, 'after');
  assert.throws(() => aggregate.absorb(left, right, 'after'), tooMany);
  const out = new ColumnBuilder(aggregate.output);
  aggregate.sweep!(column, Int32Array.of(0, 1, 2), Int32Array.of(2, 3, 4), 3, out);
  assert.deepEqual(scalarsOf(out.finish()), [1, 2, 1]);
});

test('an int64 sum that does not fit is an error, never a wrap', () => {
  const column = columnOf({ kind: 'int64' }, [2n ** 63n - 1n, 1n, -1n]);
  const aggregate = aggregateFor(completeSpec('sum'), { kind: 'int64' });
  const state = aggregate.create();
  aggregate.add(state, column, 0, 2, 'after');
  const overflow = (error: unknown) =>
    error instanceof SamewiseError && error.code === 'aggregate/overflow';
  assert.throws(() => aggregate.result(state), overflow);
  assert.throws(() => aggregate.emit!(state, new ColumnBuilder(aggregate.output)), overflow);
  aggregate.add(state, column, 2, 3, 'after');
  assert.equal(aggregate.result(state), 2n ** 63n - 1n);
});

test('what is too small for a float64 is zero without a sign', () => {
  const aggregate = aggregateFor(completeSpec('avg'), { kind: 'float64' });
  for (const values of [
    [-5e-324, 0],
    [2e-323, 3e-323, -5.4e-323],
  ]) {
    const column = columnOf({ kind: 'float64' }, values);
    const state = aggregate.create();
    aggregate.add(state, column, 0, values.length, 'after');
    assert.ok(Object.is(aggregate.result(state), 0), values.join());
    const out = new ColumnBuilder(aggregate.output);
    const [lo, hi] = [Int32Array.of(0), Int32Array.of(values.length)];
    aggregate.sweep!(column, lo, hi, 1, out);
    assert.ok(Object.is(scalarsOf(out.finish())[0], 0), values.join());
  }
});
