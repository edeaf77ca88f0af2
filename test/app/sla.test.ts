/** How long promises of freshness were kept and broken, also over times when nobody looked; and that any process can tell. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { getVector } from '../../src/app/get.ts';
import type { App } from '../../src/app/open.ts';
import { push } from '../../src/app/push.ts';
import { type Look, lookAt, lookAtLevels, nextLevels, staleness } from '../../src/app/sla.ts';
import type { Streaming } from '../../src/app/streaming.ts';
import { applyHere } from '../../src/app/streams.ts';
import { sourceHealth } from '../../src/app/view_health.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { US_PER_DAY } from '../../src/base/time.ts';
import type { LevelChange, ServiceLevel } from '../../src/registry/health_contract.ts';
import { type Project, project } from './project.ts';

const OF = { view: 'spending', version: 1, feature: null };
const S = 1e6;

test('a promise is broken when what waits has waited for longer', () => {
  const promised = { ...OF, within_ms: 500 };
  const stateAt = (lag: number | null) => lookAt(promised, lag).state;
  assert.deepEqual([0, 500, 501, null].map(stateAt), ['fresh', 'fresh', 'stale', 'unknown']);
});

/** Keeps what a registry would. */
function keeper() {
  let level: ServiceLevel | undefined;
  const changes: LevelChange[] = [];
  let writes = 0;
  return {
    changes,
    level: () => level,
    writes: () => writes,
    look(atUs: number, state: Look['state']) {
      const looks: Look[] = [{ ...OF, state, lag_ms: state === 'unknown' ? null : 1 }];
      const next = nextLevels(level === undefined ? [] : [level], looks, atUs);
      changes.push(...next.changes);
      if (next.levels.length > 0) writes++;
      level = next.levels[0] ?? level;
    },
  };
}

test('only changes are written, and now and then that somebody looked', () => {
  const kept = keeper();
  for (let at = 0; at <= 300; at += 5) kept.look(at * S, at >= 100 && at < 150 ? 'stale' : 'fresh');
  assert.deepEqual(
    kept.changes.map(({ atUs, state }) => [atUs / S, state]),
    [
      [0, 'fresh'],
      [100, 'stale'],
      [150, 'fresh'],
    ],
  );
  assert.ok(kept.writes() < 12, String(kept.writes()));
  assert.equal(kept.level()!.sinceUs, 150 * S);
  const of = (from: number, to: number) => staleness(kept.changes, OF, from * S, to * S);
  assert.deepEqual(of(0, 300), { times: 1, stale_ms: 50_000 });
  assert.deepEqual(of(120, 300), { times: 1, stale_ms: 30_000 });
  assert.deepEqual(of(150, 300), { times: 0, stale_ms: 0 });
  assert.deepEqual(of(0, 110), { times: 1, stale_ms: 10_000 });
  assert.deepEqual(staleness(kept.changes, { ...OF, version: 2 }, 0, 300 * S).times, 0);
});

test('what nobody saw is unknown, not fresh', () => {
  const kept = keeper();
  kept.look(0, 'stale');
  kept.look(60 * S, 'stale');
  kept.look(10_000 * S, 'fresh');
  assert.deepEqual(
    kept.changes.map(({ atUs, state }) => [atUs / S, state]),
    [
      [0, 'stale'],
      [60, 'unknown'],
      [10_000, 'fresh'],
    ],
  );
  assert.equal(staleness(kept.changes, OF, 0, 20_000 * S).stale_ms, 60_000);
});

test('time stale is what a sum over all looks says', () => {
  const states = ['fresh', 'stale', 'unknown'] as const;
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ after: fc.integer({ min: 1, max: 119 }), state: fc.constantFrom(...states) }),
        {
          minLength: 1,
        },
      ),
      fc.integer({ min: 0, max: 3000 }),
      (looks, from) => {
        const kept = keeper();
        let at = 0;
        const at_: [number, string][] = [];
        for (const { after: gap, state } of looks) {
          at += gap;
          kept.look(at * S, state);
          at_.push([at, state]);
        }
        const end = at + 1;
        let stale = 0;
        at_.forEach(([start, state], i) => {
          const until = at_[i + 1]?.[0] ?? end;
          if (state === 'stale') stale += Math.max(0, until - Math.max(from, start));
        });
        assert.equal(staleness(kept.changes, OF, from * S, end * S).stale_ms, stale * 1000);
        assert.equal(kept.level()!.state, at_.at(-1)![1]);
      },
    ),
  );
});

const FEATURES = `
import { count, entity, featureView, float64, int64, source, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const payments = source({
  name: 'payments', columns: { id: int64, at: timestamp, customer_id: int64, amount: float64 },
  eventTime: 'at', eventId: 'id',
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments, freshness: '1s',
  features: ({ amount }) => ({
    n: count().over('1d'),
    withheld: count().over('1d').whenStale('null'),
    guarded: count().over('1d').whenStale('fail'),
    total: sum(amount).over('1d').freshness('1h'),
  }),
});
`;

let made: Project;
let app: App;
before(async () => {
  made = await project(FEATURES, 'SELECT 1 AS unused');
  app = await made.open();
});
after(async () => {
  await app.close();
  made.remove();
});

test('the registry tells how promises of views and features are kept, whoever looked', async () => {
  const streaming = await app.streaming();
  let nowUs = streaming.clock.nowUs();
  const at = (change: Partial<Streaming> = {}): Streaming => ({
    ...streaming,
    clock: { ...streaming.clock, nowUs: () => nowUs },
    ...change,
  });
  const levels = async () =>
    (await app.registry.serviceLevels()).map(({ feature, state, lag_ms }) => [
      feature,
      state,
      lag_ms === null ? null : lag_ms > 0,
    ]);
  const pushOne = (id: number) =>
    push(
      streaming,
      {
        source: 'payments',
        rows: [{ id, at: '2024-01-01', customer_id: 1, amount: 1 }],
        wait: 'durable',
      },
      async () => {},
    );
  await pushOne(1);
  const topic = 'payments';
  const places = [...(await streaming.log.ends(topic))].map(([partition, { next }]) => ({
    partition,
    position: next - 1n,
  }));
  const [source] = (await app.registry.load()).filter(({ kind }) => kind === 'source');
  await applyHere(
    streaming,
    source!.definition as never,
    places.filter(({ position }) => position >= 0n),
  );
  nowUs += 10 * S;
  await lookAtLevels(at(), 5_000);
  assert.deepEqual(await levels(), [
    [null, 'fresh', false],
    ['total', 'fresh', false],
  ]);
  await pushOne(2);
  nowUs += 60 * S;
  await Promise.all([lookAtLevels(at(), 5_000), lookAtLevels(at(), 5_000)]);
  assert.deepEqual(await levels(), [
    [null, 'stale', true],
    ['total', 'fresh', true],
  ]);
  assert.equal((await app.registry.levelChanges('spending')).length, 3);
  // Whoever reads without a server is told the same.
  const get = async (features: string, atUs = nowUs) => {
    const what = features.replaceAll(/\w+/g, 'spending:$&');
    const read = await getVector(app, what, { customer_id: '1' }, { atUs, through: false });
    return read.features.map(({ status, stale }) => (stale ? `${status}, stale` : status));
  };
  assert.deepEqual(await get('n,withheld,total'), ['PRESENT, stale', 'STALE', 'NULL_VALUE']);
  await assert.rejects(get('n,guarded'), { code: 'serving/stale-feature' });
  assert.deepEqual(await get('guarded', 0), ['NOT_FOUND'], 'before the lag began nothing is late');
  nowUs += 60 * S;
  const away = async () => {
    throw new SamewiseError('stream/unreachable', 'gone');
  };
  await lookAtLevels(at({ log: { ...streaming.log, ends: away } as never }), 5_000);
  assert.deepEqual(await levels(), [
    [null, 'unknown', null],
    ['total', 'unknown', null],
  ]);
  const [status] = await sourceHealth(at(), null);
  const [view, feature] = status!.views[0]!.promises;
  assert.deepEqual(
    [view!.state, view!.within_ms, view!.times_stale_7d, view!.stale_ms_7d],
    ['stale', 1000, 1, 60_000],
  );
  assert.deepEqual(
    [feature!.feature, feature!.state, feature!.times_stale_7d],
    ['total', 'fresh', 0],
  );
  nowUs += 8 * US_PER_DAY;
  const [later] = await sourceHealth(at(), null);
  assert.equal(later!.views[0]!.promises[0]!.times_stale_7d, 0);
});
