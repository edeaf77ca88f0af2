/** Feast's driver statistics: repeats are one event, unknown drivers get a row, and both ways of joining latest values agree. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { proveNoLeakage } from '../../src/app/leakage.ts';
import {
  collect,
  count,
  definitionOf,
  entity,
  featureService,
  featureView,
  float32,
  int32,
  int64,
  parquet,
  source,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import { text } from '../../src/offline/duckdb/engine.ts';
import type { Schema } from '../../src/types/batch.ts';
import { openProject } from '../offline/support.ts';
import type { Row } from '../oracle/training.ts';
import { sharedData } from '../support/shared.ts';

const DAY = 86_400_000_000;
const file = sharedData('feast/driver_stats.parquet');
const project = await openProject();
after(() => project.close());

const driver = entity({ name: 'driver', key: { driver_id: int64 } });
const stats = source({
  name: 'stats',
  columns: {
    event_timestamp: timestamp,
    driver_id: int64,
    conv_rate: float32,
    acc_rate: float32,
    avg_daily_trips: int32,
  },
  eventTime: 'event_timestamp',
  batch: parquet(file.path),
});
/** Only latest values: DuckDB joins them by time. */
const hourly = featureView({
  name: 'hourly',
  entity: driver,
  source: stats,
  ttl: '1d',
  features: ({ conv_rate, acc_rate, avg_daily_trips }) => ({
    conv_rate,
    acc_rate,
    avg_daily_trips,
  }),
});
/** The same beside aggregates: the kernel's sweep. */
const mixed = featureView({
  name: 'mixed',
  entity: driver,
  source: stats,
  ttl: '1d',
  features: ({ conv_rate, acc_rate, avg_daily_trips }) => ({
    conv_rate,
    acc_rate,
    avg_daily_trips,
    events: count().lifetime(),
  }),
});
const service = featureService({ name: 'drivers', features: [hourly, mixed.as('mixed')] });
const COLUMNS = ['conv_rate', 'acc_rate', 'avg_daily_trips'] as const;
const HISTORY: Schema = definitionOf(stats).columns;

/** Around every event, around the end of its time to live, and drivers of whom nobody has heard. */
function labelsOf(history: readonly Row[]): { driver_id: bigint | null; T: number }[] {
  const around = history.flatMap(({ driver_id, event_timestamp }) =>
    [-1, 0, 1, DAY - 1, DAY, DAY + 1].map((shift) => ({
      driver_id: driver_id as bigint,
      T: Number(event_timestamp) + shift,
    })),
  );
  const strangers = [7n, -1004n, 9_007_199_254_740_993n, null].map((driver_id) => ({
    driver_id,
    T: around[5]!.T,
  }));
  return [...strangers, ...around];
}

for (const through of [false, true])
  test(`latest values, ttl and counts, ${through ? 'through' : 'before'} T`, {
    skip: file.skip,
  }, async () => {
    await project.writeSql(
      'stats.parquet',
      `SELECT * REPLACE (event_timestamp::TIMESTAMP AS event_timestamp) FROM ${text(file.path)}`,
    );
    const history = await project.read('stats.parquet', HISTORY);
    assert.equal(history.length, 1807);
    const seen = new Set<string>();
    const events = history.filter((row) => {
      const content = HISTORY.map(({ name }) => String(row[name])).join();
      return !seen.has(content) && seen.add(content);
    });
    assert.equal(events.length, 1805, 'two rows are repeats');

    const labels = labelsOf(events);
    const { manifestPath } = await project.store.train({
      catalog: catalogOf(collect({ service })),
      service: null,
      members: definitionOf(service).members,
      labels: { type: 'rows', rows: labels },
      timeColumn: 'T',
      through,
      knowledge: 'final',
      output: { format: 'parquet', path: project.path('out.parquet') },
    });
    const rows = await project.read('out.parquet', [
      { name: 'driver_id', dtype: int64 },
      ...['', 'mixed_'].flatMap((prefix) =>
        COLUMNS.map((name) => ({
          name: prefix + name,
          dtype: name === 'avg_daily_trips' ? int32 : float32,
        })),
      ),
      { name: 'mixed_events', dtype: int64 },
    ]);
    assert.equal(rows.length, labels.length);
    labels.forEach(({ driver_id, T }, i) => {
      const readUs = T + (through ? 1 : 0);
      let newest: Row | undefined;
      let before = 0n;
      for (const event of events) {
        const us = Number(event.event_timestamp);
        if (event.driver_id !== driver_id || us >= readUs) continue;
        before++;
        if (us >= readUs - DAY && us > Number(newest?.event_timestamp ?? -1)) newest = event;
      }
      const latest = COLUMNS.map((name) => newest?.[name] ?? null);
      const { driver_id: key, mixed_events, ...values } = rows[i]!;
      assert.deepEqual([key, mixed_events], [driver_id, before], `row ${i}`);
      assert.deepEqual(Object.values(values), [...latest, ...latest], `row ${i}`);
    });
    const proof = await proveNoLeakage(project.store, manifestPath, 500);
    assert.deepEqual([proof.rows, proof.leaks], [500, []]);
    assert.ok(proof.hidden > 0);
  });
