import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { decoderFor } from '../../src/stream/decode/index.ts';
import { float64, int64, list, string, timestamp, vector } from '../../src/types/dtype.ts';
import { cases } from '../support/cases.ts';
import {
  assertSameRow,
  codeOf,
  jsonTextOf,
  recordOf,
  rowOf,
  sourceOf,
  tables,
} from './decode_support.ts';

const COLUMNS = [
  { name: 'id', dtype: int64 },
  { name: 'at', dtype: timestamp },
  { name: 'amount', dtype: float64 },
  { name: 'note', dtype: string },
  { name: 'ids', dtype: list(int64) },
  { name: 'constructor', dtype: string },
];
const source = sourceOf(COLUMNS, { eventId: 'id' });
const decoder = decoderFor(source);

async function decoded(value: string | Uint8Array | null, options = {}, by = decoder) {
  return (await by.decode([recordOf(value, options)]))[0]!;
}

test('a row of any types comes back as it was written', async () => {
  await fc.assert(
    fc.asyncProperty(tables(), async ({ columns, rows }) => {
      const results = await decoderFor(sourceOf(columns)).decode(
        rows.map((row) => recordOf(jsonTextOf(columns, row))),
      );
      assert.equal(results.length, rows.length);
      results.forEach((result, i) => {
        assert.equal(rowOf(result).op, 'upsert');
        assertSameRow(columns, rowOf(result).values, rows[i]!);
      });
    }),
    { numRuns: cases(300) },
  );
});

test('only the source’s columns are taken, and what is absent stays absent', async () => {
  const row = rowOf(await decoded('{"id":1,"extra":{"a":[1]},"note":null,"__proto__":{"at":5}}'));
  assert.deepEqual(row, { op: 'upsert', values: { id: 1, note: null } });
});

test('whole numbers are exact where they are meant to be, and floats the nearest where floats are', async () => {
  const values = async (text: string) => rowOf(await decoded(text)).values;
  assert.deepEqual(await values('{"id":9223372036854775807,"amount":9007199254740993}'), {
    id: 9223372036854775807n,
    amount: 9007199254740992,
  });
  assert.deepEqual(await values('{"ids":[1,-9007199254740993,null]}'), {
    ids: [1, -9007199254740993n, null],
  });
  assert.equal(codeOf(await decoded('{"amount":1e400}')), 'types/out-of-range amount');
  const floats = decoderFor(sourceOf([{ name: 'v', dtype: vector(1) }]));
  assert.deepEqual(rowOf(await decoded('{"v":[9007199254740993]}', {}, floats)).values, {
    v: [9007199254740992],
  });
});

test('what cannot be read is a coded error of the one record', async () => {
  const deep = `{"note":${'['.repeat(100)}${']'.repeat(100)}}`;
  const abyss = `{"note":${'['.repeat(400_000)}${']'.repeat(400_000)},"id":9007199254740993}`;
  for (const [value, code] of [
    ['', 'stream/bad-json'],
    ['{', 'stream/bad-json'],
    ['\ufeff{}', 'stream/bad-json'],
    ['[1]', 'stream/not-an-object'],
    ['null', 'stream/not-an-object'],
    ['7', 'stream/not-an-object'],
    [new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'stream/not-utf8'],
    [deep, 'stream/too-deep note'],
    [abyss, 'stream/too-deep'],
    [`{"note":"${'x'.repeat(1 << 20)}"}`, 'stream/oversize'],
    ['{"__op":"delete"}', 'stream/bad-op __op'],
  ] as const) {
    const results = await decoder.decode([recordOf('{"id":1}'), recordOf(value), recordOf('{}')]);
    assert.equal(codeOf(results[1]!), code);
    assert.equal((results[1] as SamewiseError).where.source, 'events');
    assert.deepEqual(results[0], { op: 'upsert', values: { id: 1 } });
    assert.deepEqual(results[2], { op: 'upsert', values: {} });
  }
  const small = decoderFor(source, { maxBytes: 10 });
  assert.equal(codeOf(await decoded('{"id":    1}', {}, small)), 'stream/oversize');
  assert.equal(rowOf(await decoded('{"id":  1}', {}, small)).values.id, 1);
});

test('a header, else a field, else the op column takes an event away', async () => {
  const op = async (value: string, headers = {}, by = decoder) =>
    rowOf(await decoded(value, { headers }, by)).op;
  assert.equal(await op('{"id":1,"__op":"retract"}'), 'retract');
  assert.equal(await op('{"id":1}', { 'samewise-op': 'retract' }), 'retract');
  assert.equal(await op('{"__op":"retract"}', { 'samewise-op': 'upsert' }), 'upsert');
  assert.equal(await op('{"__op":null}', { other: 'retract' }), 'upsert');
  assert.equal(
    codeOf(await decoded('{}', { headers: { 'samewise-op': 'x' } })),
    'stream/bad-op samewise-op',
  );
  const named = decoderFor(sourceOf([...COLUMNS, { name: 'op', dtype: string }], { op: 'op' }));
  assert.equal(await op('{"op":"retract"}', {}, named), 'retract');
  assert.equal(await op('{"op":"retract","__op":"upsert"}', {}, named), 'upsert');
  assert.equal(codeOf(await decoded('{"op":"d"}', {}, named)), 'stream/bad-op op');
});

test('a tombstone takes away the row of a mutable source whose id the key says, and else says nothing', async () => {
  const mutable = decoderFor({ ...source, mutable: true });
  const gone = (key?: string | Uint8Array) => decoded(null, { key }, mutable);
  assert.deepEqual(await gone('{"id":9007199254740993,"more":1}'), {
    op: 'retract',
    values: { id: 9007199254740993n },
  });
  for (const key of [undefined, '7', 'text', '{"other":7}', '{"id":null}', new Uint8Array()])
    assert.equal(await gone(key), null);
  assert.equal(codeOf(await gone('{"id"')), 'stream/bad-json');
  assert.equal(await decoded(null, { key: '{"id":7}' }), null);
});

test('a value that was written through a schema registry has its frame taken off', async () => {
  const framed = new Uint8Array([0, 0, 0, 0, 9, ...new TextEncoder().encode('{"id":1}')]);
  assert.deepEqual(rowOf(await decoded(framed)).values, { id: 1 });
});

test('random bytes are rows, nothing, or coded errors', async () => {
  const mutable = decoderFor({ ...source, mutable: true });
  const texts = fc.oneof(
    fc.json(),
    fc.string().map((s) => `{"id":${s}}`),
    fc.string({
      unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', 'u', '9', '-', 'e'),
    }),
  );
  const bytes = fc.oneof(
    fc.uint8Array(),
    texts.map((s) => new TextEncoder().encode(s)),
  );
  await fc.assert(
    fc.asyncProperty(fc.option(bytes), fc.option(bytes), async (value, key) => {
      const [result] = await mutable.decode([recordOf(value, key === null ? {} : { key })]);
      if (result instanceof SamewiseError) assert.notEqual(result.code, 'stream/unreadable');
      else assert.ok(result === null || typeof result === 'object');
    }),
    { numRuns: cases(1000) },
  );
});
