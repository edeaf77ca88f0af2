/** Misuse that must not compile; each `@ts-expect-error` fails the type check if it does compile. */

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  coalesce,
  column,
  concat,
  least,
  literal,
  type NumericType,
  type Value,
  when,
} from '../../src/expr/index.ts';
import {
  bool,
  type Dtype,
  date,
  type Float64Type,
  float32,
  float64,
  type Int64Type,
  int32,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';

const amount = column('amount', float64);
const count = column('count', int64);
const small = column('small', int32);
const name = column('name', string);
const flag = column('flag', bool);
const at = column('at', timestamp);
const day = column('day', date);
const tags = column('tags', list(string));
const embedding = column('embedding', vector(3));

function takesNumber(_value: Value<NumericType>): void {}
function takesAny(_value: Value<Dtype>): void {}
/** Compiles only if the type is exactly D. */
function typed<D extends Dtype>(value: Value<D>, dtype: D): void {
  assert.deepEqual(value.dtype, dtype);
}

test('results have the type that the builder promises', () => {
  typed<Float64Type>(amount.add(1), float64);
  typed<Int64Type>(count.add(1), int64);
  typed<Float64Type>(count.mul(1.5), float64);
  typed<Int64Type>(small.add(count), int64);
  typed<Float64Type>(small.div(2), float64);
  typed(small.add(2n), int64);
  typed(small.mod(3).neg(), int32);
  typed(when(flag).then(count).otherwise(0), int64);
  typed(when(flag).then(1).when(flag.not()).then(2).end(), float64);
  typed(when(flag).then('a').otherwise('b'), string);
  typed(coalesce(name, 'x'), string);
  typed(count.coalesce(0.5), float64);
  typed(concat(name, '-', name), string);
  typed(literal(1n), int64);
  typed(tags.at(0), string);
  typed(embedding.at(0), float32);
  typed(embedding.cosine([1, 2, 3]), float64);
  typed(name.split(','), list(string));
  typed(at.truncate('hour'), timestamp);
  typed(day.truncate('week').plus('7d'), date);
  typed(at.diff('2024-01-01', 's'), float64);
  typed(at.daysSince(day), int32);
  typed(count.clip(0, 10), int64);
  typed(amount.round(2), float64);
  typed(small.round(), int32);
  typed(least(count, 3, 5n), int64);
  typed(name.cast(int64), int64);
  takesNumber(amount);
  takesNumber(small);
  takesAny(name);
  takesAny(tags);
  takesAny(embedding);
});

test('what does not fit does not compile, and is a coded error at run time', () => {
  const refused = (body: () => unknown) =>
    assert.throws(body, (e: any) => /^(expr|types|time)\//.test(e.code));
  // @ts-expect-error a string has no add
  refused(() => name.add(1));
  // @ts-expect-error a number does not add a string
  refused(() => amount.add('1'));
  // @ts-expect-error a number does not add a string column
  refused(() => amount.add(name));
  // @ts-expect-error a bool is not a number
  refused(() => flag.div(2));
  // @ts-expect-error instants are subtracted by diff
  refused(() => at.sub(at));
  // @ts-expect-error a string is not compared with a number
  refused(() => name.eq(1));
  // @ts-expect-error a number is not compared with a string
  refused(() => amount.gt(name));
  // @ts-expect-error lists have no order
  refused(() => tags.lt(tags));
  // @ts-expect-error and takes bools
  refused(() => flag.and(amount));
  // @ts-expect-error a number is not a condition
  refused(() => amount.and(flag));
  // @ts-expect-error a condition is a bool
  refused(() => when(amount).then(1).end());
  // @ts-expect-error branches have one type
  refused(() => when(flag).then(name).otherwise(1));
  // @ts-expect-error coalesce keeps the type
  refused(() => amount.coalesce('x'));
  // @ts-expect-error takes numbers only
  takesNumber(name);
  // @ts-expect-error takes numbers only
  takesNumber(tags);
  // @ts-expect-error a string has no logarithm
  refused(() => name.log());
  // @ts-expect-error a date has no hour
  refused(() => day.hour());
  // @ts-expect-error a date is not truncated to an hour
  refused(() => day.truncate('hour'));
  // @ts-expect-error there is no such unit
  refused(() => at.truncate('fortnight'));
  // @ts-expect-error there is no such unit of a difference
  refused(() => at.diff(at, 'month'));
  // @ts-expect-error a number is not an instant
  refused(() => at.daysSince(amount));
  // @ts-expect-error a duration has a unit
  refused(() => at.plus('90'));
  // @ts-expect-error there is no such unit of a duration
  refused(() => at.plus('2 weeks'));
  // @ts-expect-error a number does not contain
  refused(() => amount.contains('x'));
  // @ts-expect-error a list of strings holds no numbers
  refused(() => tags.contains(1));
  // @ts-expect-error constants have the value's type
  refused(() => name.isIn([1]));
  // @ts-expect-error floats are not listed exactly
  refused(() => amount.oneHot([1, 2]));
  // @ts-expect-error a list is not a vector
  refused(() => tags.norm());
  // @ts-expect-error a string is not a list
  refused(() => name.size());
  // @ts-expect-error a number is not concatenated
  refused(() => concat(name, amount));
  // @ts-expect-error a list of lists is not ordered
  refused(() => column('deep', list(list(string))).distinct());
});
