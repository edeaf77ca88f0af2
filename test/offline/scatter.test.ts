/** Rows in any order come out in row order, whatever the blocks and wherever the pieces lay meanwhile. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Scatter } from '../../src/offline/duckdb/scatter.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { anyDtype, scalarOf } from '../types/arbitraries.ts';

const folder = mkdtempSync(join(tmpdir(), 'samewise-scatter-'));
after(() => rmSync(folder, { recursive: true }));

test('blocks give back every row in its place, spilled or not', () => {
  const world = anyDtype.chain((dtype) =>
    fc.record({
      dtype: fc.constant(dtype),
      values: fc.array(fc.option(scalarOf(dtype)), { minLength: 1, maxLength: 60 }),
    }),
  );
  fc.assert(
    fc.property(
      world,
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(0, 300, 1e9),
      fc.infiniteStream(fc.nat()),
      ({ dtype, values }, blockRows, pieceRows, spillBytes, random) => {
        const order = values.map((_, row) => row);
        const keys = order.map(() => random.next().value);
        order.sort((x, y) => keys[x]! - keys[y]!);
        const spill = join(folder, 'spill');
        const scatter = new Scatter(values.length, blockRows, [dtype], spill, spillBytes);
        for (let from = 0; from < order.length; from += pieceRows) {
          const rows = order.slice(from, from + pieceRows);
          const column = columnOf(
            dtype,
            rows.map((row) => values[row]!),
          );
          scatter.add(Float64Array.from(rows), [column]);
        }
        for (const _ of [1, 2]) {
          const read = Array.from({ length: scatter.blocks }, (_, block) =>
            scalarsOf(scatter.block(block)[0]!),
          ).flat();
          assert.equal(read.length, values.length);
          values.forEach((value, row) => {
            assert.ok(sameScalar(read[row]!, value), `row ${row}`);
          });
        }
        const parts = [];
        for (let from = 0, to = 0; from < values.length; from = to) {
          to = Math.min(from + pieceRows, from - (from % blockRows) + blockRows, values.length);
          parts.push(...scalarsOf(scatter.part(from, to)[0]!));
        }
        assert.ok(sameScalar(parts, values));
        scatter.close();
        assert.ok(!existsSync(spill));
      },
    ),
    { numRuns: cases(300) },
  );
});

test('rows that came whole are given in parts', () => {
  const world = anyDtype.chain((dtype) =>
    fc.record({
      dtype: fc.constant(dtype),
      values: fc.array(fc.option(scalarOf(dtype)), { minLength: 1, maxLength: 60 }),
    }),
  );
  fc.assert(
    fc.property(world, fc.nat(), ({ dtype, values }, cut) => {
      const scatter = new Scatter(values.length, values.length, [dtype], folder);
      scatter.fill([columnOf(dtype, values)]);
      const at = cut % values.length;
      const parts = [scatter.part(0, at), scatter.part(at, values.length)];
      assert.ok(
        sameScalar(
          parts.flatMap((part) => scalarsOf(part[0]!)),
          values,
        ),
      );
    }),
    { numRuns: cases(300) },
  );
});
