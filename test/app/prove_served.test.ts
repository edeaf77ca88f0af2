/**
 * What was served is what history says of the events that its pages had absorbed: whatever was pushed late, twice, corrected or
 * retracted, built or repaired in between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { materialize } from '../../src/app/materialize.ts';
import { push } from '../../src/app/push.ts';
import { reconcileViews } from '../../src/app/reconcile_views.ts';
import { applyHere } from '../../src/app/streams.ts';
import { US_PER_HOUR } from '../../src/base/time.ts';
import { cases } from '../support/cases.ts';
import { pushRows } from './project.ts';
import { CITIES, CUSTOMERS, FALLING, type World, world } from './prove_world.ts';

function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Some pushes of one kind or another. `sent` has what was sent before, to repeat, correct and retract. */
async function pushSome(
  { app, clock }: World,
  below: (n: number) => number,
  sent: Record<string, Record<string, unknown>[]>,
): Promise<void> {
  const source = ['accounts', 'orders', 'payments', 'payments'][below(4)]!;
  const before = (sent[source] ??= []);
  const rows = Array.from({ length: 1 + below(4) }, (): Record<string, unknown> => {
    const old = before[below(Math.max(1, before.length))];
    const kind = old === undefined ? 9 : below(10);
    if (kind === 0) return { ...old };
    if (kind === 1) return { ...old, __op: 'retract' };
    const row = {
      id: source === 'accounts' ? below(6) : 10_000 + before.length * 10 + below(10),
      // Up to two hours ago, of which one is allowed; or a little ahead.
      at: clock.nowUs() + (below(8) === 0 ? below(600) * 1e6 : -below(7_200) * 1e6),
      customer_id: below(CUSTOMERS),
      city: CITIES[below(2)],
      amount: below(5) === 0 ? null : below(1_000) / 8,
    };
    before.push(row);
    return row;
  });
  const streaming = await app.streaming();
  // Some are applied with the ones after them.
  const wait = below(3) === 0 ? 'durable' : 'applied';
  await push(streaming, { source, rows, wait }, (of, places) => applyHere(streaming, of, places));
}

async function randomRun(seed: number, steps: number) {
  const here = await world(40, FALLING);
  const { app, clock, serve, serveList } = here;
  const below = numbers(seed);
  const sent: Record<string, Record<string, unknown>[]> = {};
  const account = { id: 1, at: clock.nowUs(), customer_id: 0, city: 'Oslo', amount: 2 };
  for (const source of ['accounts', 'orders']) await pushRows(app, source, [account]);
  if (below(2) === 0) await materialize(app);
  for (let step = 0; step < steps; step++) {
    clock.advanceUs(1 + below(400) * 1e6);
    const kind = below(20);
    if (kind < 8) await pushSome(here, below, sent);
    else if (kind < 9) await materialize(app, { full: below(2) === 0 });
    else if (kind < 10)
      await reconcileViews(app, { views: null, sample: null, repair: below(2) === 0 });
    else if (kind < 12) await serveList(below(CUSTOMERS + 1));
    else {
      const agoUs = below(3) === 0 ? below(4) * US_PER_HOUR : 0;
      await serve([below(CUSTOMERS), below(CUSTOMERS + 1)], clock.nowUs() - agoUs);
    }
  }
  for (const source of ['accounts', 'orders', 'payments']) {
    const id = 99_999;
    const row = { id, at: clock.nowUs(), customer_id: 3, city: 'Rome', amount: 1 };
    await pushRows(app, source, [row]);
  }
  return here;
}

for (let seed = 1; seed <= cases(2); seed++)
  test(`what was served is proven, whatever happened (seed ${seed})`, async () => {
    const here = await randomRun(seed, 45);
    const proof = await here.prove();
    assert.deepEqual(proof.told, []);
    assert.deepEqual(proof.unprovable, {});
    assert.equal(proof.proven, here.logged.length);
    assert.ok(proof.proven > 10 && proof.values > 100, JSON.stringify(proof.views));
    await here.app.close();
  });
