/** What is looked up in pages that are ahead is what a fold over what had arrived says, whether a page can tell or history must. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  collect,
  count,
  entity,
  featureView,
  float64,
  int64,
  latest,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, compileView, validateCatalog } from '../../src/model/index.ts';
import { applyRows } from '../../src/stream/apply_rows.ts';
import type { EventLog } from '../../src/stream/contract.ts';
import { decoderFor } from '../../src/stream/decode/index.ts';
import { HistoryBuffer } from '../../src/stream/history_buffer.ts';
import { LookUps } from '../../src/stream/lookups.ts';
import { settleKeys } from '../../src/stream/page_builder.ts';
import { readBatch } from '../../src/stream/read_batch.ts';
import { columnOf, scalarAt } from '../../src/types/column.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { lookedUp } from './simulator/expected.ts';
import { simulatedOffline } from './simulator/offline.ts';
import { NO_FAULTS, Process } from './simulator/process.ts';
import { Random } from './simulator/random.ts';
import { START_US } from './simulator/scenario.ts';
import { Scheduler } from './simulator/scheduler.ts';
import { type HistoryRow, SimulatedHistory, SimulatedStore } from './simulator/stores.ts';

const SECOND = 1_000_000;
const USERS = 3;
const SPAN_S = 120;

function definitions(mutable: boolean, kept: boolean) {
  const user = entity({ name: 'user', key: { user_id: int64 } });
  const columns = { id: int64, at: timestamp, user_id: int64, amount: float64, note: string };
  const common = {
    columns,
    eventTime: 'at' as const,
    eventId: 'id' as const,
    lateness: '1s' as const,
  };
  const users = source({ name: 'users', ...common, mutable });
  const profile = featureView({
    name: 'profile',
    entity: user,
    source: users,
    retention: kept ? undefined : '40s',
    features: ({ amount, note }) => ({
      note,
      n: count().over('10s'),
      recent: sum(amount).over('35s'),
      last: sum(amount).overLast(2).over('35s'),
      young: latest(note).ttl('5s').default('none'),
      total: sum(amount).lifetime(),
    }),
  });
  const { note, n, recent, last, young, total } = profile.features;
  const events = source({
    name: 'events',
    ...common,
    lookups: { city: note, n, recent, last, young, total },
  });
  const seen = featureView({
    name: 'seen',
    entity: user,
    source: events,
    features: (row) => ({
      // Half of the time nothing is asked for that takes in all there ever was.
      ...(random.chance(0.5) ? { all: row.total } : {}),
      where: row.city,
      few: row.n,
      some: row.recent,
      two: row.last,
      now: row.young,
    }),
  });
  const catalog = catalogOf(collect({ user, users, profile, events, seen }));
  validateCatalog(catalog);
  return { catalog, seen: compileView(catalog, 'seen'), profile: compileView(catalog, 'profile') };
}

const random = new Random(7);
const utf8 = new TextEncoder();

/** Changes of users as records of a log: repeated, corrected, moved, taken back, early and late. */
function recordsOf(count: number) {
  const sent: Record<string, unknown>[] = [];
  return Array.from({ length: count }, (_, i) => {
    const known = sent.length > 0 && random.chance(0.4) ? random.pick(sent) : null;
    const row = {
      id: i,
      at: START_US + random.below(SPAN_S) * SECOND,
      user_id: random.below(USERS),
      amount: random.below(400) / 4,
      // Some fill blocks after a few events.
      note: random.pick(['', 'a', 'é']).padEnd(random.pick([1, 900]), 'x'),
      ...(known === null
        ? {}
        : random.pick([known, { ...known, __op: 'retract' }, { id: known.id }])),
    };
    sent.push(row);
    return {
      position: BigInt(i),
      timestampUs: START_US + i * SECOND,
      key: null,
      value: utf8.encode(JSON.stringify(row)),
      headers: new Map(),
    };
  });
}

test('pages that are ahead, rebuilt, or short of what was dropped never say what was not known', async () => {
  let byPages = 0;
  let byHistory = 0;
  for (let run = 0; run < cases(150); run++) {
    const scheduler = new Scheduler(START_US);
    const process = new Process('test', scheduler, random, NO_FAULTS);
    const settle = <T>(promise: Promise<T>) => scheduler.until(promise, 100_000);
    const { catalog, seen, profile } = definitions(random.chance(0.5), random.chance(0.5));
    const users = profile.source;
    const store = new SimulatedStore();
    const history = new SimulatedHistory();
    const online = store.for(process);
    const offline = simulatedOffline(process, new Map([['users', history]]));
    const records = recordsOf(random.between(1, 60));
    const decoded = await decoderFor(users).decode(records);
    const cut = random.below(records.length + 1);
    const buffer = new HistoryBuffer(users, 'p', null);
    let at = null;
    for (const part of [
      [0, cut],
      [cut, records.length],
    ] as const) {
      if (part[0] === part[1]) continue;
      const batch = readBatch(users, 'p', at, records.slice(...part), decoded.slice(...part));
      at = batch.to;
      await settle(applyRows(online, profile, [{ batch: { ...batch, late: null }, first: 0 }]));
      buffer.add(batch);
      assert.ok(history.commit(buffer.take()!));
      buffer.durable = at;
      // A build in the middle leaves no trace of what was there before.
      if (random.chance(0.5)) continue;
      const request = { catalog, view: 'profile', shard: null, changedSinceUs: null, keys: null };
      const build = {
        online,
        offline,
        log: history.for(process),
        program: profile,
        history: request,
      };
      await settle(settleKeys(build, store.keysOf(profile.id)));
    }

    // Of what comes now, as usual, or of what came long ago.
    const leastS = random.chance(0.4) ? records.length : 0;
    const asked = Array.from({ length: 30 }, (_, i): HistoryRow => {
      const t = START_US + random.below(2 * SPAN_S) * (SECOND / 2) + random.below(2);
      const user_id = random.chance(0.1) ? null : BigInt(random.below(USERS + 1));
      return {
        partition: 'q',
        position: BigInt(i),
        arrivalUs: START_US + random.between(leastS, records.length + 1) * SECOND + random.below(2),
        retract: false,
        values: { id: BigInt(i), at: t, user_id, amount: 0, note: '' },
      };
    });
    const rows = {
      length: asked.length,
      columns: Object.fromEntries(
        seen.source.columns.map(({ name, dtype }) => [
          name,
          columnOf(
            dtype,
            asked.map(({ values }) => values[name]!),
          ),
        ]),
      ),
    };
    const deliveries = {
      rows,
      timeUs: Float64Array.from(asked, ({ values }) => values.at as number),
      arrivalUs: Float64Array.from(asked, ({ arrivalUs }) => arrivalUs),
    };
    let keysAsked = 0;
    const counted: typeof offline = {
      history: (request) => {
        keysAsked += request.keys!.length;
        return offline.history(request);
      },
    };
    const log = { stampSlackMs: 0, ends: async () => new Map() } as unknown as EventLog;
    const { clock } = process;
    const lookUps = new LookUps({
      online,
      offline: counted,
      history: history.for(process),
      log,
      clock,
    });
    const moment = { beforeUs: Number.POSITIVE_INFINITY, inLogMs: 0 };
    const first = random.below(3);
    const found = await settle(lookUps.columns(seen, deliveries, first, moment));
    assert.ok(found !== null, 'history has all');
    byHistory += keysAsked;
    byPages += USERS - keysAsked;
    const right = lookedUp(seen, asked, () => history.rows);
    for (const { name } of seen.lookups)
      for (let row = first; row < asked.length; row++) {
        const value = scalarAt(found[name]!, row);
        const wanted = right[row]!.values[name]!;
        if (!sameScalar(value, wanted))
          assert.fail(`run ${run}, row ${row}: ${name} is ${value} where ${wanted} is right`);
      }
  }
  assert.ok(byPages > 50 && byHistory > 50, `${byPages} by pages alone, ${byHistory} by history`);
});
