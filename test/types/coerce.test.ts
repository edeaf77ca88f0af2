import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import { coerce, sameScalar } from '../../src/types/scalar.ts';

const u8 = (...values: number[]) => Uint8Array.from(values);
const f32 = (...values: number[]) => Float32Array.from(values);

/** dtype, what comes in, what it becomes. */
const accepted: [Dtype, unknown, unknown][] = [
  [bool, true, true],
  [bool, false, false],
  [int32, 7, 7],
  [int32, -0, 0],
  [int32, 2_147_483_647, 2_147_483_647],
  [int32, -2_147_483_648n, -2_147_483_648],
  [int64, 7, 7n],
  [int64, 9_223_372_036_854_775_807n, 9_223_372_036_854_775_807n],
  [int64, '-9223372036854775808', -9_223_372_036_854_775_808n],
  [int64, '9007199254740993', 9_007_199_254_740_993n],
  [float64, 0.1, 0.1],
  [float64, -0, 0],
  [float64, 'Infinity', Number.POSITIVE_INFINITY],
  [float64, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  [float64, 9_007_199_254_740_992n, 9_007_199_254_740_992],
  [float32, 0.1, Math.fround(0.1)],
  [float32, -1e-60, 0],
  [float32, '-Infinity', Number.NEGATIVE_INFINITY],
  [string, 'ünï 💥', 'ünï 💥'],
  [string, '', ''],
  [bytes, u8(1, 2), u8(1, 2)],
  [bytes, 'AQI=', u8(1, 2)],
  [timestamp, '1970-01-01T00:00:01Z', 1_000_000],
  [timestamp, 1_000_000, 1_000_000],
  [timestamp, -1n, -1],
  [timestamp, new Date(5), 5000],
  [date, '1970-01-02', 1],
  [date, '9999-12-31', 2_932_896],
  [date, -1, -1],
  [date, new Date(-1), -1],
  [list(int64), [1, null, '2'], [1n, null, 2n]],
  [list(list(string)), [['a'], []], [['a'], []]],
  [vector(2), [1, -0], f32(1, 0)],
  [vector(2), f32(1, 2), f32(1, 2)],
  [vector(2), Float64Array.of(0.1, 2), f32(0.1, 2)],
  [vector(2), ['Infinity', '-Infinity'], f32(Infinity, -Infinity)],
];

test('values become scalars of their type, and lose nothing', () => {
  for (const [dtype, given, expected] of accepted) {
    const value = coerce(given, dtype);
    assert.ok(sameScalar(value, expected as never), `${dtype.kind} ${String(given)} → ${value}`);
  }
});

test('null and undefined are null, whatever the type', () => {
  for (const [dtype] of accepted) {
    assert.equal(coerce(null, dtype), null);
    assert.equal(coerce(undefined, dtype), null);
  }
});

/** dtype, what comes in, the error's code. */
const refused: [Dtype, unknown, string][] = [
  [bool, 1, 'types/wrong-type'],
  [bool, 'true', 'types/wrong-type'],
  [int32, 1.5, 'types/wrong-type'],
  [int32, '1', 'types/wrong-type'],
  [int32, Number.NaN, 'types/wrong-type'],
  [int32, 2_147_483_648, 'types/out-of-range'],
  [int64, 9_007_199_254_740_992, 'types/out-of-range'],
  [int64, 2n ** 63n, 'types/out-of-range'],
  [int64, '9223372036854775808', 'types/out-of-range'],
  [int64, 1.5, 'types/wrong-type'],
  [int64, '1.0', 'types/wrong-type'],
  [int64, '', 'types/wrong-type'],
  [int64, true, 'types/wrong-type'],
  [float64, '1', 'types/wrong-type'],
  [float64, 'NaN', 'types/wrong-type'],
  [float64, Number.NaN, 'types/nan'],
  [float64, 9_007_199_254_740_993n, 'types/wrong-type'],
  [float32, 1e300, 'types/out-of-range'],
  [string, 1, 'types/wrong-type'],
  [string, '\ud800', 'types/wrong-type'],
  [bytes, 'not base64!', 'types/wrong-type'],
  [bytes, [1, 2], 'types/wrong-type'],
  [timestamp, 'yesterday', 'time/unreadable'],
  [timestamp, 0.5, 'types/wrong-type'],
  [timestamp, 2 ** 53, 'types/wrong-type'],
  [timestamp, 2n ** 53n + 1n, 'types/wrong-type'],
  [timestamp, new Date(Number.NaN), 'types/wrong-type'],
  [date, '2023-02-29', 'time/unreadable'],
  [date, '2024-01-01T12:00:00Z', 'time/unreadable'],
  [date, 0.5, 'types/wrong-type'],
  [date, 1e9, 'types/out-of-range'],
  [date, new Date(Number.NaN), 'types/wrong-type'],
  [date, 1n, 'types/wrong-type'],
  [list(int64), 1, 'types/wrong-type'],
  [list(int64), ['x'], 'types/wrong-type'],
  [list(int64), 'abc', 'types/wrong-type'],
  [vector(2), [1], 'types/wrong-type'],
  [vector(2), [1, null], 'types/wrong-type'],
  [vector(2), [1, '2'], 'types/wrong-type'],
  [vector(2), [1, Number.NaN], 'types/nan'],
  [vector(2), [1, 1e300], 'types/out-of-range'],
];

test('what does not fit is refused, and the error says where', () => {
  for (const [dtype, given, code] of refused) {
    assert.throws(
      () => coerce(given, dtype, { row: 3, column: 'c' }),
      (error: any) => {
        assert.equal(error.code, code, `${dtype.kind} ${String(given)}`);
        assert.deepEqual(error.where, { row: 3, column: 'c' });
        return true;
      },
    );
  }
});
