/** What stands in for a value is explained, too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainTexts } from '../../src/app/explain.ts';
import { getVector } from '../../src/app/get.ts';
import { materialize } from '../../src/app/materialize.ts';
import { parseInstant } from '../../src/base/time.ts';
import { project } from './project.ts';

const FEATURES = `
import { avg, count, entity, featureService, featureView, float64, int64, onDemandView, parquet, source, string, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const city = entity({ name: 'city', key: { city: string } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, city: string, amount: float64 },
  eventTime: 'at', eventId: 'id', batch: parquet('data/*.parquet'),
});
export const profile = featureView({ name: 'profile', entity: customer, source: payments, features: ({ city }) => ({ city }) });
export const cities = featureView({
  name: 'cities', entity: city, source: payments,
  features: ({ amount }) => ({ mean: avg(amount).lifetime(), n: count().over('1h') }),
});
const own = cities.via({ city: profile.features.city });
export const spending = featureView({
  name: 'spending', entity: customer, source: payments,
  features: ({ amount }) => ({
    mean: avg(amount).over('1h').orElse(own.features.mean).default(-1),
    n: count().over('1h').orElse(own.features.n),
  }),
});
export const context = onDemandView({
  name: 'context', uses: { spending },
  features: ({ spending }) => ({ twice: spending.mean.mul(2) }),
});
export const all = featureService({ name: 'all', features: [spending, context] });
`;

test('which fallback stands in, and why that has its value', async (t) => {
  const here = await project(
    FEATURES,
    `SELECT i AS id, TIMESTAMP '2024-03-20' + to_minutes(i * 40) AS "at", i % 2 AS customer_id,
       'Rome' AS city, i::DOUBLE AS amount FROM range(6) t(i)`,
  );
  const app = await here.open();
  t.after(async () => {
    await app.close();
    here.remove();
  });
  await materialize(app);
  const time = { atUs: parseInstant('2024-03-20T03:30:00Z'), through: false };
  const request = { service: 'all', events: 20, ...time };
  // Of customer 0 the last payment is at 02:40, of customer 1 at 03:20; of 7 there is none.
  for (const [id, status] of [
    ['0', 'PRESENT'],
    ['1', 'PRESENT'],
    ['7', 'DEFAULTED'],
  ] as const) {
    const key = { customer_id: id };
    const vector = await getVector(app, 'all', key, time);
    for (const { name, value, status: served } of vector.features) {
      const told = await explainTexts(app, key, { ...request, feature: name });
      assert.equal(JSON.stringify(told.value), String(value), `${name} of ${id}`);
      assert.equal(told.status, served, `${name} of ${id}`);
      assert.equal(told.agrees, true);
    }
    const told = await explainTexts(app, key, { ...request, feature: 'n' });
    if (status === 'DEFAULTED') assert.equal(told.lookups.length, 3);
  }
  const late = { ...request, atUs: parseInstant('2024-03-20T05:00:00Z'), feature: 'mean' };
  const told = await explainTexts(app, { customer_id: '0' }, late);
  assert.equal(told.status, 'FALLBACK_1');
  assert.equal(JSON.stringify(told.value), '2.5');
  const stoodIn = told.lookups.find(({ feature }) => feature === 'cities:mean')!;
  assert.equal(stoodIn.counted, 6);
  assert.equal(stoodIn.keys[0]!.from, 'profile:city');
  const twice = await explainTexts(app, { customer_id: '0' }, { ...late, feature: 'twice' });
  assert.equal(JSON.stringify(twice.value), '5');
  assert.equal(twice.computations[0]!.inputs[0]!.from, 'spending:mean, or else cities:mean');
});
