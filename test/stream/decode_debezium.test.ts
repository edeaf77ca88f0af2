import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import avro from 'avsc';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { decoderFor, type SchemaChange } from '../../src/stream/decode/index.ts';
import type { Schema } from '../../src/types/batch.ts';
import {
  bytes,
  date,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
} from '../../src/types/dtype.ts';
import { coerce } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { sharedData } from '../support/shared.ts';
import { codeOf, framed, recordOf, registryOf, rowOf, sourceOf } from './decode_support.ts';

const COLUMNS: Schema = [
  { name: 'id', dtype: int64 },
  { name: 'at', dtype: timestamp },
  { name: 'amount', dtype: float64 },
  { name: 'day', dtype: date },
  { name: 'n', dtype: int32 },
  { name: 'blob', dtype: bytes },
  { name: 'tags', dtype: list(string) },
];
const table = (columns = COLUMNS, mutable = true) =>
  sourceOf(columns, { mutable, eventId: columns[0]!.name, stream: { format: 'debezium' } });
const decoder = decoderFor(table());

/** An envelope without its schema, as the converter writes it with schemas.enable=false. */
const envelope = (op: string, before: unknown, after: unknown) => ({
  before,
  after,
  source: { connector: 'postgresql', lsn: 26395208, ts_ns: 'NS' },
  transaction: null,
  op,
  ts_ms: 1795244316447,
});
const text = (value: unknown) => JSON.stringify(value).replace('"NS"', '1795244316165900001');
const one = async (value: unknown, key: unknown = { id: 1 }, by = decoder) =>
  (await by.decode([recordOf(value === null ? null : text(value), { key: text(key) })]))[0]!;

test('inserts, reads and updates are upserts, a delete takes the key’s row away, a tombstone says nothing', async () => {
  for (const op of ['c', 'r', 'u'])
    assert.deepEqual(await one(envelope(op, null, { id: 1, n: 2, other: 3 })), {
      op: 'upsert',
      values: { id: 1, n: 2 },
    });
  const gone = { op: 'retract', values: { id: 1 } };
  assert.deepEqual(await one(envelope('d', null, null)), gone);
  assert.deepEqual(await one(envelope('d', { id: 1, n: 0 }, null), { id: 1 }), gone);
  assert.deepEqual(await one(envelope('d', { id: 1, n: 0 }, null), { other: 1 }), gone);
  assert.equal(await one(null), null);
  const long = '{"op":"d","before":null,"after":null}';
  const [exact] = await decoder.decode([recordOf(long, { key: '{"id":9007199254740993}' })]);
  assert.deepEqual(rowOf(exact!).values, { id: 9007199254740993n });
});

test('a primary key that changes is a delete of the old row and an insert of the new', async () => {
  const [d, tombstone, c] = await decoder.decode([
    recordOf(text(envelope('d', { id: 1 }, null)), { key: '{"id":1}' }),
    recordOf(null, { key: '{"id":1}' }),
    recordOf(text(envelope('c', null, { id: 2, n: 5 })), { key: '{"id":2}' }),
  ]);
  assert.deepEqual(
    [d, tombstone, c],
    [{ op: 'retract', values: { id: 1 } }, null, { op: 'upsert', values: { id: 2, n: 5 } }],
  );
});

test('what tells of no row is passed by, and what cannot be told is refused', async () => {
  for (const nothing of [
    { ts_ms: 1795244316447 },
    { status: 'BEGIN', id: '571', event_count: null, ts_ms: 1 },
    { source: {}, databaseName: 'd', ddl: 'alter', tableChanges: [] },
    { op: 'm', message: { prefix: 'p', content: '' }, source: {} },
  ])
    assert.equal(await one(nothing), null);
  const appendOnly = decoderFor(table(COLUMNS, false));
  const refusals: [unknown, string][] = [
    [await one(envelope('t', null, null)), 'stream/table-truncated'],
    [await one(envelope('x', null, {})), 'stream/bad-envelope'],
    [await one({ id: 1, n: 2 }), 'stream/bad-envelope'],
    [await one(envelope('c', null, null)), 'stream/bad-envelope'],
    [await one(envelope('d', null, null), { other: 1 }), 'stream/no-row-id'],
    [await one([]), 'stream/not-an-object'],
    [await one(envelope('u', null, { id: 1 }), {}, appendOnly), 'stream/not-mutable'],
    [await one(envelope('d', null, null), { id: 1 }, appendOnly), 'stream/not-mutable'],
    [
      await one(envelope('u', null, { tags: ['__debezium_unavailable_value'] })),
      'stream/unavailable-value tags',
    ],
    [
      await one(envelope('u', null, { blob: btoa('__debezium_unavailable_value') })),
      'stream/unavailable-value blob',
    ],
  ];
  for (const [decoded, code] of refusals) assert.equal(codeOf(decoded as SamewiseError), code);
  assert.equal(rowOf(await one(envelope('c', null, { id: 1 }), {}, appendOnly)).op, 'upsert');
});

/** The value of a column, coerced, of an envelope whose schema says what it is. */
async function withSchema(
  type: string,
  name: string | null,
  value: string,
  column: string,
  parameters = {},
) {
  const field = { type, optional: true, name, field: column, parameters };
  const schema = {
    type: 'struct',
    fields: [{ type: 'struct', fields: [field], optional: true, field: 'after' }],
  };
  const body = `{"schema":${JSON.stringify(schema)},"payload":{"op":"c","before":null,"after":{"${column}":${value}}}}`;
  const [decoded] = await decoder.decode([recordOf(body)]);
  if (decoded instanceof SamewiseError) return codeOf(decoded);
  return coerced(column, rowOf(decoded!).values[column]);
}

const coerced = (column: string, value: unknown) =>
  coerce(value, COLUMNS.find(({ name }) => name === column)!.dtype);

async function bare(column: string, value: string) {
  const [decoded] = await decoder.decode([recordOf(`{"op":"c","after":{"${column}":${value}}}`)]);
  if (decoded instanceof SamewiseError) return codeOf(decoded);
  return coerced(column, rowOf(decoded!).values[column]);
}

test('times mean what the schema says, exactly', async () => {
  const ms = 'io.debezium.time.Timestamp';
  const us = 'io.debezium.time.MicroTimestamp';
  const ns = 'io.debezium.time.NanoTimestamp';
  assert.equal(await withSchema('int64', ms, '1795244316447', 'at'), 1795244316447000);
  assert.equal(await withSchema('int64', us, '1795244316447761', 'at'), 1795244316447761);
  assert.equal(await withSchema('int64', ns, '1795244316447761000', 'at'), 1795244316447761);
  assert.equal(await withSchema('int64', ns, '1795244316447761763', 'at'), 'types/out-of-range at');
  assert.equal(await withSchema('int64', ns, '1795244316447761763', 'id'), 1795244316447761763n);
  const zoned = 'io.debezium.time.ZonedTimestamp';
  assert.equal(await withSchema('string', zoned, '"1970-01-01T00:00:01.000002Z"', 'at'), 1000002);
  assert.equal(await withSchema('int32', 'io.debezium.time.Date', '3', 'day'), 3);
  assert.equal(await withSchema('int32', 'io.debezium.time.Date', '3', 'at'), 259_200_000_000);
  assert.equal(await withSchema('int64', ms, 'null', 'at'), null);
  assert.equal(await withSchema('int64', null, '1795244316447', 'at'), 'stream/ambiguous-time at');
});

test('without a schema microseconds are taken where they cannot be anything else', async () => {
  assert.equal(await bare('at', '1795244316447761'), 1795244316447761);
  assert.equal(await bare('at', '0'), 0);
  assert.equal(await bare('at', '"2024-05-01T08:00:00.000000Z"'), 1714550400000000);
  assert.equal(await bare('at', '1795244316447'), 'stream/ambiguous-time at');
  assert.equal(await bare('day', '19844'), 19844);
});

test('numbers come as numbers, as text, and as decimals of both kinds', async () => {
  const decimal = 'org.apache.kafka.connect.data.Decimal';
  assert.equal(await bare('amount', '"100.50"'), 100.5);
  assert.equal(await bare('id', '"12.00"'), 12n);
  assert.equal(await bare('id', '"9223372036854775807"'), 9223372036854775807n);
  assert.equal(await bare('n', '"7"'), 7);
  assert.equal(await bare('amount', '{"scale":3,"value":"AQA="}'), 0.256);
  assert.equal(await withSchema('bytes', decimal, '"/wE="', 'amount', { scale: '2' }), -2.55);
  assert.equal(await withSchema('bytes', decimal, '"AQA="', 'id', { scale: '0' }), 256n);
  assert.equal(
    await withSchema(
      'struct',
      'io.debezium.data.VariableScaleDecimal',
      '{"scale":-1,"value":"AQ=="}',
      'id',
    ),
    10n,
  );
  assert.equal(
    await withSchema('bytes', decimal, '"AQ=="', 'amount', { scale: '99999999' }),
    'stream/bad-schema',
  );
  assert.deepEqual(await bare('tags', '["new",null,"eu"]'), ['new', null, 'eu']);
});

const row = {
  type: 'record',
  name: 'Value',
  fields: [
    { name: 'id', type: 'long' },
    {
      name: 'at',
      type: ['null', { type: 'long', 'connect.name': 'io.debezium.time.MicroTimestamp' }],
    },
    { name: 'amount', type: ['null', 'string'] },
    { name: 'more', type: { type: 'array', items: 'string' } },
  ],
};
const avroEnvelope = (value: object) => ({
  type: 'record',
  name: 'Envelope',
  namespace: 'shop.public.users',
  'connect.name': 'shop.public.users.Envelope',
  fields: [
    { name: 'before', type: ['null', value] },
    { name: 'after', type: ['null', 'Value'] },
    {
      name: 'source',
      type: { type: 'record', name: 'Source', fields: [{ name: 'lsn', type: 'long' }] },
    },
    { name: 'op', type: 'string' },
    { name: 'ts_ms', type: ['null', 'long'] },
  ],
});

test('envelopes of Avro are read by their schemas, and a lost column is told', async () => {
  const key = { type: 'record', name: 'Key', fields: [{ name: 'id', type: 'long' }] };
  const narrow = { ...row, fields: row.fields.slice(0, 2) };
  const heartbeat = {
    type: 'record',
    name: 'Heartbeat',
    fields: [{ name: 'ts_ms', type: 'long' }],
  };
  const schemas = [avroEnvelope(row), key, avroEnvelope(narrow), heartbeat];
  const encode = (id: number, value: unknown) =>
    framed(id, avro.Type.forSchema(structuredClone(schemas[id - 1]) as never).toBuffer(value));
  const told: SchemaChange[] = [];
  const source = table(COLUMNS.slice(0, 3));
  const by = decoderFor(source, {
    registry: registryOf(schemas),
    onSchemaChange: (change) => told.push(change),
  });
  const after = { id: 4, at: 1795244316447761, amount: '0.25', more: ['x'] };
  const rest = { source: { lsn: 1 }, ts_ms: 5 };
  const keyed = { key: encode(2, { id: 4 }) };
  const [c, d, tombstone, changed, beat, foreign] = await by.decode([
    recordOf(encode(1, { before: null, after, op: 'c', ...rest }), keyed),
    recordOf(encode(1, { before: after, after: null, op: 'd', ...rest }), keyed),
    recordOf(null, keyed),
    recordOf(encode(3, { before: null, after: { id: 4, at: null }, op: 'u', ...rest }), keyed),
    recordOf(encode(4, { ts_ms: 5 })),
    recordOf(encode(2, { id: 4 })),
  ]);
  assert.deepEqual(rowOf(c!), {
    op: 'upsert',
    values: { id: 4, at: 1795244316447761, amount: 0.25 },
  });
  assert.deepEqual(rowOf(d!), { op: 'retract', values: { id: 4 } });
  assert.deepEqual([tombstone, beat], [null, null]);
  assert.equal(codeOf(changed!), 'stream/schema-changed amount');
  assert.equal(codeOf(foreign!), 'stream/bad-envelope');
  assert.deepEqual(told, [
    {
      source: 'events',
      schemaId: 3,
      columns: [{ column: 'amount', was: 'null | string', is: null }],
    },
  ]);
});

const samples = sharedData('debezium');

test('captured changes of a real database', { skip: samples.skip }, async () => {
  const users = decoderFor(
    table([
      { name: 'user_id', dtype: int64 },
      { name: 'email', dtype: string },
      { name: 'credit', dtype: float64 },
      { name: 'signup', dtype: timestamp },
      { name: 'prefs', dtype: string },
      { name: 'tags', dtype: list(string) },
    ]),
  );
  const orders = decoderFor(
    table([
      { name: 'order_id', dtype: string },
      { name: 'user_id', dtype: int64 },
      { name: 'amount', dtype: float64 },
      { name: 'created_at', dtype: timestamp },
      { name: 'day', dtype: date },
    ]),
  );
  const seen: Record<string, unknown[]> = {};
  for (const file of readdirSync(samples.path).sort()) {
    const sample = JSON.parse(readFileSync(join(samples.path, file), 'utf8'));
    const [decoded] = await (sample.topic.endsWith('users') ? users : orders).decode([
      recordOf(sample.value === null ? null : JSON.stringify(sample.value), {
        key: JSON.stringify(sample.key),
      }),
    ]);
    if (decoded instanceof SamewiseError) throw decoded;
    const { after } = sample.value ?? {};
    const kind = file.replace(/^\d+-\w+?-|\.json$/g, '');
    assert.equal(
      decoded?.op ?? null,
      { delete: 'retract', tombstone: null }[kind] ?? (kind === 'tombstone' ? null : 'upsert'),
      file,
    );
    if (decoded?.op === 'retract') assert.deepEqual(decoded.values, sample.key);
    if (decoded?.op === 'upsert') {
      const money = 'credit' in after ? 'credit' : 'amount';
      const values = decoded.values;
      assert.equal(values[money], Number(after[money]));
      for (const name of Object.keys(values))
        if (name !== money) assert.deepEqual(values[name], after[name], name);
    }
    (seen[kind] ??= []).push(decoded);
  }
  assert.ok(seen.create!.length > 0 && seen.delete!.length > 0 && seen.tombstone!.length > 0);
});

test('random envelopes are rows, nothing, or coded errors', async () => {
  const field = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom('__debezium_unavailable_value', '1.5', 1795244316447),
    fc.record({ scale: fc.oneof(fc.integer(), fc.string()), value: fc.base64String() }),
  );
  const rowLike = fc.option(
    fc.dictionary(fc.constantFrom('id', 'at', 'amount', 'n', 'day', 'blob', 'tags'), field),
  );
  const schemas = fc.record({
    type: fc.constant('struct'),
    fields: fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.array(
        fc.record({
          field: fc.constantFrom('after', 'before'),
          fields: fc.array(
            fc.record({
              field: fc.constantFrom('id', 'at', 'amount', 'day'),
              name: fc.constantFrom(
                'io.debezium.time.NanoTimestamp',
                'io.debezium.time.Date',
                'org.apache.kafka.connect.data.Decimal',
                'io.debezium.data.VariableScaleDecimal',
              ),
              parameters: fc.option(fc.record({ scale: fc.oneof(fc.integer(), fc.string()) })),
            }),
          ),
        }),
      ),
    ),
  });
  const envelopes = fc.record({
    op: fc.oneof(fc.constantFrom('c', 'u', 'd', 'r', 't', 'm'), fc.jsonValue({ maxDepth: 1 })),
    before: rowLike,
    after: rowLike,
  });
  const values = fc.oneof(
    envelopes,
    fc.record({ schema: schemas, payload: envelopes }),
    fc.jsonValue({ maxDepth: 3 }),
  );
  await fc.assert(
    fc.asyncProperty(values, fc.jsonValue({ maxDepth: 2 }), async (value, key) => {
      const [result] = await decoder.decode([
        recordOf(JSON.stringify(value), { key: JSON.stringify(key) }),
      ]);
      if (result instanceof SamewiseError)
        assert.notEqual(result.code, 'stream/unreadable', result.message);
    }),
    { numRuns: cases(1000) },
  );
});
