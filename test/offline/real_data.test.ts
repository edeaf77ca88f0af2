/** Real data against brute force over rows: CDNOW's recency and frequency, Feast's driver statistics. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import {
  collect,
  count,
  csv,
  date,
  definitionOf,
  entity,
  featureService,
  featureView,
  float32,
  float64,
  int32,
  int64,
  max,
  min,
  onDemandView,
  parquet,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import { sharedData } from '../support/shared.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());

const DAY = 86_400_000_000;
const cdnow = sharedData('cdnow/CDNOW_sample.txt');
const drivers = sharedData('feast/driver_stats.parquet');

test('CDNOW: recency, frequency, age and money by the end of the calibration period', {
  skip: cdnow.skip,
}, async () => {
  const purchases = readFileSync(cdnow.path, 'utf8')
    .trim()
    .split(/\r?\n/)
    .map((line) => line.trim().split(/\s+/))
    .map(([, id, day, cds, dollars]) => ({
      id: id!,
      day: `${day!.slice(0, 4)}-${day!.slice(4, 6)}-${day!.slice(6)}`,
      cds: Number(cds),
      dollars: Number(dollars),
    }));
  assert.equal(purchases.length, 6919);
  const lines = purchases.map(
    ({ id, day, cds, dollars }, i) => `${i},${id},${day},${cds},${dollars}`,
  );
  writeFileSync(project.path('cdnow.csv'), `n,customer,day,cds,dollars\n${lines.join('\n')}\n`);
  const customer = entity({ name: 'customer', key: { customer: string } });
  const sales = source({
    name: 'sales',
    columns: { n: int64, customer: string, day: date, cds: int32, dollars: float64 },
    eventTime: 'day',
    eventId: 'n',
    batch: csv('cdnow.csv'),
  });
  const habits = featureView({
    name: 'habits',
    entity: customer,
    source: sales,
    features: ({ day, cds, dollars }) => ({
      first: min(day).lifetime(),
      last: max(day).lifetime(),
      purchases: count().lifetime(),
      cds: sum(cds).lifetime(),
      spent: sum(dollars).lifetime(),
    }),
  });
  const rfm = onDemandView({
    name: 'rfm',
    request: { day: date },
    uses: { habits },
    features: ({ request, habits }) => ({
      recency: habits.last.diff(habits.first, 'd'),
      age: request.day.diff(habits.first, 'd'),
    }),
  });
  const service = featureService({ name: 'cdnow', features: [habits, rfm] });
  const end = '1997-09-30';
  const ids = [...new Set(purchases.map(({ id }) => id))];
  await project.store.train({
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: {
      type: 'rows',
      rows: ids.map((customer) => ({ customer, T: '1997-10-01', day: end })),
    },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('cdnow.parquet') },
  });
  const rows = await project.read('cdnow.parquet', [
    { name: 'customer', dtype: string },
    { name: 'purchases', dtype: int64 },
    { name: 'cds', dtype: int64 },
    { name: 'spent', dtype: float64 },
    { name: 'recency', dtype: int64 },
    { name: 'age', dtype: int64 },
  ]);
  assert.equal(rows.length, 2357, 'as many customers as the literature counts');
  const days = (from: string, to: string): bigint =>
    BigInt((Date.parse(to) - Date.parse(from)) / 86_400_000);
  rows.forEach((row, i) => {
    const own = purchases.filter(({ id, day }) => id === ids[i] && day <= end);
    const dates = own.map(({ day }) => day).sort();
    const cents = own.reduce((total, { dollars }) => total + Math.round(dollars * 100), 0);
    assert.deepEqual(
      { ...row, spent: Math.round(Number(row.spent) * 100) },
      {
        customer: ids[i],
        purchases: BigInt(own.length),
        cds: own.reduce((total, { cds }) => total + BigInt(cds), 0n),
        spent: cents,
        recency: days(dates[0]!, dates.at(-1)!),
        age: days(dates[0]!, end),
      },
    );
  });
});

test('Feast: the latest statistics of a driver before each time, with a time to live', {
  skip: drivers.skip,
}, async () => {
  const driver = entity({ name: 'driver', key: { driver_id: int64 } });
  const columns = {
    event_timestamp: timestamp,
    driver_id: int64,
    conv_rate: float32,
    acc_rate: float32,
    avg_daily_trips: int32,
    created: timestamp,
  };
  const stats = source({
    name: 'stats',
    columns,
    eventTime: 'event_timestamp',
    arrivalTime: 'created',
    batch: parquet(drivers.path),
  });
  const hourly = featureView({
    name: 'hourly',
    entity: driver,
    source: stats,
    ttl: '1d',
    features: ({ conv_rate, avg_daily_trips }) => ({ conv_rate, avg_daily_trips }),
  });
  const service = featureService({ name: 'drivers', features: [hourly] });
  const schema = Object.entries(columns).map(([name, dtype]) => ({ name, dtype }));
  await project.writeSql(
    'stats.parquet',
    `SELECT * REPLACE (event_timestamp::TIMESTAMP AS event_timestamp) FROM '${drivers.path}'`,
  );
  const history = await project.read('stats.parquet', schema);
  assert.equal(history.length, 1807);
  // Every event's own time, a microsecond to either side, and the edge of its time to live.
  const labels = history.flatMap(({ driver_id, event_timestamp }) =>
    [0, 1, -1, DAY, DAY + 1].map((shift) => ({
      driver_id,
      T: Number(event_timestamp) + shift,
    })),
  );
  await project.store.train({
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: { type: 'rows', rows: labels },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('drivers.parquet') },
  });
  const rows = await project.read('drivers.parquet', [
    { name: 'conv_rate', dtype: float32 },
    { name: 'avg_daily_trips', dtype: int32 },
  ]);
  labels.forEach((label, i) => {
    let newest: (typeof history)[number] | null = null;
    for (const row of history)
      if (
        row.driver_id === label.driver_id &&
        Number(row.event_timestamp) < label.T &&
        Number(row.event_timestamp) >= label.T - DAY &&
        (newest === null || Number(row.event_timestamp) > Number(newest.event_timestamp))
      )
        newest = row;
    assert.deepEqual(rows[i], {
      conv_rate: newest?.conv_rate ?? null,
      avg_daily_trips: newest?.avg_daily_trips ?? null,
    });
  });
});
