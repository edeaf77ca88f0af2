import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { SamewiseError } from '../../src/base/errors.ts';
import { decoderFor, type SchemaChange } from '../../src/stream/decode/index.ts';
import type { Schema } from '../../src/types/batch.ts';
import {
  bool,
  bytes,
  type Dtype,
  date,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import { coerce, type Scalar, scalarToJsonText } from '../../src/types/scalar.ts';
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

const Long = protobuf.util.Long as unknown as {
  fromString(digits: string, unsigned?: boolean): unknown;
  fromNumber(value: number, unsigned?: boolean): unknown;
};
const IMPORTS = ['timestamp', 'wrappers']
  .map((name) => `import "google/protobuf/${name}.proto";`)
  .join('\n');

function typeIn(text: string, name: string): protobuf.Type {
  const root = new protobuf.Root();
  for (const file of ['timestamp', 'wrappers'])
    root.addJSON(protobuf.common.get(`google/protobuf/${file}.proto`)!.nested!);
  protobuf.parse(text, root, { keepCase: true });
  return root.lookupType(name);
}

/** A message as it is written through a registry: the path of its type comes first. */
function encode(
  text: string,
  name: string,
  value: object,
  id = 1,
  path: number[] = [0],
): Uint8Array {
  const message = typeIn(text, name).encode(value).finish();
  return framed(id, new Uint8Array([...path, ...message]));
}

const protobufOf = (columns: Schema, message: string | null = null) =>
  sourceOf(columns, { stream: { format: 'protobuf', message } });

/** Decodes and coerces one column of a message with one field, 1. */
async function column(declaration: string, value: object, dtype: Dtype) {
  const text = `syntax = "proto3"; ${IMPORTS} message M { ${declaration} enum E { A = 0; B = 5; } }`;
  const decoder = decoderFor(protobufOf([{ name: 'c', dtype }]), {
    registry: registryOf([text], 'PROTOBUF'),
  });
  const [decoded] = await decoder.decode([recordOf(encode(text, 'M', value))]);
  if (decoded instanceof SamewiseError) return decoded.code;
  return coerce(rowOf(decoded!).values.c, dtype);
}

const FIELDS: Partial<Record<Dtype['kind'], readonly string[]>> = {
  bool: ['bool', 'google.protobuf.BoolValue'],
  int32: ['int32', 'sint32', 'sfixed32', 'google.protobuf.Int32Value'],
  int64: ['int64', 'sint64', 'sfixed64', 'google.protobuf.Int64Value'],
  float32: ['float', 'google.protobuf.FloatValue'],
  float64: ['double', 'google.protobuf.DoubleValue'],
  string: ['string', 'google.protobuf.StringValue'],
  bytes: ['bytes', 'google.protobuf.BytesValue'],
  timestamp: ['google.protobuf.Timestamp'],
  date: ['string'],
};

function valueFor(value: Scalar, dtype: Dtype, field: string): unknown {
  switch (dtype.kind) {
    case 'int64':
      return wrapped(field, Long.fromString(String(value)));
    case 'timestamp': {
      const seconds = Math.floor((value as number) / 1e6);
      return {
        seconds: Long.fromNumber(seconds),
        nanos: ((value as number) - seconds * 1e6) * 1000,
      };
    }
    case 'date':
      return JSON.parse(scalarToJsonText(value, dtype));
    default:
      return wrapped(field, value);
  }
}

const wrapped = (field: string, value: unknown) => (field.includes('.') ? { value } : value);

test('a row of any types that Protobuf has comes back as it was written', async () => {
  const scalar = ({ kind }: Dtype) => FIELDS[kind] !== undefined;
  const supported = (dtype: Dtype) => scalar(dtype) || (dtype.kind === 'list' && scalar(dtype.of));
  await fc.assert(
    fc.asyncProperty(tables(supported), fc.nat(3), async ({ columns, rows }, pick) => {
      const fields = columns.map(({ dtype }) => {
        const { kind } = (dtype.kind === 'list' ? dtype.of : dtype) as Dtype;
        const choices = FIELDS[kind]!;
        return choices[pick % choices.length]!;
      });
      const declared = columns.map(
        ({ name, dtype }, i) =>
          `${dtype.kind === 'list' ? 'repeated' : 'optional'} ${fields[i]} ${name} = ${20 - i * 3};`,
      );
      const text = `syntax = "proto3"; package p.q; ${IMPORTS}
        message Before { string x = 1; }
        message Row { map<string, Before> more = 200; ${declared.join('\n')} Before other = 201; }`;
      // There are no nulls in lists, and no lists that are null.
      const kept = rows.map((row) =>
        Object.fromEntries(
          columns.map(({ name, dtype }) => [
            name,
            dtype.kind === 'list'
              ? ((row[name] ?? []) as Scalar[]).filter((item) => item !== null)
              : row[name]!,
          ]),
        ),
      );
      const records = kept.map((row) => {
        const message: Record<string, unknown> = { more: { a: { x: 'y' } }, other: { x: 'é' } };
        columns.forEach(({ name, dtype }, i) => {
          const value = row[name]!;
          if (value === null) return;
          message[name] =
            dtype.kind === 'list'
              ? (value as Scalar[]).map((item) => valueFor(item, dtype.of, fields[i]!))
              : valueFor(value, dtype, fields[i]!);
        });
        return recordOf(encode(text, 'p.q.Row', message, 1, [2, 2]));
      });
      const decoder = decoderFor(protobufOf(columns, 'p.q.Row'), {
        registry: registryOf([text], 'PROTOBUF'),
      });
      (await decoder.decode(records)).forEach((decoded, i) => {
        assertSameRow(columns, rowOf(decoded).values, kept[i]!);
      });
    }),
    { numRuns: cases(100) },
  );
});

test('fields mean what they mean, and what is not written is null or its type’s zero', async () => {
  const at = (seconds: number, nanos: number) => ({ c: { seconds, nanos } });
  const stamp = 'google.protobuf.Timestamp c = 1;';
  assert.equal(await column(stamp, at(5, 1000), timestamp), 5_000_001);
  assert.equal(await column(stamp, at(-1, 999_999_000), timestamp), -1);
  assert.equal(await column(stamp, at(5, 1), timestamp), 'types/out-of-range');
  assert.equal(await column(stamp, at(5, 1), int64), 5_000_000_001n);
  assert.equal(await column(stamp, at(86_400, 0), date), 1);
  assert.equal(await column(stamp, {}, timestamp), null);
  assert.equal(await column('E c = 1;', { c: 5 }, string), 'B');
  assert.equal(await column('E c = 1;', {}, string), 'A');
  assert.equal(await column('E c = 1;', { c: 9 }, string), 'stream/bad-protobuf');
  assert.equal(await column('int64 c = 1;', {}, int64), 0n);
  assert.equal(await column('optional int64 c = 1;', {}, int64), null);
  assert.equal(await column('oneof o { int64 c = 1; }', {}, int64), null);
  assert.equal(await column('google.protobuf.Int64Value c = 1;', {}, int64), null);
  assert.equal(await column('google.protobuf.Int64Value c = 1;', { c: {} }, int64), 0n);
  assert.equal(await column('bool c = 1;', {}, bool), false);
  assert.deepEqual(await column('bytes c = 1;', {}, bytes), new Uint8Array());
  assert.deepEqual(await column('repeated E c = 1;', { c: [5, 0] }, list(string)), ['B', 'A']);
  assert.deepEqual(
    await column('repeated int32 c = 1 [packed = false];', { c: [1, -2] }, list(int32)),
    [1, -2],
  );
  assert.deepEqual(
    await column('repeated double c = 1;', { c: [0.5] }, vector(1)),
    new Float32Array([0.5]),
  );
  const greatest = Long.fromString('18446744073709551615', true);
  assert.equal(await column('uint64 c = 1;', { c: Long.fromNumber(7, true) }, int64), 7n);
  await assert.rejects(column('uint64 c = 1;', { c: greatest }, int64), {
    code: 'types/out-of-range',
  });
  await assert.rejects(column('fixed64 c = 1;', { c: greatest }, int64), {
    code: 'types/out-of-range',
  });
  assert.equal(await column('uint32 c = 1;', { c: 4294967295 }, int64), 4294967295n);
  assert.equal(await column('fixed32 c = 1;', { c: 4294967295 }, float64), 4294967295);
  for (const [declaration, dtype] of [
    ['int64 c = 1;', timestamp],
    ['uint32 c = 1;', int32],
    ['map<string, int64> c = 1;', list(int64)],
    ['repeated int64 c = 1;', int64],
    ['int64 c = 1;', list(int64)],
    ['int64 d = 1;', int64],
  ] as const)
    assert.equal(await column(declaration, {}, dtype), 'stream/schema-changed');
});

test('Confluent’s decimals are read', async () => {
  const text = `syntax = "proto3"; import "confluent/type/decimal.proto"; message M { confluent.type.Decimal c = 1; }`;
  const body = new Uint8Array([0, 0x0a, 6, 0x0a, 2, 0xff, 0x01, 0x18, 2]);
  for (const [dtype, value] of [
    [string, '-2.55'],
    [float64, -2.55],
  ] as const) {
    const decoder = decoderFor(protobufOf([{ name: 'c', dtype }]), {
      registry: registryOf([text], 'PROTOBUF'),
    });
    const [decoded] = await decoder.decode([recordOf(framed(1, body))]);
    assert.equal(rowOf(decoded!).values.c, value);
  }
});

const FIRST =
  'syntax = "proto3"; package p; message M { int64 id = 1; double amount = 2; message In { int64 id = 1; double amount = 3; } } message N { int64 id = 1; }';
const COLUMNS: Schema = [
  { name: 'id', dtype: int64 },
  { name: 'amount', dtype: float64 },
];

test('the path says which message; a schema that lost a column is told once', async () => {
  const told: SchemaChange[] = [];
  const wider = FIRST.replace('double amount = 2', 'float amount = 7; string note = 2');
  const decoder = decoderFor(protobufOf(COLUMNS), {
    registry: registryOf([FIRST, wider], 'PROTOBUF'),
    onSchemaChange: (change) => told.push(change),
  });
  const value = { id: 3, amount: 0.5 };
  const decoded = await decoder.decode([
    recordOf(encode(FIRST, 'p.M', value)),
    recordOf(encode(FIRST, 'p.M', value, 1, [2, 0])),
    recordOf(encode(FIRST, 'p.M.In', value, 1, [4, 0, 0])),
    recordOf(encode(wider, 'p.M', value, 2)),
    recordOf(encode(FIRST, 'p.N', value, 1, [2, 2])),
    recordOf(encode(FIRST, 'p.N', value, 1, [2, 2])),
    recordOf(encode(FIRST, 'p.M', value, 1, [2, 8])),
    recordOf(encode(FIRST, 'p.M', value, 9)),
    recordOf(framed(1, new Uint8Array([1]))),
  ]);
  for (const row of decoded.slice(0, 4)) assert.deepEqual({ ...rowOf(row).values }, value);
  assert.deepEqual(decoded.slice(4).map(codeOf), [
    'stream/schema-changed amount',
    'stream/schema-changed amount',
    'stream/unknown-message',
    'stream/unknown-schema',
    'stream/not-framed',
  ]);
  assert.deepEqual(told, [
    { source: 'events', schemaId: 1, columns: [{ column: 'amount', was: 'float', is: null }] },
  ]);
  const named = decoderFor(protobufOf(COLUMNS, 'p.N'), {
    registry: registryOf([FIRST], 'PROTOBUF'),
  });
  assert.equal(
    codeOf((await named.decode([recordOf(encode(FIRST, 'p.M', value))]))[0]!),
    'stream/other-message',
  );
  const broken = decoderFor(protobufOf(COLUMNS), {
    registry: registryOf(
      ['message {', 'syntax = "proto3"; message M { Nowhere x = 1; }'],
      'PROTOBUF',
    ),
  });
  for (const id of [1, 2])
    assert.equal(
      codeOf((await broken.decode([recordOf(framed(id, new Uint8Array([0])))]))[0]!),
      'stream/bad-schema',
    );
});

test('a header, or a field of its own, takes an event away', async () => {
  const text = 'syntax = "proto3"; message M { int64 id = 1; double amount = 2; string __op = 3; }';
  const decoder = decoderFor(protobufOf(COLUMNS), { registry: registryOf([text], 'PROTOBUF') });
  const [plain, field, header] = await decoder.decode([
    recordOf(encode(text, 'M', { id: 1 })),
    recordOf(encode(text, 'M', { id: 1, __op: 'retract' })),
    recordOf(encode(text, 'M', { id: 1 }), { headers: { 'samewise-op': 'retract' } }),
  ]);
  assert.deepEqual(
    [plain, field, header].map((one) => rowOf(one!).op),
    ['upsert', 'retract', 'retract'],
  );
  assert.deepEqual(rowOf(field!).values, { id: 1, amount: 0 });
});

test('random bytes and damaged records are rows or coded errors', async () => {
  const text = `syntax = "proto3"; ${IMPORTS} message M { int64 id = 1; double amount = 2;
    google.protobuf.Timestamp at = 3; repeated sint64 ids = 4; google.protobuf.StringValue s = 5; M more = 6; }`;
  const decoder = decoderFor(
    protobufOf([
      ...COLUMNS,
      { name: 'at', dtype: timestamp },
      { name: 'ids', dtype: list(int64) },
      { name: 's', dtype: string },
    ]),
    { registry: registryOf([text], 'PROTOBUF') },
  );
  const whole = encode(text, 'M', {
    id: 1,
    amount: 2,
    at: { seconds: 5, nanos: 7000 },
    ids: [1, -1, 1e15],
    s: { value: 'é' },
    more: { id: 1, more: { id: 5 } },
  });
  const records = fc.oneof(
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
    fc.asyncProperty(records, async (value) => {
      const [result] = await decoder.decode([recordOf(value)]);
      if (result instanceof SamewiseError)
        assert.notEqual(result.code, 'stream/unreadable', result.message);
    }),
    { numRuns: cases(1000) },
  );
  const groups = framed(1, new Uint8Array([0, ...new Uint8Array(500).fill(0x7b)]));
  assert.equal(codeOf((await decoder.decode([recordOf(groups)]))[0]!), 'stream/too-deep');
});
