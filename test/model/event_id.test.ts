/** Event ids against a slow twin that writes each row with ByteWriter; golden values, because ids lie in pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../src/base/bytes.ts';
import { hash64 } from '../../src/base/hash.ts';
import { DEFAULT_STREAM, eventIdColumns, eventIds, type Source } from '../../src/model/index.ts';
import { batchOf } from '../../src/types/batch.ts';
import { columnOf } from '../../src/types/column.ts';
import { bytes, type Dtype, date, int32, int64, string, timestamp } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { anyDtype, nullableOf } from '../types/arbitraries.ts';

function sourceOf(columns: Record<string, Dtype>, change: Partial<Source> = {}): Source {
  return {
    kind: 'source',
    name: 's',
    description: '',
    owner: '',
    tags: {},
    columns: Object.entries(columns).map(([name, dtype]) => ({ name, dtype })),
    eventTime: 'at',
    eventId: null,
    lookups: [],
    arrivalTime: null,
    op: null,
    mutable: false,
    latenessUs: 0,
    batch: null,
    stream: DEFAULT_STREAM,
    ...change,
  };
}

const ids = (dtype: Dtype, values: (Scalar | null)[]) =>
  Array.from(
    eventIds(sourceOf({ id: dtype }, { eventId: 'id' }), batchOf({ id: columnOf(dtype, values) })),
  );

test('a whole number, an instant or a date is its own id', () => {
  const big = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 9007199254740993n];
  assert.deepEqual(ids(int64, big), big);
  for (const dtype of [int32, date])
    assert.deepEqual(ids(dtype, [0, -1, 2147483647, -2147483648]), [
      0n,
      -1n,
      2147483647n,
      -2147483648n,
    ]);
  const instants = [0, -1, 9007199254740991, -9007199254740991, 4294967296, -4294967297];
  assert.deepEqual(ids(timestamp, instants), instants.map(BigInt));
});

test('text and bytes are hashed', () => {
  const texts = ['', 'a', 'été', '𝄞 and more', 'x'.repeat(3000)];
  const encoded = texts.map((text) => new TextEncoder().encode(text));
  assert.deepEqual(ids(string, texts), encoded.map(hash64));
  assert.deepEqual(ids(bytes, encoded), encoded.map(hash64));
  assert.deepEqual(ids(string, ['0e8f2b34-1c52-4f3e-9d6e-6a4dd1b0f0aa']), [-5806346740401056014n]);
});

test('a null id is told with its row', () => {
  assert.throws(() => ids(int64, [1n, null]), {
    code: 'model/null-event-id',
    where: { source: 's', column: 'id', row: 1 },
  });
});

/** The slow twin of one row. */
function contentId(
  columns: ReadonlyMap<string, Dtype>,
  row: ReadonlyMap<string, Scalar | null>,
): bigint {
  const writer = new ByteWriter();
  const cell = (value: Scalar | null, dtype: Dtype): void => {
    writer.u8(value === null ? 0 : 1);
    if (value === null) return;
    if (dtype.kind === 'bool') writer.u8(value ? 1 : 0);
    else if (dtype.kind === 'int32' || dtype.kind === 'date') writer.i32(value as number);
    else if (dtype.kind === 'int64') writer.i64(value as bigint);
    else if (dtype.kind === 'float32')
      writer.raw(new Uint8Array(Float32Array.of(value as number).buffer));
    else if (dtype.kind === 'float64' || dtype.kind === 'timestamp') writer.f64(value as number);
    else if (dtype.kind === 'list') {
      writer.u32((value as Scalar[]).length);
      for (const item of value as (Scalar | null)[]) cell(item, dtype.of);
    } else if (dtype.kind === 'vector') {
      writer.raw(new Uint8Array((value as Float32Array).slice().buffer));
    } else {
      const data =
        dtype.kind === 'string' ? new TextEncoder().encode(value as string) : (value as Uint8Array);
      writer.u32(data.length);
      writer.raw(data);
    }
  };
  for (const name of [...columns.keys()].sort()) cell(row.get(name)!, columns.get(name)!);
  return hash64(writer.finish());
}

const table = fc
  .uniqueArray(fc.tuple(fc.string({ maxLength: 3 }), anyDtype), {
    minLength: 1,
    maxLength: 6,
    selector: ([name]) => name,
  })
  .chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(fc.tuple(...columns.map(([, dtype]) => nullableOf(dtype))), { maxLength: 5 }),
    }),
  );

test('without an id the content is hashed, whatever the order of columns', () => {
  fc.assert(
    fc.property(table, fc.boolean(), ({ columns, rows }, reversed) => {
      const built = columns.map(([name, dtype], c) => {
        const values = rows.map((row) => row[c]!);
        return [name, columnOf(dtype, values)] as const;
      });
      const declared = new Map(reversed ? columns.toReversed() : columns);
      const batch = { length: rows.length, columns: Object.fromEntries(built) };
      const found = eventIds(sourceOf(Object.fromEntries(declared)), batch);
      const expected = rows.map((row) =>
        contentId(declared, new Map(columns.map(([name], c) => [name, row[c]!]))),
      );
      assert.deepEqual([...found], expected);
    }),
    { numRuns: cases(200) },
  );
});

test('zero has one sign', () => {
  const source = sourceOf({ x: { kind: 'float64' } });
  const data = Float64Array.of(0, -0);
  const x = {
    kind: 'float64',
    dtype: { kind: 'float64' },
    length: 2,
    validity: null,
    data,
  } as const;
  const [zero, minusZero] = eventIds(source, batchOf({ x }));
  assert.equal(minusZero, zero);
});

test('arrival and op are not content: a repeat and a retract find their event', () => {
  const columns = { at: timestamp, seen: timestamp, op: string, x: string };
  const source = sourceOf(columns, { arrivalTime: 'seen', op: 'op' });
  assert.deepEqual(eventIdColumns(source), ['at', 'x']);
  const batch = batchOf({
    at: columnOf(timestamp, [5, 5, 5, 6]),
    seen: columnOf(timestamp, [7, 8, 9, 9]),
    op: columnOf(string, ['upsert', 'upsert', 'retract', null]),
    x: columnOf(string, ['a', 'a', 'a', 'a']),
  });
  const [first, repeat, retract, other] = eventIds(source, batch);
  assert.equal(repeat, first);
  assert.equal(retract, first);
  assert.notEqual(other, first);
});
