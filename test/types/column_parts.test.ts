/** Parts and joins of columns hold what a join of their values holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import { joinColumns, sliceColumn } from '../../src/types/column_parts.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';

const KINDS: readonly (readonly [Dtype, fc.Arbitrary<Scalar>])[] = [
  [{ kind: 'bool' }, fc.boolean()],
  [{ kind: 'int32' }, fc.integer()],
  [{ kind: 'int64' }, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  [{ kind: 'float64' }, fc.double({ noNaN: true })],
  [{ kind: 'timestamp' }, fc.integer()],
  [{ kind: 'string' }, fc.string()],
  [{ kind: 'bytes' }, fc.uint8Array({ maxLength: 5 })],
  [{ kind: 'list', of: { kind: 'int32' } }, fc.array(fc.integer(), { maxLength: 3 })],
  [{ kind: 'vector', size: 2 }, fc.float32Array({ minLength: 2, maxLength: 2, noNaN: true })],
];

for (const [dtype, value] of KINDS) {
  test(`parts of columns of ${dtype.kind}, joined`, () => {
    const column = fc.array(fc.option(value), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(column, { minLength: 1, maxLength: 4 }), (parts) => {
        const joined = joinColumns(
          dtype,
          // Each from the middle of a longer one.
          parts.map((part) =>
            sliceColumn(columnOf(dtype, [null, ...part, null]), 1, part.length + 1),
          ),
        );
        assert.equal(joined.length, parts.flat().length);
        assert.deepEqual(scalarsOf(joined), scalarsOf(columnOf(dtype, parts.flat())));
      }),
      { numRuns: cases(100) },
    );
  });
}
