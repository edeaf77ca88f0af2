import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Binary,
  Bool,
  type Data,
  DataType,
  DateDay,
  DateMillisecond,
  DateUnit,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  makeBuilder,
  makeVector,
  Table,
  TimeMillisecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableToIPC,
  Utf8,
  type Vector,
} from 'apache-arrow';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { rowsOfBody } from '../../src/stream/decode/index.ts';
import type { Schema } from '../../src/types/batch.ts';
import {
  type Dtype,
  date,
  float64,
  int64,
  list,
  string,
  timestamp,
} from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { assertSameRow, bytesOf, jsonTextOf, sourceOf, tables } from './decode_support.ts';

const JSON_BODY = 'application/json';
const LINES = 'application/x-ndjson';
const STREAM = 'application/vnd.apache.arrow.stream';

const source = sourceOf([
  { name: 'id', dtype: int64 },
  { name: 'amount', dtype: float64 },
]);

const rowsOf = (type: string, body: string | Uint8Array, of = source) =>
  rowsOfBody(of, type, bytesOf(body)!);

test('rows of any types come back from JSON, from lines and from Arrow', async () => {
  await fc.assert(
    fc.asyncProperty(tables(), async ({ columns, rows }) => {
      const of = sourceOf(columns);
      const texts = rows.map((row) => jsonTextOf(columns, row));
      for (const [type, body] of [
        [JSON_BODY, `[${texts.join(',')}]`],
        [LINES, texts.join('\n')],
        [STREAM, arrowOf(columns, rows, 'stream')],
        ['application/vnd.apache.arrow.file', arrowOf(columns, rows, 'file')],
      ] as const) {
        const read = await rowsOf(type, body, of);
        assert.equal(read.length, rows.length, type);
        for (const [i, values] of read.entries()) assertSameRow(columns, values, rows[i]!);
      }
    }),
    { numRuns: cases(40) },
  );
});

test('one object is one row; fields that are no columns stay to be refused', async () => {
  assert.deepEqual(await rowsOf(JSON_BODY, '{"id":9007199254740993,"amuont":1}'), [
    { id: 9007199254740993n, amuont: 1 },
  ]);
  assert.deepEqual(await rowsOf('Application/JSON; charset=utf-8', '[]'), []);
  assert.deepEqual(await rowsOf(LINES, '\n{"id":1}\r\n\n{"id":2}\n'), [{ id: 1 }, { id: 2 }]);
});

test('what is wrong is coded and says where', async () => {
  const refused = async (type: string, body: string | Uint8Array, code: string, where: object) => {
    await assert.rejects(rowsOf(type, body), (error: SamewiseError) => {
      assert.deepEqual([error.code, error.where], [code, where]);
      return true;
    });
  };
  await refused('text/csv', 'id', 'stream/unsupported-media-type', {});
  await refused(JSON_BODY, '', 'stream/bad-json', {});
  await refused(JSON_BODY, new Uint8Array([0x22, 0xff, 0x22]), 'stream/not-utf8', {});
  await refused(JSON_BODY, '[{"id":1},7]', 'stream/not-an-object', { row: 1 });
  await refused(JSON_BODY, '[{"amount":1e999}]', 'types/out-of-range', {
    row: 0,
    column: 'amount',
  });
  await refused(JSON_BODY, `{"x":${'['.repeat(99)}${']'.repeat(99)}}`, 'stream/too-deep', {
    row: 0,
    column: 'x',
  });
  await refused(LINES, '{"id":1}\n\n{"id":\n', 'stream/bad-json', { line: 3 });
  await refused(LINES, new Uint8Array([0x7b, 0x7d, 0x0a, 0xff]), 'stream/not-utf8', { line: 2 });
  await refused(STREAM, 'not arrow', 'stream/bad-arrow', {});
  const limits = { rows: 1 };
  for (const [type, body] of [
    [JSON_BODY, '[{},{}]'],
    [LINES, '{}\n{}'],
    [
      STREAM,
      arrowOf(
        source.columns,
        [
          { id: 1n, amount: 2 },
          { id: 1n, amount: 2 },
        ],
        'stream',
      ),
    ],
  ] as const)
    await assert.rejects(rowsOfBody(source, type, bytesOf(body)!, limits), {
      code: 'stream/too-many-rows',
    });
});

test('Arrow’s other types mean what they mean, exactly', async () => {
  const read = async (type: DataType, value: unknown, dtype: Dtype) => {
    const body = tableToIPC(new Table({ c: vectorOf(type, [null, value]) }), 'stream');
    const rows = await rowsOf(STREAM, body, sourceOf([{ name: 'c', dtype }]));
    assert.equal(rows[0]!.c, null);
    return rows[1]!.c;
  };
  assert.equal(await read(new TimestampSecond(), 5n, timestamp), 5_000_000n);
  assert.equal(await read(new TimestampMillisecond(), 5n, timestamp), 5_000n);
  assert.equal(
    await read(new TimestampNanosecond(), 1795244316165900000n, timestamp),
    1795244316165900n,
  );
  await assert.rejects(read(new TimestampNanosecond(), 1n, timestamp), {
    code: 'types/out-of-range',
  });
  assert.equal(await read(new TimestampNanosecond(), 1n, int64), 1n);
  assert.equal(await read(new TimestampSecond(), 86_400n, date), 1);
  await assert.rejects(read(new TimestampSecond(), 86_401n, date), { code: 'types/wrong-type' });
  assert.equal(await read(new DateDay(), 3, timestamp), 3 * 86_400_000_000);
  assert.equal(await read(new DateMillisecond(), 3n * 86_400_000n, date), 3);
  assert.equal(await read(new Float16(), 1.5, float64), 1.5);
  const cents = new Uint32Array([12345, 0, 0, 0]);
  assert.equal(await read(new Decimal(2, 10, 128), cents, string), '123.45');
  assert.equal(await read(new Decimal(2, 10, 128), cents, float64), 123.45);
  assert.equal(await read(new Decimal(0, 10, 128), cents, int64), 12345n);
  assert.equal(await read(new Dictionary(new Utf8(), new Int32()), 'DE', string), 'DE');
  await assert.rejects(read(new TimeMillisecond(), 5, timestamp), { code: 'types/wrong-type' });
});

test('random and damaged bytes of Arrow are rows or coded errors, and cost no more than they hold', async () => {
  const of = sourceOf([
    ...source.columns,
    { name: 's', dtype: list(string) },
    { name: 'd', dtype: string },
  ]);
  const table = new Table({
    id: vectorOf(new Int64(), [1n, null]),
    s: vectorOf(new List(new Field('item', new Utf8(), true)), [['a', null, 'bcd'], null]),
    d: vectorOf(new Dictionary(new Utf8(), new Int32()), ['x', 'y']),
  });
  for (const format of ['stream', 'file'] as const) {
    const whole = tableToIPC(table, format);
    const damaged = fc
      .tuple(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(whole.length),
        fc.boolean(),
      )
      .map(([changes, length, cut]) => {
        const copy = whole.slice();
        for (const [at, byte] of changes) copy[at] = byte;
        return cut ? copy.subarray(0, length) : copy;
      });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof({ weight: 1, arbitrary: fc.uint8Array() }, { weight: 9, arbitrary: damaged }),
        async (body) => {
          try {
            await rowsOf(STREAM, body, of);
          } catch (error) {
            if (!(error instanceof SamewiseError)) throw error;
          }
        },
      ),
      { numRuns: cases(1000) },
    );
  }
});

function arrowOf(
  columns: Schema,
  rows: readonly Readonly<Record<string, Scalar | null>>[],
  format: 'stream' | 'file',
): Uint8Array {
  const vectors = columns.map(
    ({ name, dtype }) =>
      [
        name,
        vectorOf(
          arrowType(dtype),
          rows.map((row) => stored(row[name]!, dtype)),
        ),
      ] as const,
  );
  return tableToIPC(new Table(Object.fromEntries(vectors)), format);
}

function vectorOf(type: DataType, values: readonly unknown[]): Vector {
  const builder = makeBuilder({ type: storage(type), nullValues: [null] });
  for (const value of values) builder.append(value as never);
  return makeVector(retyped(builder.finish().flush(), type));
}

/** What the library keeps values of a type as: its own setters take milliseconds and round. */
function storage(type: DataType): DataType {
  if (DataType.isTimestamp(type)) return new Int64();
  if (DataType.isTime(type)) return new Int32();
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? new Int32() : new Int64();
  if (DataType.isList(type)) return new List(new Field('item', storage(type.valueType), true));
  return type;
}

function stored(value: Scalar | null, dtype: Dtype): unknown {
  if (value === null) return null;
  if (dtype.kind === 'timestamp') return BigInt(value as number);
  if (dtype.kind === 'list')
    return (value as readonly (Scalar | null)[]).map((item) => stored(item, dtype.of));
  return value;
}

function retyped(data: Data, type: DataType): Data {
  return data.clone(
    type,
    data.offset,
    data.length,
    data.nullCount,
    data.buffers,
    data.children.map((child, i) => retyped(child, type.children[i].type)),
  );
}

function arrowType(dtype: Dtype): DataType {
  switch (dtype.kind) {
    case 'bool':
      return new Bool();
    case 'int32':
      return new Int32();
    case 'int64':
      return new Int64();
    case 'float32':
      return new Float32();
    case 'float64':
      return new Float64();
    case 'string':
      return new Utf8();
    case 'bytes':
      return new Binary();
    case 'timestamp':
      return new TimestampMicrosecond();
    case 'date':
      return new DateDay();
    case 'list':
      return new List(new Field('item', arrowType(dtype.of), true));
    case 'vector':
      return new FixedSizeList(dtype.size, new Field('item', new Float32(), true));
  }
}
