/** Exact sums against fractions of bigints, at every exponent, with carries, removal and the values that IEEE sets apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { certainRootOfQuotient, exactQuotient } from '../../src/aggregate/certain.ts';
import { addRange, addSquares } from '../../src/aggregate/exact_ranges.ts';
import { ExactSum } from '../../src/aggregate/exact_sum.ts';
import { exactFloat } from '../../src/aggregate/float_bits.ts';
import { quotient, rootOfQuotient } from '../../src/aggregate/rational.ts';
import { TwoFloatSum } from '../../src/aggregate/two_float_sum.ts';
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts';
import { float64 } from '../../src/types/dtype.ts';
import { naive, nearestFloat } from '../oracle/aggregate.ts';
import { cases } from '../support/cases.ts';
import { floats } from './arbitraries.ts';

const lists = fc.array(floats, { minLength: 1, maxLength: 30 });

function sumOf(values: readonly number[]): ExactSum {
  const sum = new ExactSum();
  for (const value of values) sum.add(value);
  return sum;
}

function bytesOf(sum: ExactSum): Uint8Array {
  const writer = new ByteWriter();
  sum.encode(writer);
  return writer.finish();
}

test('sum and mean are the nearest float to the real ones', () => {
  fc.assert(
    fc.property(lists, (values) => {
      const sum = sumOf(values);
      assert.equal(sum.rounded(), naive('sum', {}, values, float64));
      assert.equal(sum.dividedBy(values.length), naive('avg', {}, values, float64));
    }),
    { numRuns: cases(1000) },
  );
});

test('a sum in two floats is exact, or refused, also when rows are taken away', () => {
  const far = fc
    .tuple(fc.integer({ min: -3, max: 3 }), fc.constantFrom(-1080, -70, -53, 0, 53, 70, 960))
    .map(([whole, exponent]) => whole * 2 ** exponent);
  const parts = { high: 0, low: 0 };
  fc.assert(
    fc.property(fc.array(fc.oneof(far, floats), { maxLength: 12 }), fc.nat(12), (values, most) => {
      const data = Float64Array.from(values);
      const gone = Math.min(most, values.length);
      const two = new TwoFloatSum();
      if (!two.change(data, null, 0, values.length, 1) || !two.change(data, null, 0, gone, -1))
        return;
      assert.ok(two.parts(parts));
      assert.equal(two.count, values.length - gone);
      const sum = sumOf(values.slice(gone));
      assert.equal(parts.high, sum.rounded());
      sum.add(parts.high, -1);
      sum.add(parts.low, -1);
      assert.equal(sum.exact().integer, 0n);
    }),
    { numRuns: cases(1000) },
  );
  const two = new TwoFloatSum();
  const money = Float64Array.from({ length: 1000 }, (_, i) => (i * 7919) / 100);
  assert.ok(two.change(money, null, 0, 1000, 1) && two.change(money, null, 0, 999, -1));
  assert.ok(!two.change(Float64Array.of(2 ** 960, 2 ** 70, 1), null, 0, 3, 1));
});

test('means of numbers that lie next to ties, by divisors great and small', () => {
  const near = fc.tuple(
    fc.bigInt({ min: 2n ** 52n, max: 2n ** 53n - 1n }),
    fc.oneof(
      fc.constant(0n),
      fc.integer({ min: 0, max: 99 }).map((k) => 2n ** BigInt(k)),
      fc.integer({ min: 0, max: 99 }).map((k) => -(2n ** BigInt(k))),
    ),
    fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 2 ** 40 })),
    fc.boolean(),
  );
  fc.assert(
    fc.property(near, ([whole, nudge, n, negative]) => {
      // n times (whole and a half), and a little more or less.
      const size = (whole * 2n + 1n) * BigInt(n) * 2n ** 100n + nudge;
      const integer = negative ? -size : size;
      const sum = new ExactSum();
      sum.addBigint(integer, -120);
      assert.equal(sum.dividedBy(n), nearestFloat({ p: integer, q: BigInt(n) * 2n ** 120n }));
      assert.equal(sum.rounded(), nearestFloat({ p: integer, q: 2n ** 120n }));
    }),
    { numRuns: cases(1000) },
  );
});

test('a range is its values one by one, also with many carries', () => {
  fc.assert(
    fc.property(lists, fc.constantFrom(1 as const, -1 as const), (values, sign) => {
      const one = new ExactSum();
      for (const value of values) one.add(value, sign);
      const many = new ExactSum();
      addRange(many, Float64Array.from(values), null, 0, values.length, sign);
      assert.deepEqual(bytesOf(many), bytesOf(one));
    }),
    { numRuns: cases(500) },
  );
  // Millions of the greatest lanes and digits: nothing may round on the way to a carry.
  const n = 3_000_001;
  for (const value of [
    4294967295.999999,
    -4294967295.999999,
    2 ** 52 + 1,
    0.1 + 2 ** -13,
    1e-300,
  ]) {
    const sum = new ExactSum();
    addRange(sum, new Float64Array(n).fill(value), null, 0, n, 1);
    const { integer, exponent } = exactFloat(value);
    const expected = new ExactSum();
    expected.addBigint(integer * BigInt(n), exponent);
    assert.deepEqual(bytesOf(sum), bytesOf(expected), `${value}`);
  }
});

test('squares of a range are its exact squares', () => {
  const edges = [2 ** 26, 2 ** -6].flatMap((x) => [x, x * (1 - 2 ** -53), x * (1 + 2 ** -52), -x]);
  const some = fc.array(fc.oneof(floats, fc.constantFrom(...edges)), { minLength: 1 });
  const exactly = (values: readonly number[], times = 1n): Uint8Array => {
    const sum = new ExactSum();
    for (const value of values) {
      const { integer, exponent } = exactFloat(value);
      sum.addBigint(times * integer * integer, 2 * exponent);
    }
    return bytesOf(sum);
  };
  fc.assert(
    fc.property(some, (values) => {
      const sum = new ExactSum();
      addSquares(sum, Float64Array.from(values), null, 0, values.length, 1);
      assert.deepEqual(bytesOf(sum), exactly(values));
    }),
    { numRuns: cases(500) },
  );
  const n = 1_000_001;
  for (const value of [...edges, 0.1, 2 ** 26 - 1 / 3, 1e-9]) {
    const sum = new ExactSum();
    addSquares(sum, new Float64Array(n).fill(value), null, 0, n, 1);
    assert.deepEqual(bytesOf(sum), exactly([value], BigInt(n)), `${value}`);
  }
});

test('what is added and taken away leaves no trace, infinities and NaN included', () => {
  const any = fc.array(
    fc.oneof(
      floats,
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    ),
  );
  fc.assert(
    fc.property(any, any, (kept, gone) => {
      const sum = sumOf([...kept, ...gone]);
      for (const value of gone) sum.add(value, -1);
      assert.deepEqual(bytesOf(sum), bytesOf(sumOf(kept)));
      const merged = sumOf(kept);
      const other = sumOf(gone);
      merged.merge(other);
      merged.merge(other, -1);
      assert.deepEqual(bytesOf(merged), bytesOf(sumOf(kept)));
      const read = new ExactSum();
      read.mergeEncoded(new ByteReader(bytesOf(sum)));
      assert.deepEqual(bytesOf(read), bytesOf(sum));
      // IEEE agrees on what is not finite.
      const ieee = kept.reduce((a, b) => a + (Number.isFinite(b) ? 0 : b), 0);
      if (!Number.isFinite(ieee)) assert.equal(sum.rounded(), ieee);
    }),
    { numRuns: cases(500) },
  );
});

test('zero is +0, and money is small', () => {
  assert.ok(Object.is(sumOf([-0]).rounded(), 0));
  assert.ok(Object.is(sumOf([1.5, -1.5]).rounded(), 0));
  assert.ok(Object.is(sumOf([1.5, -1.5]).dividedBy(2), 0));
  assert.deepEqual([...bytesOf(sumOf([5, -5]))], [0]);
  assert.ok(bytesOf(sumOf([19.99, 1234.56, -0.07])).length <= 14);
});

test('too great a sum is infinite, and comes back', () => {
  const sum = sumOf([Number.MAX_VALUE, Number.MAX_VALUE]);
  assert.equal(sum.rounded(), Number.POSITIVE_INFINITY);
  assert.equal(sum.dividedBy(2), Number.MAX_VALUE);
  sum.add(Number.MAX_VALUE, -1);
  assert.equal(sum.rounded(), Number.MAX_VALUE);
  sum.add(2 ** 969);
  assert.equal(sum.rounded(), Number.MAX_VALUE);
  sum.add(2 ** 969);
  assert.equal(sum.rounded(), Number.POSITIVE_INFINITY);
});

test('a root that is called certain is right, however near to a tie', () => {
  const near = fc.tuple(
    fc.bigInt({ min: 2n ** 52n, max: 2n ** 53n - 1n }),
    fc.integer({ min: -20, max: 20 }).map((k) => BigInt(Math.sign(k)) * 2n ** BigInt(Math.abs(k))),
    fc.integer({ min: 1, max: 1000 }),
  );
  let decided = 0;
  fc.assert(
    fc.property(near, ([whole, nudge, divisor]) => {
      const square = (2n * whole + 1n) ** 2n * BigInt(divisor) + nudge;
      const high = Number(square);
      const low = Number(square - BigInt(high));
      fc.pre(BigInt(high) + BigInt(low) === square);
      const root = certainRootOfQuotient(high, low, 0, divisor);
      if (Number.isNaN(root)) return;
      decided++;
      assert.equal(root, rootOfQuotient(square, BigInt(divisor)));
    }),
    { numRuns: cases(1000) },
  );
  assert.ok(decided > 0);
});

test('a quotient of two exact numbers is right on a tie and beside it', () => {
  const near = fc.tuple(
    fc.bigInt({ min: 2n ** 52n, max: 2n ** 53n - 1n }),
    fc.constantFrom(-(2n ** 20n), -3n, -1n, 0n, 0n, 1n, 2n, 2n ** 20n),
    fc.integer({ min: 1, max: 2 ** 20 }),
    fc.constantFrom(1, -1),
    fc.integer({ min: -300, max: 200 }),
    // How far below the last bit of the quotient the nudge is.
    fc.constantFrom(0n, 20n, 31n, 40n),
  );
  fc.assert(
    fc.property(near, ([whole, nudge, half, sign, exponent, below]) => {
      const dividend = BigInt(sign) * ((((2n * whole + 1n) * BigInt(half)) << below) + nudge);
      const high = Number(dividend);
      const low = Number(dividend - BigInt(high));
      fc.pre(BigInt(high) + BigInt(low) === dividend);
      const scale = 2 ** exponent;
      assert.equal(
        exactQuotient(high * scale, low * scale, 2 * half),
        quotient(dividend, BigInt(2 * half)) * scale,
      );
    }),
    { numRuns: cases(2000) },
  );
});

test('fractions and their roots round once', () => {
  const big = fc.tuple(fc.bigInt({ min: 1n, max: 2n ** 200n }), fc.integer({ min: 0, max: 1200 }));
  fc.assert(
    fc.property(big, big, fc.integer({ min: -20, max: 20 }), ([a, i], [b, j], half) => {
      const p = a << BigInt(i);
      const q = b << BigInt(j);
      const scale = 2n ** BigInt(2 * Math.abs(half));
      const exact = half < 0 ? { p, q: q * scale } : { p: p * scale, q };
      assert.equal(quotient(p, q, 2 * half), nearestFloat(exact));
      assert.equal(quotient(-p, q, 2 * half), nearestFloat({ p: -exact.p, q: exact.q }));
      const root = rootOfQuotient(p, q, 2 * half);
      // A root is right if the fraction lies between the squares of the midpoints beside it.
      const { integer, exponent } = exactFloat(root);
      const side = (m: bigint): bigint => {
        const square = m * m * 2n ** 5000n;
        const at =
          exponent < 0
            ? square >> BigInt(-2 * (exponent - 1))
            : square << BigInt(2 * (exponent - 1));
        return exact.p * 2n ** 5000n - at * exact.q;
      };
      assert.ok(side(2n * integer - 1n) >= 0n && side(2n * integer + 1n) <= 0n);
    }),
    { numRuns: cases(500) },
  );
  assert.equal(rootOfQuotient(49n, 4n), 3.5);
  assert.equal(rootOfQuotient(2n, 1n), Math.SQRT2);
});
