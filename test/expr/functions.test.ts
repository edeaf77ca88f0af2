/** The edges of each family of functions, by example. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  coalesce,
  column,
  concat,
  FUNCTIONS,
  greatest,
  least,
  literal,
  type Value,
} from '../../src/expr/index.ts';
import {
  bool,
  bytes,
  type Dtype,
  date,
  float32,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { evaluate } from './run.ts';

/** The value of an expression over literals. */
const the = (value: Value<any>) => evaluate(value)[0];
const f = (x: number | null) => literal(x, float64);
const i = (x: number | null) => literal(x, int32);
const s = (x: string | null) => literal(x, string);
const at = (x: string) => literal(x, timestamp);
const on = (x: string) => literal(x, date);
const code = (expected: string) => (error: any) => error.code === expected;

test('arithmetic: zero, overflow, infinities, signs', () => {
  assert.equal(the(f(1).div(0)), null);
  assert.equal(the(f(0).div(0)), null);
  assert.equal(the(i(7).div(2)), 3.5);
  assert.equal(the(i(7).mod(0)), null);
  assert.equal(the(i(-7).mod(3)), -1);
  assert.equal(the(f(-7.5).mod(2)), -1.5);
  assert.ok(Object.is(the(i(-4).mod(2)), 0));
  assert.ok(Object.is(the(f(0).neg()), 0));
  assert.ok(Object.is(the(f(-1e-300).mul(1e-300)), 0));
  assert.equal(the(f(Number.POSITIVE_INFINITY).sub(Number.POSITIVE_INFINITY)), null);
  assert.equal(the(f(1e308).mul(10)), Number.POSITIVE_INFINITY);
  assert.equal(the(literal(9007199254740993n).add(1)), 9007199254740994n);
  assert.equal(the(i(2).add(3n)), 5n);
  assert.throws(() => the(i(2147483647).add(1)), code('expr/overflow'));
  assert.throws(() => the(i(65536).mul(65536)), code('expr/overflow'));
  assert.throws(() => the(i(-2147483648).neg()), code('expr/overflow'));
  assert.throws(() => the(i(-2147483648).abs()), code('expr/overflow'));
  assert.throws(() => the(literal(2n ** 62n).mul(2)), code('expr/overflow'));
  assert.equal(the(literal(0.1, float32).add(0.1)), 0.10000000149011612 + 0.1);
});

test('comparison is exact between types, by code points in strings', () => {
  assert.equal(the(literal(9007199254740993n).gt(f(9007199254740992))), true);
  assert.equal(the(literal(9007199254740993n).eq(f(9007199254740992))), false);
  assert.equal(the(literal(0.1, float32).eq(0.1)), true);
  assert.equal(the(literal(0.1, float32).eq(f(0.1))), false);
  // U+FF5E comes before U+1F600, although its UTF-16 unit is the greater one.
  assert.equal(the(s('～').lt('😀')), true);
  assert.equal(the(f(5).between(5, 5)), true);
  assert.equal(the(f(5).between(literal(null, float64), 3)), false);
  assert.equal(the(f(5).between(literal(null, float64), 7)), null);
  assert.equal(the(literal(7n).isIn([1, 7n])), true);
  assert.equal(the(s(null).isIn(['a'])), null);
  assert.equal(the(literal(new Uint8Array([1])).isIn([new Uint8Array([1])])), true);
  assert.equal(the(at('2024-01-01').isIn(['2024-01-01T00:00:00Z'])), true);
  assert.throws(() => s('a').isIn([]), code('expr/bad-param'));
  assert.throws(() => s('a').isIn(['b', 'b']), code('expr/bad-param'));
});

test('logic follows the truth table of three values', () => {
  const values = [true, false, null];
  const b = (x: boolean | null) => literal(x, bool);
  for (const x of values)
    for (const y of values) {
      const and = x === false || y === false ? false : x === null || y === null ? null : true;
      const or = x === true || y === true ? true : x === null || y === null ? null : false;
      assert.equal(the(b(x).and(b(y))), and);
      assert.equal(the(b(x).or(b(y))), or);
    }
  assert.deepEqual(
    values.map((x) => the(b(x).not())),
    [false, true, null],
  );
});

test('picking: coalesce, nullIf, least, greatest', () => {
  assert.equal(the(coalesce(f(null), 2, 3)), 2);
  assert.equal(the(literal(null, int32).coalesce(0.5)), 0.5);
  assert.equal(the(f(3).nullIf(3)), null);
  assert.equal(the(f(3).nullIf(f(null))), 3);
  assert.equal(the(least(f(null), 2, -1)), -1);
  assert.equal(the(greatest(s('a'), 'b', s(null))), 'b');
  assert.equal(the(greatest(f(null))), null);
});

test('casts lose nothing, or say so', () => {
  const lost: [Value<any>, Dtype][] = [
    [f(1.5), int32],
    [f(1e300), float32],
    [f(2 ** 31), int32],
    [literal(2n ** 31n), int32],
    [f(2 ** 63), int64],
    [s('1.0'), int32],
    [s(''), float64],
    [s('0x10'), float64],
    [s('NaN'), float64],
    [s('1e400'), float64],
    [s('yes'), bool],
    [s('9223372036854775808'), int64],
    [s('2024-02-30'), date],
    [s('noon'), timestamp],
    [literal(2n ** 60n), timestamp],
    [on('9999-12-31'), timestamp],
  ];
  for (const [value, to] of lost) {
    assert.throws(() => the(value.cast(to)), code('expr/bad-cast'));
    assert.equal(the(value.tryCast(to)), null);
  }
  const kept: [Value<any>, Dtype, Scalar][] = [
    [f(-2), int64, -2n],
    [f(0.1), float32, Math.fround(0.1)],
    [s('-9223372036854775808'), int64, -(2n ** 63n)],
    [s('+7'), int32, 7],
    [s('1e3'), float64, 1000],
    [s('-0'), float64, 0],
    [f(1e21), string, '1e+21'],
    [literal(true), string, 'true'],
    [literal(true), int32, 1],
    [at('1969-12-31T23:59:59Z'), date, -1],
    [at('2024-01-01T00:00:00.000001Z'), string, '2024-01-01T00:00:00.000001Z'],
    [on('2024-02-29'), timestamp, Date.UTC(2024, 1, 29) * 1000],
    [s('9999-12-31'), date, 2932896],
    [literal(2n ** 53n + 1n), float64, 2 ** 53],
  ];
  for (const [value, to, expected] of kept) assert.deepEqual(the(value.cast(to)), expected);
  assert.throws(() => literal(true).cast(date), code('expr/type-mismatch'));
  assert.throws(() => f(1).cast(list(float64)), code('expr/type-mismatch'));
});

test('strings count code points and know no locale', () => {
  assert.equal(the(s('a😀é').length()), 3);
  assert.equal(the(s('a😀bc').substring(2, 2)), '😀b');
  assert.equal(the(s('abc').substring(3)), 'c');
  assert.equal(the(s('abc').substring(9)), '');
  assert.equal(the(s('İI').lower()), 'i̇i');
  assert.equal(the(s('straße').upper()), 'STRASSE');
  assert.equal(the(s('\u00a0 x\n').trim()), 'x');
  assert.equal(the(concat('a', s('b'), 'c')), 'abc');
  assert.equal(the(concat('a', s(null))), null);
  assert.equal(the(s('aXbX').replace('X', '$&')), 'a$&b$&');
  assert.equal(the(s('ab').replace('', 'x')), 'ab');
  assert.deepEqual(the(s(',a,').split(',')), ['', 'a', '']);
  assert.deepEqual(the(s('').split(',')), ['']);
  assert.equal(the(s('x😀').regexMatch(/^x.$/u)), true);
  assert.equal(the(s('abc').contains('')), true);
  assert.equal(the(s('abc').startsWith('ab').and(s('abc').endsWith('bc'))), true);
  assert.throws(() => s('a').regexMatch('('), code('expr/bad-param'));
  assert.throws(() => s('a').regexMatch(/a/i), code('expr/bad-param'));
  assert.throws(() => s('a').split(''), code('expr/bad-param'));
  assert.throws(() => s('a').substring(0), code('expr/bad-param'));
});

test('time is UTC, weeks are ISO', () => {
  const t = at('1969-12-31T23:59:59.999999Z');
  assert.deepEqual(
    [t.hour(), t.minute(), t.day(), t.month(), t.year(), t.dayOfWeek()].map(the),
    [23, 59, 31, 12, 1969, 3],
  );
  assert.equal(the(on('2024-12-30').weekOfYear()), 1);
  assert.equal(the(on('2021-01-03').weekOfYear()), 53);
  assert.equal(the(on('2024-01-07').dayOfWeek()), 7);
  const start = (unit: any) =>
    new Date((the(at('2024-05-17T10:20:30Z').truncate(unit)) as number) / 1000).toISOString();
  assert.equal(start('week'), '2024-05-13T00:00:00.000Z');
  assert.equal(start('quarter'), '2024-04-01T00:00:00.000Z');
  assert.equal(start('minute'), '2024-05-17T10:20:00.000Z');
  assert.equal(the(on('2024-05-17').truncate('month')), 19844);
  assert.equal(the(at('2024-01-02T12:00:00Z').diff('2024-01-01', 'd')), 1.5);
  assert.equal(the(at('2024-01-02').diff(on('2024-01-01'), 'h')), 24);
  assert.equal(the(on('2024-01-15').diff('2024-01-01', 'w')), 2);
  assert.equal(the(at('2024-01-02T11:59:59Z').daysSince('2024-01-01T12:00:00Z')), 0);
  assert.equal(the(at('2024-01-01T11:59:59Z').daysSince('2024-01-01T12:00:00Z')), -1);
  assert.equal(the(on('2024-03-01').minus('1d')), 19782);
  assert.equal(the(at('2024-03-01').plus('90m').hour()), 1);
  assert.throws(() => on('2024-03-01').plus('1h'), code('expr/bad-param'));
  assert.throws(() => the(at('2255-06-01').plus('90d')), code('expr/overflow'));
  assert.throws(() => the(at('1684-08-01').truncate('year')), code('expr/overflow'));
});

test('numbers: rounding, roots and logarithms, buckets', () => {
  const rounded: [number, number, number][] = [
    [0.5, 0, 1],
    [-0.5, 0, -1],
    [2.5, 0, 3],
    [0.49999999999999994, 0, 0],
    [2 ** 51 + 1.5, 0, 2 ** 51 + 2],
    [1.005, 2, 1.01],
    [-1.005, 2, -1.01],
    [1e-7, 3, 0],
    [0.0005, 3, 0.001],
    [1e21, 2, 1e21],
    [123456.789, 1, 123456.8],
    [Number.POSITIVE_INFINITY, 2, Number.POSITIVE_INFINITY],
  ];
  for (const [x, digits, expected] of rounded)
    assert.ok(Object.is(the(f(x).round(digits)), expected), `${x} to ${digits}`);
  assert.ok(Object.is(the(f(-0.4).round()), 0));
  assert.equal(the(literal(2n ** 60n + 1n).round(2)), 2n ** 60n + 1n);
  assert.equal(the(f(-1).sqrt()), null);
  assert.equal(the(f(-1).log()), null);
  assert.equal(the(f(0).log()), Number.NEGATIVE_INFINITY);
  assert.equal(the(f(-2).pow(0.5)), null);
  assert.equal(the(i(2).pow(10)), 1024);
  assert.equal(the(f(1e-20).log1p()), 1e-20);
  assert.equal(the(f(0).exp()), 1);
  assert.equal(the(f(7).clip(0, 5)), 5);
  assert.equal(the(f(7).clip(f(null), 5)), null);
  assert.equal(the(i(7).clip(0, 5.5)), 5.5);
  assert.deepEqual(
    [-1, 0, 5, 10, 99].map((x) => the(f(x).bucketize([0, 10]))),
    [0, 1, 1, 2, 2],
  );
  assert.equal(the(literal(2n ** 53n + 1n).bucketize([2 ** 53, 2 ** 53 + 2])), 1);
  assert.throws(() => f(1).bucketize([2, 1]), code('expr/bad-param'));
  assert.throws(() => f(1).round(99), code('expr/bad-param'));
  assert.equal(the(f(-3).sign()), -1);
});

test('encodings', () => {
  assert.deepEqual(the(s('b').oneHot(['a', 'b'])), Float32Array.of(0, 1));
  assert.deepEqual(the(s('z').oneHot(['a', 'b'])), Float32Array.of(0, 0));
  assert.equal(the(s(null).oneHot(['a', 'b'])), null);
  assert.equal(the(literal(7n).ordinal([5, 7])), 1);
  assert.equal(the(literal(8n).ordinal([5, 7])), null);
  assert.equal(the(literal(8n).ordinal([5, 7], -1)), -1);
  // Written into training sets: these numbers may never change.
  assert.equal(the(s('DL').hashBucket(1000)), 262);
  assert.equal(the(literal(7n).hashBucket(1000)), 798);
  assert.equal(the(i(7).hashBucket(1000)), 798);
  assert.throws(() => s('a').hashBucket(0), code('expr/bad-param'));
});

test('vectors', () => {
  const v = (...xs: number[]) => literal(xs, vector(xs.length));
  assert.equal(the(v(1, 2).dot([3, 4])), 11);
  assert.equal(the(v(3, 4).norm()), 5);
  assert.equal(the(v(1, 1).l2([4, 5])), 5);
  assert.equal(the(v(2, 0).cosine([5, 0])), 1);
  assert.equal(the(v(0, 0).cosine([5, 0])), null);
  assert.equal(the(v(1, 2).at(-1)), 2);
  assert.throws(() => v(1, 2).at(2), code('expr/bad-param'));
  assert.throws(() => v(1, 2).dot(v(1, 2, 3)), code('expr/type-mismatch'));
});

test('lists', () => {
  const l = literal(['a', null, 'b', 'a', null], list(string));
  assert.equal(the(l.size()), 5);
  assert.equal(the(l.at(0)), 'a');
  assert.equal(the(l.at(-3)), 'b');
  assert.equal(the(l.at(1)), null);
  assert.equal(the(l.at(5)), null);
  assert.equal(the(l.at(-6)), null);
  assert.deepEqual(the(l.distinct()), ['a', null, 'b']);
  assert.equal(the(l.contains('b')), true);
  assert.equal(the(l.contains('z')), false);
  assert.equal(the(literal([1n, 2n], list(int64)).contains(2)), true);
  assert.deepEqual(the(literal([true, true], list(bool)).distinct()), [true]);
  const data = [new Uint8Array([1]), new Uint8Array([1]), null];
  const b = column('b', list(bytes));
  assert.deepEqual(evaluate(b.distinct(), { b: [list(bytes), [data, null]] }), [
    [new Uint8Array([1]), null],
    null,
  ]);
});

test('every function says what it is', () => {
  for (const [name, fn] of FUNCTIONS) {
    assert.ok(fn.signature.startsWith(`${name}(`), name);
    assert.match(fn.doc, /\.$/, name);
  }
});
