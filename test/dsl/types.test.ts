/**
 * Mistakes that do not compile: `tsc` fails if one of the lines below an expectation is accepted. The same mistakes, made
 * without types, are told clearly at run time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import {
  avg,
  boolAnd,
  collect,
  count,
  csv,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  lastK,
  latest,
  onDemandView,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, validateCatalog } from '../../src/model/index.ts';
import { customer, fraud, spending, transactions } from './fixtures.ts';

const people = source({
  name: 'people',
  columns: { customer_id: int64, at: timestamp, city: string, home: string, age: int64 },
  eventTime: 'at',
});
const city = entity({ name: 'city', key: { city: string } });
const profile = featureView({
  name: 'profile',
  entity: customer,
  source: people,
  features: ({ city, age }) => ({ city, age: latest(age).ttl('7d') }),
});
const cityStats = featureView({
  name: 'city_stats',
  entity: city,
  source: people,
  features: ({ age }) => ({ mean_age: avg(age).lifetime() }),
});

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof SamewiseError) return error.code;
    throw error;
  }
  return 'none';
}

/** Defines a view over the example's source. */
const view = (name: string, features: any) =>
  featureView({ name, entity: customer, source: transactions, features });

test('a misspelt column', () => {
  const define = () =>
    featureView({
      name: 'bad',
      entity: customer,
      source: transactions,
      // @ts-expect-error amuont is not a column
      features: ({ amuont }) => ({ total: sum(amuont).over('1d') }),
    });
  assert.throws(define, (error: SamewiseError) => {
    assert.equal(error.code, 'model/unknown-column');
    assert.equal(error.hint, 'did you mean "amount"?');
    assert.equal(error.where.view, 'bad');
    return true;
  });
});

test('a sum over a string, and other inputs of a wrong type', () => {
  const define = () =>
    featureView({
      name: 'bad',
      entity: customer,
      source: people,
      features: ({ city }) => ({
        // @ts-expect-error a string has no sum
        total: sum(city).over('1d'),
      }),
    });
  assert.match(codeOf(define), /^aggregate\//);
  featureView({
    name: 'fine',
    entity: customer,
    source: people,
    features: ({ age, city }) => {
      // @ts-expect-error a number is not a condition
      assert.doesNotThrow(() => boolAnd(age));
      // @ts-expect-error a string is not a number
      assert.throws(() => age.add(city));
      return { older: count().where(age.gt(30)).over('1d') };
    },
  });
});

test('a wrong unit', () => {
  // @ts-expect-error days are d
  const wrong1 = () => count().over('7 days');
  assert.equal(codeOf(wrong1), 'time/bad-duration');
  // @ts-expect-error there is no week
  const wrong2 = () => count().over('1w');
  assert.equal(codeOf(wrong2), 'time/bad-duration');
  // @ts-expect-error a duration is text with a unit
  const wrong3 = () => count().over(7);
  assert.equal(codeOf(wrong3), 'time/bad-duration');
  // @ts-expect-error decades are not a unit of the calendar
  count().sinceStartOf('decade');
});

test('an aggregate without a window', () => {
  const define = () =>
    featureView({
      name: 'bad',
      entity: customer,
      source: transactions,
      // @ts-expect-error a window is missing
      features: ({ amount }) => ({ mean: avg(amount), fine: lastK(amount, 3).lifetime() }),
    });
  assert.throws(define, { code: 'dsl/no-window', where: { view: 'bad', feature: 'mean' } });
});

test('a source without event time, or with roles that do not fit', () => {
  // @ts-expect-error eventTime is missing
  const timeless = source({ name: 's', columns: { a: int64 }, batch: csv('a.csv') });
  assert.equal(
    codeOf(() => validateCatalog(catalogOf(collect([timeless])))),
    'model/no-event-time',
  );
  // @ts-expect-error a is not a time
  const bad = source({ name: 's', columns: { a: int64 }, eventTime: 'a' });
  assert.equal(
    codeOf(() => validateCatalog(catalogOf(collect([bad])))),
    'model/bad-column-type',
  );
  source({
    name: 's',
    columns: { a: int64, at: timestamp, x: float64 },
    eventTime: 'at',
    // @ts-expect-error a float does not identify anything
    eventId: 'x',
  });
});

test('keys that the source does not have, or in another type', () => {
  const card = entity({ name: 'card', key: { card: int64 } });
  const features = ({ amount }: any) => ({ n: count(amount).over('1d') });
  // @ts-expect-error there is no column card: keys are needed
  const unmapped = featureView({ name: 'v', entity: card, source: transactions, features });
  assert.equal(
    codeOf(() => validateCatalog(catalogOf(collect([unmapped])))),
    'model/unknown-column',
  );
  const mistyped = featureView({
    name: 'v',
    entity: card,
    source: transactions,
    // @ts-expect-error amount is a float64
    keys: { card: 'amount' },
    features,
  });
  assert.equal(
    codeOf(() => validateCatalog(catalogOf(collect([mistyped])))),
    'model/bad-keys',
  );
  featureView({
    name: 'v',
    entity: card,
    source: transactions,
    keys: { card: 'terminal_id' },
    features,
  });
});

test('features that are not there', () => {
  // @ts-expect-error the view has no such feature
  const wrong4 = () => spending.pick('avg_amount');
  assert.equal(codeOf(wrong4), 'model/unknown-feature');
  // @ts-expect-error the view has no such feature
  const wrong5 = () => spending.features.avg_amount;
  assert.equal(codeOf(wrong5), 'model/unknown-feature');
  // @ts-expect-error nor directly
  assert.equal(spending.avg_amount, undefined);
  // @ts-expect-error picked away
  assert.equal(spending.pick('tx_count_1d').avg_amount_7d, undefined);
  const define = () =>
    onDemandView({
      name: 'bad',
      uses: { spending },
      // @ts-expect-error misspelt
      features: ({ spending }) => ({ x: spending.avg_amount_7 }),
    });
  assert.equal(codeOf(define), 'model/unknown-column');
});

test('look-ups via a feature of another type', () => {
  cityStats.via({ city: profile.city });
  cityStats.via({ city: profile.features.city });
  // @ts-expect-error the age is no city
  const bad = cityStats.via({ city: profile.age });
  const service = featureService({ name: 's', features: [bad] });
  assert.equal(
    codeOf(() => validateCatalog(catalogOf(collect([service])))),
    'model/bad-keys',
  );
  // @ts-expect-error the key is called city
  const wrong6 = () => cityStats.on({ town: 'home' });
  assert.equal(codeOf(wrong6), 'model/bad-keys');
  cityStats.on({ city: 'home' }).as('home');
});

test('defaults of another type', () => {
  // @ts-expect-error a count is not a string
  const bad = count().over('1d').default('none');
  assert.equal(
    codeOf(() => view('bad', () => ({ n: bad }))),
    'types/wrong-type',
  );
  count().over('1d').default(0);
  // @ts-expect-error a service takes views and features
  const wrong7 = () => featureService({ name: 's', features: [customer] });
  assert.equal(codeOf(wrong7), 'dsl/not-a-view');
  featureService({ name: 's', features: [spending.avg_amount_7d, spending.pick('tx_count_1d')] });
  assert.ok(fraud);
});

test('what a source looks up', () => {
  const columns = { at: timestamp, buyer: int64, amount: float64 };
  const purchases = source({
    name: 'purchases',
    columns,
    lookups: { city: profile.on({ customer_id: 'buyer' }).features.city },
    eventTime: 'at',
  });
  const perCity = featureView({
    name: 'per_city',
    entity: city,
    source: purchases,
    where: ({ city }) => city.ne('nowhere'),
    features: ({ amount }) => ({ spent: sum(amount).over('7d') }),
  });
  validateCatalog(catalogOf(collect({ perCity })));
  const wrong = () =>
    featureView({
      name: 'wrong',
      entity: city,
      source: purchases,
      // @ts-expect-error a looked-up string is no number
      features: ({ city }) => ({ total: sum(city).over('7d') }),
    });
  assert.equal(codeOf(wrong), 'aggregate/bad-input');
  // @ts-expect-error a view is not one of its features
  const whole = () => source({ name: 's', columns, eventTime: 'at', lookups: { city: profile } });
  assert.equal(codeOf(whole), 'dsl/not-a-feature');
  // @ts-expect-error the event time cannot be looked up
  source({ name: 's', columns, eventTime: 'age', lookups: { age: profile.features.age } });
  const nested = () =>
    source({
      name: 's',
      columns,
      eventTime: 'at',
      lookups: { mean: cityStats.via({ city: profile.features.city }).features.mean_age },
    });
  assert.equal(codeOf(nested), 'model/nested-lookup');
});
