import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyFromQuery, keyToJson } from '../../src/serving/keys.ts';
import { bool, bytes, date, int32, int64, string, timestamp } from '../../src/types/dtype.ts';
import { entity } from './support.ts';

const user = entity('user', { user_id: string });
const customer = entity('customer', { customer_id: int64 });
const route = entity('route', { origin: string, number: int64 });

test('a key of one column is its text', () => {
  assert.deepEqual(keyFromQuery(user, 'user_123'), ['user_123']);
  assert.deepEqual(keyFromQuery(user, '["a"]'), ['["a"]']);
  assert.deepEqual(keyFromQuery(user, ''), ['']);
  assert.deepEqual(keyFromQuery(user, ['ü😀']), ['ü😀']);
  assert.deepEqual(keyFromQuery(customer, '9223372036854775807'), [9223372036854775807n]);
});

test('a key of several columns is repeated or one JSON array', () => {
  const key = ['JFK', 9007199254740993n];
  assert.deepEqual(keyFromQuery(route, ['JFK', '9007199254740993']), key);
  assert.deepEqual(keyFromQuery(route, '["JFK",9007199254740993]'), key);
  assert.equal(keyToJson(route, key), '["JFK",9007199254740993]');
  assert.equal(keyToJson(customer, [9007199254740993n]), '9007199254740993');
});

test('every type of key reads from text', () => {
  const all = entity('all', { a: int32, b: bool, c: date, d: timestamp, e: bytes });
  assert.deepEqual(
    keyFromQuery(all, ['-7', 'true', '2024-03-01', '1970-01-01T00:00:01Z', 'AQI=']),
    [-7, true, 19783, 1_000_000, new Uint8Array([1, 2])],
  );
  assert.deepEqual(keyFromQuery(all, ['7', 'false', '19783', '5', '']).slice(0, 4), [
    7,
    false,
    19783,
    5,
  ]);
});

test('a wrong count, type or null is refused and the field is named', () => {
  const bad: [Parameters<typeof keyFromQuery>, string][] = [
    [[customer, ['1', '2']], 'serving/bad-key'],
    [[route, 'JFK'], 'serving/bad-key'],
    [[route, '["JFK"]'], 'serving/bad-key'],
    [[route, '["JFK",null]'], 'serving/bad-key'],
    [[route, '["JFK"'], 'serving/malformed-json'],
    [[customer, 'seven'], 'types/wrong-type'],
    [[customer, '1.5'], 'types/wrong-type'],
    [[customer, '9223372036854775808'], 'types/out-of-range'],
  ];
  for (const [args, code] of bad) assert.throws(() => keyFromQuery(...args), { code });
});
