/** Pages: every type comes back as it was, damage is noticed, and the format stays what it is. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIFETIME } from '../../src/aggregate/index.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { openBlock, openHead } from '../../src/timeline/codec.ts';
import {
  buildPages,
  dumpEvents,
  type Layout,
  OpenedPages,
  readTimeline,
} from '../../src/timeline/index.ts';
import { prepare } from '../../src/timeline/prepare.ts';
import { scalarsOf } from '../../src/types/column.ts';
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
  vector,
} from '../../src/types/dtype.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import { changesOf, type Delivery } from '../oracle/timeline.ts';
import { cases } from '../support/cases.ts';
import { anyDtype, nullableOf } from '../types/arbitraries.ts';
import { Store, TINY } from './agreement.ts';

const COUNT = { spec: { fn: 'count', params: {} }, input: -1 };

function layoutOf(columns: readonly Dtype[], aggregates = [COUNT]): Layout {
  const reads = aggregates.map((_, aggregate) => ({ aggregate, window: LIFETIME }));
  return { columns, aggregates, reads, mutable: false, retentionUs: null };
}

function rows(values: readonly (readonly (Scalar | null)[])[], late = 0): Delivery[] {
  return values.map((own, i) => ({
    t: i * 1000,
    a: i * 1000 + (i % 3) * late,
    id: BigInt(i) * -(2n ** 33n),
    retract: false,
    values: own,
  }));
}

function assertSameRows(store: Store, deliveries: readonly Delivery[]): void {
  const dump = dumpEvents(store.layout, store);
  assert.deepEqual(
    [...dump.timeUs],
    deliveries.map(({ t }) => t),
  );
  assert.deepEqual(
    [...(dump.arrivalUs ?? dump.timeUs)],
    deliveries.map(({ a }) => a),
  );
  assert.deepEqual(
    [...dump.id],
    deliveries.map(({ id }) => id),
  );
  dump.columns.forEach((column, c) => {
    const found = scalarsOf(column);
    deliveries.forEach(({ values }, i) => {
      assert.ok(sameScalar(found[i]!, values[c]!), `column ${c}, row ${i}`);
    });
  });
}

test('rows of any types come back bit for bit, from one page and from many', () => {
  const any = fc
    .array(anyDtype, { maxLength: 4 })
    .chain((dtypes) =>
      fc.tuple(
        fc.constant(dtypes),
        fc.array(fc.tuple(...dtypes.map(nullableOf)), { maxLength: 20 }),
        fc.nat(2),
      ),
    );
  fc.assert(
    fc.property(any, ([dtypes, values, late]) => {
      const deliveries = rows(values, late);
      for (const limits of [undefined, TINY]) {
        const store = new Store(layoutOf(dtypes), limits);
        store.build(deliveries);
        assertSameRows(store, deliveries);
      }
    }),
    { numRuns: cases(500) },
  );
});

test('a small key is one page, and its size is what its rows take', () => {
  const layout = layoutOf([float64]);
  const store = new Store(layout);
  store.build(rows(Array.from({ length: 100 }, (_, i) => [i / 3])));
  assert.equal(store.blocks.size, 0);
  assert.ok(store.head!.length < 100 * 24 + 64);
});

test('a block fills one overflow page and no more', () => {
  const store = new Store(layoutOf([float64, string]));
  store.build(rows(Array.from({ length: 5_000 }, (_, i) => [i / 3, 'é'.repeat(i % 40)])));
  for (const page of store.blocks.values()) assert.ok(page.length <= 4080, `${page.length} bytes`);
  const leaves = [...store.blocks.values()].filter((page) => page[5] === 2);
  const mean = leaves.reduce((sum, page) => sum + page.length, 0) / leaves.length;
  assert.ok(mean > 3_900, `leaves of ${mean} bytes`);
});

test('null-only and strings with every shape of character', () => {
  const values = ['', 'a', '\u0000', '\ufeffbom', 'é', '猫'.repeat(100), '🐈'.repeat(30), null];
  const store = new Store(layoutOf([string, float64]));
  const deliveries = rows(values.map((value) => [value, null]));
  store.build(deliveries);
  assertSameRows(store, deliveries);
});

/** A timeline with everything in it: entries of two levels, tombstones, positions, several types. */
function everything(): Store {
  const layout = layoutOf(
    [float64, string],
    [
      COUNT,
      { spec: { fn: 'sum', params: {} }, input: 0 },
      { spec: { fn: 'latest', params: {} }, input: 1 },
    ],
  );
  const store = new Store(layout, TINY);
  const deliveries = rows(
    Array.from({ length: 60 }, (_, i) => [i / 8, i % 5 === 0 ? null : `s${i}`]),
    1,
  );
  store.apply(
    deliveries,
    new Map([
      ['p0', 7n],
      ['p1', 2n ** 60n],
    ]),
  );
  store.apply([{ ...deliveries[30]!, retract: true }]);
  return store;
}

const CODES = new Set(['timeline/damaged-page', 'timeline/unknown-format']);

function assertNoticed(body: () => unknown, what: string): void {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof SamewiseError && CODES.has(error.code), `${what}: ${error}`);
    return;
  }
  assert.fail(`${what}: not noticed`);
}

test('a flipped byte, a cut and foreign bytes anywhere in a page are noticed, never read', () => {
  const store = everything();
  const { layout } = store;
  const pages: [string, Uint8Array, (page: Uint8Array) => unknown][] = [
    ['head', store.head!, (page) => readTimeline(layout, page, store.block, 1e9)],
  ];
  for (const [number, own] of store.blocks)
    pages.push([
      `block ${number}`,
      own,
      (page) =>
        dumpEvents(layout, {
          head: store.head,
          block: (n) => (n === number ? page : store.block(n)),
        }),
    ]);
  assert.ok(pages.length > 10);
  for (const [name, page, use] of pages) {
    use(page);
    for (let at = 0; at < page.length; at++) {
      const flipped = page.slice();
      flipped[at]! ^= 1 << (at % 8);
      assertNoticed(() => use(flipped), `${name} with byte ${at} changed`);
      if (at % 3 === 0) assertNoticed(() => use(page.slice(0, at)), `${name} cut at ${at}`);
    }
    assertNoticed(() => use(Uint8Array.of(...page, 0)), `${name} with a byte more`);
    for (const [other, foreign] of pages)
      if (other !== name) assertNoticed(() => use(foreign), `${other} in the place of ${name}`);
  }
});

test('random bytes are noticed', () => {
  const { layout } = everything();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (page, formatted) => {
      if (formatted && page.length > 5) page.set([1, 1], 4);
      assertNoticed(() => readTimeline(layout, page, () => undefined, 0), 'random bytes');
    }),
    { numRuns: cases(500) },
  );
});

test('a page of another layout is refused', () => {
  const store = everything();
  const other = layoutOf([float64, bytes], [COUNT]);
  assertNoticed(() => readTimeline(other, store.head, store.block, 0), 'another layout');
});

test('a page that was opened before is told from others, too', () => {
  const store = everything();
  const prepared = prepare(store.layout);
  const opened = new OpenedPages();
  const entries = openHead(prepared, store.head!, opened).root!.entries();
  const pages = [store.head!, ...store.blocks.values()];
  for (const { number, checksum, level } of entries) {
    const open = (page: Uint8Array, as: number) =>
      openBlock(prepared, page, number, checksum, as, opened);
    const own = store.block(number)!;
    assert.equal(open(own, level), open(own, level));
    assertNoticed(() => open(own, level === 0 ? 1 : 0), `block ${number} of another kind`);
    assertNoticed(() => openHead(prepared, own, opened), `block ${number} as a head`);
    for (const page of pages)
      if (page !== own) assertNoticed(() => open(page, level), `another page as block ${number}`);
  }
  const other = prepare(layoutOf([float64, bytes], [COUNT]));
  for (const page of pages) assertNoticed(() => openHead(other, page, opened), 'another layout');
});

const GOLDEN = join(import.meta.dirname, '../golden/timeline.json');

/** Pages of all types and kinds, as hex: format 1 must read them for ever. */
function goldenPages(): { layout: Layout; store: Store; deliveries: Delivery[] } {
  const columns = [
    bool,
    int32,
    int64,
    float32,
    float64,
    string,
    bytes,
    timestamp,
    date,
    list(list(int32)),
    vector(2),
  ];
  const layout = layoutOf(columns, [COUNT, { spec: { fn: 'sum', params: {} }, input: 4 }]);
  const values: (Scalar | null)[][] = Array.from({ length: 12 }, (_, i) => [
    i % 2 === 0,
    i * 1000 - 5000,
    2n ** 62n - BigInt(i),
    Math.fround(i / 3),
    1e16 / (i + 1),
    `naïve 猫 ${i}`,
    Uint8Array.of(i, 255, 0),
    -2_208_988_800_000_000 + i,
    -25_567 + i,
    [[i, null], null, []],
    Float32Array.of(i, -i + 0),
  ]);
  for (let c = 0; c < columns.length; c++) values[c]![c] = null;
  const deliveries = rows(values, 1);
  const store = new Store(layout, TINY);
  store.apply(deliveries, new Map([['partition 0', 42n]]));
  return { layout, store, deliveries };
}

test('the golden pages: this version writes the very bytes, and reads them', () => {
  const { layout, store, deliveries } = goldenPages();
  const written = {
    head: store.head!.toHex(),
    blocks: Object.fromEntries([...store.blocks].map(([n, page]) => [n, page.toHex()])),
  };
  if (!existsSync(GOLDEN)) {
    mkdirSync(dirname(GOLDEN), { recursive: true });
    writeFileSync(GOLDEN, `${JSON.stringify(written, null, 1)}\n`);
  }
  const golden = JSON.parse(readFileSync(GOLDEN, 'utf8')) as typeof written;
  assert.deepEqual(written, golden);
  const read = new Store(layout);
  read.head = Uint8Array.fromHex(golden.head);
  for (const [n, page] of Object.entries(golden.blocks))
    read.blocks.set(Number(n), Uint8Array.fromHex(page));
  assertSameRows(read, deliveries);
  assert.ok(read.blocks.size > 2);
});

test('building pages allocates nothing that the next key changes', () => {
  const layout = layoutOf([float64]);
  const events = changesOf(layout, rows([[1], [2], [3]]));
  const one = buildPages(layout, events, 0, 2);
  const copy = one.head.slice();
  buildPages(layout, events, 2, 3);
  assert.deepEqual(one.head, copy);
});
