/** What every registry must do; each adapter's test runs it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change, Registry } from '../../src/registry/contract.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { customer, view } from '../registry/objects.ts';

const created: Change = {
  change: 'create',
  kind: 'entity',
  name: 'customer',
  before: null,
  after: 1,
  fields: [{ path: 'owner', before: null, after: 'team' }],
};
/** A request at `expectedHead` with these objects. */
export const step = (
  expectedHead: number,
  objects: Parameters<Registry['apply']>[0]['objects'],
): Parameters<Registry['apply']>[0] => ({
  expectedHead,
  author: 'ann',
  atUs: 1_700_000_000_000_000 + expectedHead,
  message: `step ${expectedHead + 1}`,
  changes: [created],
  objects,
});

export function registryConformance(name: string, open: () => Promise<Registry>): void {
  const check = (what: string, body: (registry: Registry) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const registry = await open();
      try {
        await body(registry);
      } finally {
        await registry.close();
      }
    });

  check('an empty registry is at revision 0', async (registry) => {
    assert.equal(await registry.head(), 0);
    assert.deepEqual(await registry.load(), []);
    assert.deepEqual(await registry.revisions(), []);
    assert.equal(await registry.get('entity', 'customer'), undefined);
  });

  check('what is applied is there, as it was given', async (registry) => {
    const spending = view('spending', ['amount_7d']);
    const revision = await registry.apply(step(0, [customer, spending]));
    assert.equal(revision.number, 1);
    assert.equal(await registry.head(), 1);
    assert.deepEqual(await registry.load(), [
      { ...customer, revision: 1 },
      { ...spending, revision: 1 },
    ]);
    assert.deepEqual(await registry.get('featureView', 'spending'), { ...spending, revision: 1 });
    assert.deepEqual(await registry.revisions(), [revision]);
    assert.deepEqual(revision.changes, [created]);
  });

  check('a version is current, then pinned, then retired; none is ever lost', async (registry) => {
    const first = view('spending', ['a']);
    const second = view('spending', ['b'], { version: 2, fingerprint: 'spending@2' });
    await registry.apply(step(0, [first]));
    await registry.apply(step(1, [second, { ...first, state: 'pinned' }]));
    assert.equal((await registry.get('featureView', 'spending'))?.version, 2);
    assert.equal((await registry.get('featureView', 'spending', 1))?.state, 'pinned');
    assert.deepEqual(
      (await registry.load()).map((object) => object.version),
      [1, 2],
    );
    await registry.apply(step(2, [{ ...first, state: 'retired' }]));
    assert.deepEqual(
      (await registry.load()).map((object) => object.version),
      [2],
    );
    const all = await registry.load({ retired: true });
    assert.deepEqual(
      all.map(({ version, state, revision }) => [version, state, revision]),
      [
        [1, 'retired', 1],
        [2, 'current', 2],
      ],
    );
    // And back: an old meaning becomes the current one again.
    await registry.apply(step(3, [first, { ...second, state: 'retired' }]));
    assert.equal((await registry.get('featureView', 'spending'))?.version, 1);
    assert.deepEqual(
      (await registry.revisions(2)).map((revision) => revision.number),
      [4, 3],
    );
  });

  check('a stale plan changes nothing', async (registry) => {
    await registry.apply(step(0, [customer]));
    await assert.rejects(registry.apply(step(0, [view('spending', ['a'])])), {
      code: 'registry/stale-plan',
    });
    await assert.rejects(registry.apply(step(7, [])), { code: 'registry/stale-plan' });
    assert.equal(await registry.head(), 1);
    assert.equal((await registry.load()).length, 1);
  });

  check('the loser of two appliers is told who won, when, and what changed', async (registry) => {
    await registry.apply(step(0, [customer]));
    const described: Change = { ...created, kind: 'featureView', name: 'spending', after: 2 };
    await registry.apply({
      ...step(1, [view('spending', ['a'], { version: 2, fingerprint: 'spending@2' })]),
      author: 'bob',
      atUs: 1_700_000_000_000_000,
      message: 'a longer window',
      changes: [
        {
          ...described,
          change: 'new-version',
          before: 1,
          fields: [{ path: 'features.a.window', before: '7d', after: '8d' }],
        },
        ...Array.from({ length: 6 }, (_, i) => ({ ...described, name: `other_${i}` })),
      ],
    });
    await assert.rejects(registry.apply(step(1, [view('risk', ['r'])])), (error: any) => {
      assert.equal(error.code, 'registry/stale-plan');
      assert.equal(
        error.message,
        `the plan was made at revision 1, but the registry is at 2:
  revision 2 by bob at 2023-11-14T22:13:20Z (a longer window): changed featureView spending version 2 (features.a.window: 7d → 8d); ${[0, 1, 2, 3].map((i) => `created featureView other_${i} version 2`).join('; ')}; 2 more changes`,
      );
      return true;
    });
    for (let head = 2; head < 6; head++) await registry.apply(step(head, []));
    await assert.rejects(registry.apply(step(1, [])), (error: any) => {
      const lines = error.message.split('\n');
      assert.deepEqual(
        lines.map((line: string) => line.trim().slice(0, 10)),
        ['the plan w', '…', 'revision 4', 'revision 5', 'revision 6'],
      );
      return true;
    });
  });

  check('an empty registry takes over all that another one knows', async (registry) => {
    const other = await openSqliteRegistry(':memory:');
    const first = view('spending', ['a', 'b']);
    await other.apply(step(0, [customer, first]));
    const second = view('spending', ['b'], { version: 2, fingerprint: 'spending@2' });
    await other.apply(step(1, [second, { ...first, state: 'pinned' }]));
    await other.apply(
      step(2, [
        { ...first, state: 'retired' },
        view('ärger "\\', ['x'], { tags: { a: '\u0000' } }),
      ]),
    );
    const job = { kind: 'materialize', view: 'spending', version: 1 };
    for (const id of ['one', 'two', 'three'])
      await other.startJob({ ...job, id, startedUs: id === 'one' ? 2 : 1 });
    await other.updateJob('two', { status: 'failed', finishedUs: 5, rows: 3, error: "it's full" });
    const of = { view: 'spending', version: 1 };
    await other.putComparison({
      ...of,
      by: 'prove',
      atUs: 5,
      compared: 9,
      different: 2,
      causes: { late: 1 },
      notes: 'n',
    });
    const level = { ...of, feature: null, state: 'fresh' as const, lag_ms: 1.25 };
    const change = { ...level, feature: 'a', atUs: -3 };
    await other.putServiceLevels(
      [{ ...level, sinceUs: 1, lookedUs: 2 }],
      [change, { ...change, lag_ms: null }],
      -10,
    );
    const everything = await other.everything();
    await registry.takeOver(everything);
    assert.deepEqual(await registry.everything(), everything);
    assert.equal(await registry.head(), 3);
    assert.deepEqual(await registry.load(), await other.load());
    assert.deepEqual(await registry.search('b'), await other.search('b'));
    assert.deepEqual(await registry.jobs(), await other.jobs());
    await assert.rejects(registry.takeOver(everything), { code: 'registry/not-empty' });
    assert.deepEqual(await registry.everything(), everything, 'and nothing is changed');
    await registry.apply(step(3, [view('risk', ['r'])]));
    assert.equal((await registry.load()).at(-1)?.name, 'risk', 'and it goes on from there');
    await other.close();
  });

  check(
    'a version never changes its meaning, and a refused step leaves no trace',
    async (registry) => {
      await registry.apply(step(0, [view('spending', ['a'])]));
      const before = await registry.load({ retired: true });
      const other = view('spending', ['b'], { fingerprint: 'another' });
      await assert.rejects(registry.apply(step(1, [customer, view('zeta', ['z']), other])), {
        code: 'registry/version-conflict',
      });
      assert.deepEqual(await registry.load({ retired: true }), before);
      assert.equal(await registry.head(), 1);
      assert.deepEqual(await registry.search('z'), []);
    },
  );

  check('of many writers from one head exactly one wins', async (registry) => {
    const writers = ['a', 'b', 'c', 'd'].map((name) =>
      registry.apply(step(0, [view(name, ['x'])])),
    );
    const settled = await Promise.allSettled(writers);
    assert.equal(settled.filter((s) => s.status === 'fulfilled').length, 1);
    assert.equal((await registry.load()).length, 1);
  });

  check('search finds features by prefixes of every word, and nothing else', async (registry) => {
    await registry.apply(
      step(0, [
        view('customer_spending', ['avg_amount_7d', 'tx_count_1d'], { owner: 'fraud-team' }),
        view('terminal_risk', ['fraud_share_7d'], { owner: 'risk', tags: { tier: 'gold' } }),
      ]),
    );
    const refs = async (...args: Parameters<Registry['search']>) =>
      (await registry.search(...args)).map((hit) => hit.ref);
    assert.deepEqual(await refs('amount'), ['customer_spending:avg_amount_7d']);
    assert.deepEqual(await refs('AMO avg'), ['customer_spending:avg_amount_7d']);
    assert.deepEqual(await refs('avg_amount'), ['customer_spending:avg_amount_7d']);
    assert.deepEqual(await refs('amount gold'), []);
    assert.deepEqual(await refs('gold'), ['terminal_risk:fraud_share_7d']);
    assert.deepEqual(await refs('mount'), []);
    // The name of a feature counts for more than the name of an owner.
    assert.equal((await refs('fraud'))[0], 'terminal_risk:fraud_share_7d');
    assert.equal((await refs('fraud')).length, 3);
    assert.deepEqual(await refs('', {}, 2), [
      'customer_spending:avg_amount_7d',
      'customer_spending:tx_count_1d',
    ]);
    assert.deepEqual(await refs('7d', { owner: 'risk' }), ['terminal_risk:fraud_share_7d']);
    assert.deepEqual(await refs('7d', { entity: 'merchant' }), []);
    assert.deepEqual(await refs('', { tag: 'tier=gold' }), ['terminal_risk:fraud_share_7d']);
    assert.equal((await refs('', { tag: 'unit' })).length, 3);
    assert.deepEqual(await refs('', { tag: 'tier=silver' }), []);
    assert.deepEqual((await registry.search('fraud_share'))[0], {
      ref: 'terminal_risk:fraud_share_7d',
      view: 'terminal_risk',
      feature: 'fraud_share_7d',
      entity: 'customer',
      dtype: 'float64',
      owner: 'risk',
      description: 'all about fraud share 7d',
      tags: { tier: 'gold', unit: 'eur' },
      version: 1,
    });
  });

  check('no text breaks a search', async (registry) => {
    await registry.apply(step(0, [view('spending', ['a'])]));
    for (const text of ['"', '""', "'", 'a OR', '*', 'NEAR(', 'a:b', '-a', '(', 'a\0b', 'ü', '%_'])
      await registry.search(text);
    assert.equal((await registry.search(' - ')).length, 1, 'no words: all');
  });

  check('search follows the current version', async (registry) => {
    const first = view('spending', ['old_name']);
    await registry.apply(step(0, [first]));
    const second = view('spending', ['new_name'], { version: 2, fingerprint: 'spending@2' });
    await registry.apply(step(1, [second, { ...first, state: 'pinned' }]));
    assert.deepEqual(await registry.search('old'), []);
    assert.equal((await registry.search('new'))[0]?.version, 2);
    await registry.apply(step(2, [{ ...first, state: 'retired' }]));
    assert.equal(
      (await registry.search('new')).length,
      1,
      'an older version that ends is no matter',
    );
    await registry.apply(step(3, [{ ...second, state: 'retired' }]));
    assert.deepEqual(await registry.search('new'), []);
  });

  check('jobs are noted, changed and listed, newest first', async (registry) => {
    const start = { kind: 'materialize', view: 'spending', version: 1 };
    await registry.startJob({ ...start, id: 'one', startedUs: 1 });
    await registry.startJob({ ...start, id: 'two', view: 'risk', startedUs: 2 });
    await registry.updateJob('one', { rows: 10 });
    await registry.updateJob('one', { status: 'failed', finishedUs: 5, error: 'disk full' });
    const one = {
      ...start,
      id: 'one',
      startedUs: 1,
      status: 'failed',
      finishedUs: 5,
      rows: 10,
      bytes: 0,
      error: 'disk full',
    };
    const ids = async (...args: Parameters<Registry['jobs']>) =>
      (await registry.jobs(...args)).map((job) => job.id);
    assert.deepEqual((await registry.jobs())[1], one);
    assert.deepEqual(await ids(), ['two', 'one']);
    assert.deepEqual(await ids({ status: 'running' }), ['two']);
    assert.deepEqual(await ids({ view: 'spending' }), ['one']);
    assert.deepEqual(await ids({}, 1), ['two']);
    await assert.rejects(registry.startJob({ ...start, id: 'one', startedUs: 3 }), {
      code: 'registry/job-exists',
    });
    await assert.rejects(registry.updateJob('three', { rows: 1 }), {
      code: 'registry/unknown-job',
    });
  });

  check('of each view, version and way the newest comparison is kept', async (registry) => {
    const first = {
      view: 'spending',
      version: 1,
      by: 'reconcile' as const,
      atUs: 5,
      compared: 100,
      different: 2,
      causes: { missing: 3, late: 1 },
      notes: 'abc',
    };
    const proven = { ...first, by: 'prove' as const, causes: {}, notes: '' };
    await registry.putComparison(first);
    await registry.putComparison(proven);
    await registry.putComparison({ ...first, version: 2 });
    const second = { ...first, atUs: 6, different: 0, causes: {} };
    await registry.putComparison(second);
    assert.deepEqual(await registry.comparisons(), [proven, second, { ...first, version: 2 }]);
  });

  check(
    'promises stand as they were last put, and their changes are a history',
    async (registry) => {
      const of = { view: 'spending', version: 1, feature: null };
      const now = { ...of, state: 'fresh' as const, sinceUs: 10, lag_ms: 1.5, lookedUs: 10 };
      const feature = { ...now, feature: 'amount', state: 'unknown' as const, lag_ms: null };
      const fresh = { ...of, atUs: 10, state: 'fresh' as const, lag_ms: 1.5 };
      await registry.putServiceLevels([now, feature], [fresh], 0);
      const stale = { ...of, atUs: 20, state: 'stale' as const, lag_ms: null };
      const other = { ...stale, view: 'risk', feature: 'score', atUs: 15 };
      const later = { ...now, state: 'stale' as const, sinceUs: 20, lookedUs: 30, lag_ms: 9 };
      await registry.putServiceLevels([later], [stale, other], 0);
      assert.deepEqual(await registry.serviceLevels(), [later, feature]);
      assert.deepEqual(await registry.levelChanges(null), [fresh, other, stale]);
      assert.deepEqual(await registry.levelChanges('spending'), [fresh, stale]);
      await registry.putServiceLevels([], [], 15);
      assert.deepEqual(await registry.levelChanges(null), [other, stale]);
    },
  );

  check('a turn is taken once, until the next one', async (registry) => {
    const take = (nowUs: number, nextUs: number, furthestUs = 1000) =>
      registry.takeTurn({ name: 'look', nowUs, nextUs, furthestUs });
    assert.equal(await take(10, 20), true);
    assert.equal(await take(10, 20), false);
    assert.equal(await take(19, 29), false);
    assert.equal(await take(20, 30), true);
    await registry.putTurn('look', 100);
    assert.equal(await take(99, 200), false);
    assert.equal(await take(100, 5000), true);
    assert.equal(await take(110, 120), true, 'a clock that was wrong holds nobody');
    assert.equal(
      await registry.takeTurn({ name: 'other', nowUs: 1, nextUs: 2, furthestUs: 9 }),
      true,
    );
  });
}
