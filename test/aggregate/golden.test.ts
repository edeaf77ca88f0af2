/**
 * The bytes of every aggregate's state as they stand in pages: they must not drift. A change here is a new page format,
 * not a new golden file.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AGGREGATES, aggregateFor } from '../../src/aggregate/index.ts';
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts';
import { columnOf } from '../../src/types/column.ts';
import { parseDtype } from '../../src/types/dtype.ts';
import { coerce, scalarToJson } from '../../src/types/scalar.ts';

interface Golden {
  readonly fn: string;
  readonly params: Record<string, number>;
  /** Of the input; null: none. */
  readonly dtype: string | null;
  readonly values: readonly unknown[];
  readonly bytes: string;
  readonly result: unknown;
}

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, '../golden/aggregates.json'), 'utf8'),
) as Golden[];

test('every aggregate has its golden bytes', () => {
  const missing = [...AGGREGATES.keys()].filter((fn) => !golden.some((g) => g.fn === fn));
  assert.deepEqual(missing, []);
});

for (const { fn, params, dtype, values, bytes, result } of golden) {
  test(`${fn} of ${dtype ?? 'events'}: the state's bytes and its value`, () => {
    const type = dtype === null ? null : parseDtype(dtype);
    const aggregate = aggregateFor({ fn, params }, type);
    const column =
      type === null
        ? null
        : columnOf(
            type,
            values.map((value) => coerce(value, type)),
          );
    const state = aggregate.create();
    aggregate.add(state, column, 0, values.length, 'after');
    const writer = new ByteWriter();
    aggregate.encode(state, writer);
    assert.equal(writer.finish().toHex(), bytes);
    const decoded = aggregate.decode(new ByteReader(Uint8Array.fromHex(bytes)));
    assert.deepEqual(scalarToJson(aggregate.result(decoded), aggregate.output), result);
  });
}
