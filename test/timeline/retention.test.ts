/** Retention: what is dropped is never missed in silence, and lifetime aggregates keep their value. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { completeSpec, LIFETIME, type Window } from '../../src/aggregate/index.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/timeline/blocks.ts';
import type { Layout } from '../../src/timeline/index.ts';
import { float64 } from '../../src/types/dtype.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { type Delivery, valuesAt } from '../oracle/timeline.ts';
import { cases } from '../support/cases.ts';
import { RULES, Store, TINY } from './agreement.ts';

const WINDOWS: Window[] = [
  LIFETIME,
  { ...LIFETIME, delayUs: 7 },
  { ...LIFETIME, sizeUs: 20 },
  { ...LIFETIME, sizeUs: 5, delayUs: 3 },
  { ...LIFETIME, last: 4 },
  { ...LIFETIME, sizeUs: 30, last: 2 },
];

const LAYOUT: Layout = {
  columns: [float64],
  aggregates: [
    { spec: completeSpec('count'), input: -1 },
    { spec: completeSpec('sum'), input: 0 },
    { spec: completeSpec('first'), input: 0 },
    { spec: completeSpec('latest'), input: 0 },
  ],
  reads: WINDOWS.flatMap((window) => [0, 1, 2, 3].map((aggregate) => ({ aggregate, window }))),
  mutable: false,
  retentionUs: 40,
};

/** In order but for lateness below the retention. */
const anyHistory = fc
  .array(fc.tuple(fc.nat(6), fc.nat(8), fc.integer({ min: -50, max: 50 })), {
    maxLength: 60,
    size: 'max',
  })
  .map((steps) => {
    let now = 0;
    return steps.map(([step, back, amount], i): Delivery => {
      now += step;
      const t = now - back;
      return { t, a: t, id: BigInt(i), retract: false, values: [amount / 8 + 0] };
    });
  });

test('a read within retention is right, one beyond it is refused, whatever was dropped when', () => {
  fc.assert(
    fc.property(anyHistory, fc.integer({ min: 1, max: 9 }), fc.boolean(), (events, size, tiny) => {
      const store = new Store(LAYOUT, tiny ? TINY : LIMITS);
      const built = new Store(LAYOUT, tiny ? TINY : LIMITS);
      built.build(events.slice(0, 20));
      built.apply(events.slice(20));
      for (let at = 0; at < events.length; at += size) store.apply(events.slice(at, at + size));
      assert.equal(store.apply(events.slice(-3)), false, 'a repeat changes nothing');
      const sorted = events.toSorted(RULES.compare);
      const newest = sorted.at(-1)?.t ?? 0;
      for (const readUs of [newest + 100, newest + 1, newest, newest - 10, newest - 45, -20])
        for (const timeline of [store, built]) {
          const expected = valuesAt(LAYOUT, sorted, readUs, RULES);
          let found: readonly unknown[];
          try {
            found = timeline.read(readUs).values;
          } catch (error) {
            assert.ok(error instanceof SamewiseError && error.code === 'timeline/beyond-retention');
            assert.ok(readUs - 30 < newest - 40 || readUs <= newest, 'within retention');
            continue;
          }
          expected.forEach((value, i) => {
            assert.ok(sameScalar(found[i] as typeof value, value), `value ${i} at ${readUs}`);
          });
        }
    }),
    { numRuns: cases(500) },
  );
});

test('built pages keep the tombstones of times that retention has not dropped', () => {
  const layout = { ...LAYOUT, reads: LAYOUT.reads.slice(0, 12) };
  const event = (t: number, retract = false): Delivery => ({
    t,
    a: 2_000 + t,
    id: BigInt(t),
    retract,
    values: [1],
  });
  const all = Array.from({ length: 100 }, (_, t) => event(t));
  const store = new Store(layout, TINY);
  store.build([...all, ...all.filter(({ t }) => t % 10 === 5).map(({ t }) => event(t, true))]);
  const kept = store.tombstones().map(({ timeUs }) => timeUs);
  assert.ok(kept.length > 0 && kept.length < 10, `${kept.length} tombstones are kept`);
  assert.deepEqual(kept, [5, 15, 25, 35, 45, 55, 65, 75, 85, 95].slice(-kept.length));
  assert.equal(
    store.apply(all),
    false,
    'neither what is dropped nor what was retracted comes back',
  );
});

test('old blocks go, tombstones with them, and a change too old to place is ignored', () => {
  const layout = { ...LAYOUT, reads: LAYOUT.reads.slice(0, 12) };
  const store = new Store(layout, TINY);
  const event = (t: number, retract = false): Delivery => ({
    t,
    a: t,
    id: BigInt(t),
    retract,
    values: [1],
  });
  for (let t = 0; t < 1000; t++) {
    store.apply([event(t)]);
    if (t % 10 === 0) store.apply([event(t, true)]);
  }
  assert.ok(store.blocks.size < 40, `${store.blocks.size} blocks are kept`);
  assert.ok(store.head!.length < 3_000, `a head of ${store.head!.length} bytes`);
  assert.deepEqual(store.read(1000).values[0], 900n, 'lifetime count');
  assert.equal(store.apply([event(5), event(15, true)]), false);
  assert.throws(() => store.read(500), { code: 'timeline/beyond-retention' });
});
