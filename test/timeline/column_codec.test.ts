/** Columns of pages read back as they were written, whatever their strings and nulls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readColumn, readText, readValue, writeColumn } from '../../src/timeline/column_codec.ts';
import { PageBuffer } from '../../src/timeline/page_buffer.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
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
} from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'é', '日', '😀', '\0'), maxLength: 5 });
const blob = fc.uint8Array({ maxLength: 5 });

function roundTrip(dtype: Dtype, values: readonly (Scalar | null)[]): void {
  const out = new PageBuffer();
  const nulls = writeColumn(out, columnOf(dtype, values), 0, values.length);
  const page = out.bytes.slice(0, out.length);
  const view = new DataView(page.buffer);
  const column = readColumn({ bytes: page, view }, 0, dtype, values.length, nulls);
  assert.deepEqual(scalarsOf(column), values);
  values.forEach((value, row) => {
    const alone = readValue({ bytes: page, view }, 0, dtype, nulls, row);
    if (alone !== undefined) assert.ok(Object.is(alone, value));
  });
  if (dtype.kind === 'string')
    values.forEach((value, row) => {
      assert.equal(readText({ bytes: page, view }, 0, values.length, nulls, row), value);
    });
}

const rows = (value: fc.Arbitrary<Scalar>) =>
  fc.oneof(
    fc.array(fc.option(value), { minLength: 1, maxLength: 12 }),
    fc.array(value, { minLength: 1, maxLength: 12 }),
    fc.array(fc.constant(null), { minLength: 1, maxLength: 12 }),
  );
const runs = { numRuns: cases(300) };

test('numbers and truth values, column by column and one by one', () => {
  const whole = fc.integer();
  const number = fc.double({ noNaN: true }).map((x) => x + 0);
  const values: [Dtype, fc.Arbitrary<Scalar>][] = [
    [bool, fc.boolean()],
    [int32, whole],
    [date, whole],
    [int64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    [timestamp, fc.maxSafeInteger()],
    [float32, number.map((x) => Math.fround(x) + 0)],
    [float64, number],
  ];
  for (const [dtype, value] of values)
    fc.assert(
      fc.property(rows(value), (column) => roundTrip(dtype, column)),
      runs,
    );
  // Where nothing is null no column need be decoded.
  const out = new PageBuffer();
  writeColumn(out, columnOf(int64, [1n, 2n]), 0, 2);
  const page = out.bytes.slice(0, out.length);
  assert.equal(readValue({ bytes: page, view: new DataView(page.buffer) }, 0, int64, 0, 1), 2n);
});

test('text, bytes and lists of them, with some or only nulls', () => {
  fc.assert(
    fc.property(rows(text), (values) => roundTrip(string, values)),
    runs,
  );
  fc.assert(
    fc.property(rows(blob), (values) => roundTrip(bytes, values)),
    runs,
  );
  const items = fc.array(fc.option(text), { maxLength: 3 });
  fc.assert(
    fc.property(rows(items), (values) => roundTrip(list(string), values)),
    runs,
  );
});
