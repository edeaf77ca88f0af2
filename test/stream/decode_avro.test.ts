import assert from 'node:assert/strict';
import { test } from 'node:test';
import avro from 'avsc';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { decoderFor, type SchemaChange } from '../../src/stream/decode/index.ts';
import {
  bytes,
  type Dtype,
  date,
  float64,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import {
  assertSameRow,
  codeOf,
  framed,
  recordOf,
  registryOf,
  rowOf,
  sourceOf,
  tables,
} from './decode_support.ts';

/** Longs as bigints, since the library's own are doubles. */
const long = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer(n: bigint) {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(n));
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (n: unknown) => typeof n === 'bigint' || typeof n === 'number',
  compare: (a: bigint, b: bigint) => Number(a - b),
});

type AvroSchema = Parameters<typeof avro.Type.forSchema>[0];

function encode(schema: object, value: unknown, id = 1): Uint8Array {
  const type = avro.Type.forSchema(structuredClone(schema) as AvroSchema, {
    typeHook: (part) =>
      part === 'long' || (part as { type?: unknown }).type === 'long' ? long : undefined,
    wrapUnions: 'never',
  });
  return framed(id, type.toBuffer(value));
}

function recordSchema(fields: Readonly<Record<string, unknown>>): object {
  return {
    type: 'record',
    name: 'Event',
    namespace: 'test.ns',
    fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
  };
}

/** Decodes one value of one column. */
async function column(type: unknown, value: unknown, dtype: Dtype) {
  const schema = recordSchema({ c: type });
  const decoder = decoderFor(sourceOf([{ name: 'c', dtype }], { stream: { format: 'avro' } }), {
    registry: registryOf([schema]),
  });
  const [decoded] = await decoder.decode([recordOf(encode(schema, { c: value }))]);
  if (decoded instanceof SamewiseError) return decoded.code;
  return rowOf(decoded!).values.c;
}

const nullable = (type: unknown) => ['null', type];

function typeOf(dtype: Dtype): unknown {
  switch (dtype.kind) {
    case 'bool':
      return 'boolean';
    case 'int32':
      return 'int';
    case 'int64':
      return 'long';
    case 'float32':
      return 'float';
    case 'float64':
      return 'double';
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-micros' };
    case 'date':
      return { type: 'int', logicalType: 'date' };
    case 'list':
      return { type: 'array', items: nullable(typeOf(dtype.of)) };
    case 'vector':
      return { type: 'array', items: 'float' };
    default:
      return dtype.kind;
  }
}

function written(value: Scalar | null, dtype: Dtype): unknown {
  if (value === null) return null;
  if (dtype.kind === 'timestamp') return BigInt(value as number);
  if (dtype.kind === 'bytes') return Buffer.from(value as Uint8Array);
  if (dtype.kind === 'vector') return Array.from(value as Float32Array);
  if (dtype.kind === 'list')
    return (value as readonly (Scalar | null)[]).map((item) => written(item, dtype.of));
  return value;
}

test('a row of any types comes back as it was written', async () => {
  await fc.assert(
    fc.asyncProperty(tables(), fc.boolean(), async ({ columns, rows }, extra) => {
      const fields = Object.fromEntries(
        columns.map(({ name, dtype }) => [name, nullable(typeOf(dtype))]),
      );
      const more = { type: 'map', values: { type: 'array', items: ['string', 'double'] } };
      const schema = recordSchema(extra ? { more, ...fields, zz: more } : fields);
      const spare = { x: ['a', 1.5], y: [] };
      const records = rows.map((row) => {
        const fieldValues = Object.fromEntries(
          columns.map(({ name, dtype }) => [name, written(row[name]!, dtype)]),
        );
        return recordOf(
          encode(schema, extra ? { ...fieldValues, more: spare, zz: spare } : fieldValues),
        );
      });
      const decoder = decoderFor(sourceOf(columns, { stream: { format: 'avro' } }), {
        registry: registryOf([schema]),
      });
      const decoded = await decoder.decode(records);
      decoded.forEach((row, i) => {
        assertSameRow(columns, rowOf(row).values, rows[i]!);
      });
    }),
    { numRuns: cases(100) },
  );
});

test('logical types, decimals, enums and unions mean what they mean', async () => {
  const instant = (unit: string) => ({ type: 'long', logicalType: `timestamp-${unit}` });
  const decimal = { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 };
  const cents = Buffer.from([0xff, 0x01]);
  assert.equal(await column(instant('millis'), 5n, timestamp), 5000);
  assert.equal(await column(instant('millis'), 5n, int64), 5);
  assert.equal(await column(instant('nanos'), 1795244316165900000n, timestamp), 1795244316165900n);
  assert.equal(await column(instant('nanos'), 1n, timestamp), 'types/out-of-range');
  assert.equal(await column(instant('millis'), 86_400_000n, date), 1);
  assert.equal(await column({ type: 'int', logicalType: 'date' }, 2, timestamp), 172_800_000_000);
  assert.equal(await column(decimal, cents, string), '-2.55');
  assert.equal(await column(decimal, cents, float64), -2.55);
  assert.equal(await column({ ...decimal, scale: 0 }, cents, int64), -255n);
  assert.equal(
    await column(
      { type: 'fixed', name: 'd', size: 2, logicalType: 'decimal', precision: 4, scale: 3 },
      Buffer.from([0, 5]),
      string,
    ),
    '0.005',
  );
  const uuid = { type: 'string', logicalType: 'uuid' };
  assert.equal(await column(uuid, '7f0c2a52-8b1e', string), '7f0c2a52-8b1e');
  assert.equal(await column({ type: 'enum', name: 'e', symbols: ['A', 'B'] }, 'B', string), 'B');
  assert.equal(
    (await column({ type: 'fixed', name: 'f', size: 1 }, Buffer.from([7]), bytes)) instanceof
      Uint8Array,
    true,
  );
  assert.equal(await column('long', 9007199254740993n, int64), 9007199254740993n);
  assert.deepEqual(await column({ type: 'array', items: 'double' }, [0.5], vector(1)), [0.5]);
  assert.equal(await column(['null', 'string', 'long'], null, string), null);
  assert.equal(await column(['long', 'null'], -3n, int64), -3);
  assert.equal(await column('string', 'x', timestamp), 'x');
});

test('a type that a column does not take is a changed schema, never a guess', async () => {
  for (const [type, value, dtype] of [
    // Of a bare long nobody knows the unit.
    ['long', 5n, timestamp],
    ['int', 5, timestamp],
    ['string', '5', float64],
    ['double', 0.5, int64],
    [{ type: 'map', values: 'long' }, {}, list(int64)],
    ['null', null, int64],
  ] as const) {
    const expected = type === 'null' ? null : 'stream/schema-changed';
    assert.equal(await column(type, value, dtype), expected);
  }
});

const first = recordSchema({ id: 'long', amount: 'double', at: typeOf(timestamp) });
const source = sourceOf(
  [
    { name: 'id', dtype: int64 },
    { name: 'amount', dtype: float64 },
    { name: 'at', dtype: timestamp },
  ],
  { eventId: 'id', stream: { format: 'avro' } },
);
const values = { id: 1n, amount: 0.5, at: 7n };

test('a writer’s schema may change compatibly; one that lost or changed a column is told once and named', async () => {
  const wider = recordSchema({
    note: nullable('string'),
    at: { type: 'long', logicalType: 'timestamp-millis' },
    amount: nullable('float'),
    id: 'int',
  });
  const lost = recordSchema({ id: 'long', at: typeOf(timestamp) });
  const other = recordSchema({ id: 'long', at: 'string', amount: 'string' });
  const told: SchemaChange[] = [];
  const decoder = decoderFor(source, {
    registry: registryOf([first, wider, lost, other]),
    onSchemaChange: (change) => told.push(change),
  });
  const bad = recordOf(encode(lost, values, 3));
  const decoded = await decoder.decode([
    recordOf(encode(first, values, 1)),
    recordOf(encode(wider, { ...values, id: 1, note: 'n' }, 2)),
    bad,
    bad,
    recordOf(encode(other, { id: 1n, at: 'x', amount: 'y' }, 4)),
  ]);
  assert.deepEqual(rowOf(decoded[0]!).values, { id: 1, amount: 0.5, at: 7 });
  assert.deepEqual(rowOf(decoded[1]!).values, { id: 1, amount: 0.5, at: 7000 });
  assert.deepEqual(decoded.slice(2).map(codeOf), Array(3).fill('stream/schema-changed amount'));
  assert.match(
    (decoded[2] as SamewiseError).message,
    /schema 3 .*amount \(null \| float\) is gone/,
  );
  await decoder.decode([bad]);
  assert.deepEqual(told, [
    {
      source: 'events',
      schemaId: 3,
      columns: [{ column: 'amount', was: 'null | float', is: null }],
    },
    {
      source: 'events',
      schemaId: 4,
      columns: [{ column: 'amount', was: 'null | float', is: 'string' }],
    },
  ]);
});

test('an unknown schema, a missing frame and cut or trailing bytes are errors of the record; an unreachable registry is not', async () => {
  const whole = encode(first, values);
  const decoder = decoderFor(source, { registry: registryOf([first]) });
  const codes = async (...records: Uint8Array[]) =>
    (await decoder.decode(records.map((value) => recordOf(value)))).map(codeOf);
  assert.deepEqual(
    await codes(
      framed(9, whole.subarray(5)),
      whole.subarray(4),
      whole.subarray(0, 4),
      whole.subarray(0, 8),
      new Uint8Array([...whole, 0]),
    ),
    [
      'stream/unknown-schema',
      'stream/not-framed',
      'stream/not-framed',
      'stream/truncated amount',
      'stream/bad-avro',
    ],
  );
  const away = new SamewiseError('stream/registry-unavailable', 'away');
  const cut = decoderFor(source, { registry: { schema: () => Promise.reject(away) } });
  await assert.rejects(cut.decode([recordOf(whole)]), away);
  await assert.rejects(decoderFor(source).decode([recordOf(whole)]), {
    code: 'stream/no-registry',
  });
  const broken = decoderFor(source, {
    registry: registryOf(['{', '"double"', '{"type":"record","name":"a"}', '"x.y"']),
  });
  for (const id of [1, 2, 3, 4])
    assert.equal(
      codeOf((await broken.decode([recordOf(framed(id, whole))]))[0]!),
      'stream/bad-schema',
    );
});

test('a tombstone takes the id from a key of Avro, of JSON, or from nowhere', async () => {
  const key = { type: 'record', name: 'Key', fields: [{ name: 'id', type: 'long' }] };
  const decoder = decoderFor(
    { ...source, mutable: true },
    { registry: registryOf([first, key, '"string"']) },
  );
  const gone = async (bytes: Uint8Array | string) =>
    (await decoder.decode([recordOf(null, { key: bytes })]))[0]!;
  const retract = { op: 'retract', values: { id: 5 } };
  assert.deepEqual(await gone(encode(key, { id: 5n }, 2)), retract);
  assert.deepEqual(await gone('{"id":5}'), retract);
  assert.equal(await gone(framed(3, new Uint8Array([2, 65]))), null);
  assert.equal(codeOf(await gone(framed(2, new Uint8Array()))), 'stream/truncated id');
});

test('random bytes and damaged records are rows or coded errors, and cost no more than they hold', async () => {
  const tree = {
    type: 'record',
    name: 'Tree',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'kids', type: { type: 'array', items: 'Tree' } },
      { name: 'nulls', type: { type: 'array', items: 'null' } },
      { name: 'm', type: { type: 'map', values: ['null', 'Tree', 'string'] } },
      { name: 's', type: ['null', 'string'] },
      { name: 'l', type: { type: 'array', items: ['null', 'string'] } },
    ],
  };
  const of = sourceOf(
    [
      { name: 'id', dtype: int64 },
      { name: 's', dtype: string },
      { name: 'l', dtype: list(string) },
    ],
    { stream: { format: 'avro' } },
  );
  const decoder = decoderFor(of, { registry: registryOf([tree]) });
  const leaf = { id: 2n, kids: [], nulls: [null], m: { a: 'b' }, s: 'é', l: ['x', null] };
  const whole = encode(tree, { ...leaf, kids: [leaf, { ...leaf, kids: [leaf] }] });
  const bytesLike = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((body) => framed(1, body)),
    fc
      .array(fc.tuple(fc.integer({ min: 5, max: whole.length - 1 }), fc.nat(255)), { maxLength: 4 })
      .map((changes) => {
        const copy = whole.slice();
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      }),
  );
  await fc.assert(
    fc.asyncProperty(bytesLike, async (value) => {
      const [result] = await decoder.decode([recordOf(value)]);
      if (result instanceof SamewiseError) assert.notEqual(result.code, 'stream/unreadable');
    }),
    { numRuns: cases(1000) },
  );
  const deep = framed(1, new Uint8Array(5000).fill(2));
  assert.match(codeOf((await decoder.decode([recordOf(deep)]))[0]!), /^stream\/too-deep/);
});
