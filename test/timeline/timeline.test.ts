/** What the random histories do not reach: positions, blocks that must be fetched, moves, many keys at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { completeSpec, LIFETIME } from '../../src/aggregate/index.ts';
import {
  applyChanges,
  buildPages,
  type Layout,
  readPositions,
  readTimeline,
  resolveById,
  resolveHistory,
  sweep,
} from '../../src/timeline/index.ts';
import { ColumnBuilder, columnOf, scalarsOf } from '../../src/types/column.ts';
import { float64, int64 } from '../../src/types/dtype.ts';
import { changesOf, type Delivery } from '../oracle/timeline.ts';
import { cases } from '../support/cases.ts';
import { Store, TINY } from './agreement.ts';

const LAYOUT: Layout = {
  columns: [float64],
  aggregates: [
    { spec: completeSpec('count'), input: -1 },
    { spec: completeSpec('latest'), input: 0 },
  ],
  reads: [
    { aggregate: 0, window: LIFETIME },
    { aggregate: 0, window: { ...LIFETIME, sizeUs: 50 } },
    { aggregate: 1, window: { ...LIFETIME, sizeUs: 10 } },
  ],
  mutable: false,
  retentionUs: null,
};

function event(
  t: number,
  id: number,
  amount: number | null,
  more: Partial<Delivery> = {},
): Delivery {
  return { t, a: t, id: BigInt(id), retract: false, values: [amount], ...more };
}

function many(count: number): Delivery[] {
  return Array.from({ length: count }, (_, i) => event(i, i, i));
}

test('log positions are kept in the head and come back', () => {
  const store = new Store(LAYOUT);
  assert.deepEqual(readPositions(LAYOUT, undefined), new Map());
  assert.equal(store.apply([event(1, 1, 1)], new Map([['a', 5n]])), true);
  assert.equal(store.apply([event(1, 1, 1)], new Map([['a', 5n]])), false, 'nothing new');
  // Those of Kinesis have 186 bits.
  const more = [0n, 2n ** 63n, 2n ** 64n, 2n ** 186n - 3n].map((at, i) => [`b${i}`, at] as const);
  assert.equal(store.apply([], new Map(more)), true, 'a position is news');
  assert.deepEqual(readPositions(LAYOUT, store.head), new Map([['a', 5n], ...more]));
  assert.deepEqual(store.read(2).values, [1n, 1n, 1]);
});

test('missing blocks are named, all of a level at once, until the read has what it needs', () => {
  const store = new Store(LAYOUT, TINY);
  store.build(many(500));
  const whole = readTimeline(LAYOUT, store.head, store.block, 300);
  const fetched = new Map<number, Uint8Array>();
  for (let round = 0; ; round++) {
    assert.ok(round < 12, 'rounds end');
    const reading = readTimeline(LAYOUT, store.head, (n) => fetched.get(n), 300);
    if (reading.missing.length === 0) {
      assert.deepEqual(reading, whole);
      break;
    }
    for (const n of reading.missing) {
      assert.ok(!fetched.has(n), 'a block at hand is not asked for again');
      fetched.set(n, store.blocks.get(n)!);
    }
  }
});

test('with usual pages no block is more than three rounds away', () => {
  const store = new Store(LAYOUT);
  store.build(many(100_000));
  const fetched = new Map<number, Uint8Array>();
  let rounds = 0;
  for (;;) {
    const { missing } = readTimeline(LAYOUT, store.head, (n) => fetched.get(n), 30_000);
    if (missing.length === 0) break;
    rounds++;
    for (const n of missing) fetched.set(n, store.blocks.get(n)!);
  }
  assert.ok(rounds <= 3, `${rounds} rounds`);
  assert.ok(fetched.size <= 12, `${fetched.size} blocks`);
});

test('a block that is gone is a damaged page to a writer, who cannot do without it', () => {
  const store = new Store(LAYOUT, TINY);
  store.build(many(100));
  const changes = changesOf(LAYOUT, [event(3, 999, 1)]);
  assert.throws(() => applyChanges(LAYOUT, { head: store.head, block: () => undefined }, changes), {
    code: 'timeline/damaged-page',
  });
});

test('an event that moves in time is a retract and an upsert, in either order', () => {
  const layout = { ...LAYOUT, mutable: true };
  const moves = [
    event(5, 1, 1, { a: 5 }),
    event(5, 1, null, { a: 9, retract: true }),
    event(8, 1, 2, { a: 9 }),
  ];
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [1, 0, 2],
  ]) {
    const store = new Store(layout);
    for (const i of order) store.apply([moves[i]!]);
    assert.deepEqual(store.read(8).values, [0n, 0n, null], 'at its old time it is gone');
    assert.deepEqual(store.read(9).values, [1n, 1n, 2]);
  }
});

test('statuses say why a value is what it is', () => {
  const store = new Store(LAYOUT);
  assert.deepEqual(store.read(5).statuses, ['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  assert.deepEqual(store.read(5).values, [0n, 0n, null]);
  store.apply([event(10, 1, 3), event(20, 2, null)]);
  assert.deepEqual(store.read(10).statuses, ['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  assert.deepEqual(store.read(20).statuses, ['PRESENT', 'PRESENT', 'PRESENT']);
  assert.deepEqual(store.read(21).statuses, ['PRESENT', 'PRESENT', 'NULL_VALUE']);
  assert.deepEqual(store.read(31).statuses, ['PRESENT', 'PRESENT', 'OUTSIDE_MAX_AGE']);
  assert.equal(store.read(31).eventTimeUs, 20);
  assert.deepEqual(readTimeline(LAYOUT, store.head, store.block, 21, [2, 0]).values, [null, 2n]);
});

test('many keys in one batch: each is resolved, built and swept by itself', () => {
  const keys = [
    many(3),
    [],
    [event(1, 1, 5), event(1, 1, 6, { a: 4 }), event(1, 2, 7), event(0, 3, 1)],
  ];
  const starts = Int32Array.of(0, 3, 3, 7);
  const resolved = resolveHistory(false, changesOf(LAYOUT, keys.flat()), starts);
  assert.deepEqual([...resolved.starts], [0, 3, 3, 6]);
  const out = LAYOUT.reads.map(
    ({ aggregate }) => new ColumnBuilder(aggregate === 0 ? int64 : float64),
  );
  for (let key = 0; key < keys.length; key++) {
    const [from, to] = [resolved.starts[key]!, resolved.starts[key + 1]!];
    const pages = buildPages(LAYOUT, resolved.events, from, to);
    const read = readTimeline(LAYOUT, pages.head, () => undefined, 2);
    sweep(LAYOUT, resolved.events, from, to, Float64Array.of(2), 0, 1, out);
    assert.deepEqual(read.values[0], [2n, 0n, 3n][key]);
  }
  assert.deepEqual(scalarsOf(out[0]!.finish()), [2n, 0n, 3n]);
  assert.deepEqual(scalarsOf(out[2]!.finish()), [1, null, 7]);
});

test('history with nothing to resolve is handed on as it is', () => {
  const rows = changesOf(LAYOUT, many(100));
  assert.equal(resolveHistory(false, rows).events, rows);
});

test('by id, a row is wherever its latest arrival put it', () => {
  const rows = {
    length: 6,
    id: BigInt64Array.of(1n, 1n, 1n, 2n, 2n, 3n),
    timeUs: Float64Array.of(10, 20, 15, 5, 5, 1),
    arrivalUs: Float64Array.of(10, 20, 15, 5, 9, 1),
    retract: Uint8Array.of(0, 0, 0, 0, 1, 0),
    columns: [columnOf(float64, [1, 2, 3, 4, null, 5])],
  };
  assert.deepEqual([...resolveById(rows).rows], [1, 5]);
  const served = resolveById(rows, 'as-served');
  assert.deepEqual([...served.rows], [0, 2, 1, 3, 5]);
  assert.deepEqual([...served.visibleTo!], [15, 20, Infinity, 9, Infinity]);
});

test('long runs of one time stay in one block, and in-order appends keep blocks full', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 8 }), (runs) => {
      const store = new Store(LAYOUT, TINY);
      const all = runs.flatMap((count, t) =>
        Array.from({ length: count }, (_, i) => event(t, t * 100 + i, i)),
      );
      for (const one of all) store.apply([one]);
      assert.equal(store.read(1000).values[0], BigInt(all.length));
      for (let t = 0; t <= runs.length; t++)
        assert.equal(store.read(t).values[0], BigInt(all.filter((e) => e.t < t).length));
    }),
    { numRuns: cases(50) },
  );
});
