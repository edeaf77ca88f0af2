/** What is written becomes the plain data that is meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGGREGATES } from '../../src/aggregate/index.ts';
import { LIFETIME } from '../../src/aggregate/window.ts';
import { US_PER_DAY, US_PER_HOUR } from '../../src/base/time.ts';
import * as dsl from '../../src/dsl/index.ts';
import {
  avg,
  bool,
  collect,
  computed,
  count,
  csv,
  definitionOf,
  entity,
  type FeatureRef,
  featureService,
  featureView,
  float64,
  int64,
  jsFunction,
  json,
  lastK,
  latest,
  list,
  onDemandView,
  parquet,
  source,
  sql,
  stream,
  string,
  sum,
  timestamp,
  when,
} from '../../src/dsl/index.ts';
import { column } from '../../src/expr/index.ts';
import {
  catalogOf,
  type FeatureView,
  type OnDemandView,
  validateCatalog,
} from '../../src/model/index.ts';
import { context, customer, fraud, spending, transactions } from './fixtures.ts';

const thing = entity({ name: 'thing', key: { id: int64 } });
const events = source({
  name: 'events',
  columns: { id: int64, at: timestamp, x: float64, n: int64, s: string, ok: bool },
  eventTime: 'at',
});
/** The plain features of a view over `events`. */
function featuresOf(
  features: (columns: any) => any,
  options: object = {},
): FeatureView['features'] {
  const view = featureView({ name: 'v', entity: thing, source: events, features, ...options });
  const definitions = collect([view]);
  validateCatalog(catalogOf(definitions));
  return (definitionOf(view) as FeatureView).features;
}

test('the example of the README', () => {
  const definitions = collect({ customer, transactions, spending, context, fraud });
  assert.deepEqual(
    definitions.map(({ kind, name }) => `${kind}/${name}`),
    [
      'entity/customer',
      'source/transactions',
      'featureView/customer_spending',
      'onDemandView/amount_context',
      'featureService/fraud_v1',
    ],
  );
  validateCatalog(catalogOf(definitions));
  const view = definitionOf(spending) as FeatureView;
  assert.deepEqual(view.keys, ['customer_id']);
  assert.equal(view.freshnessUs, 5_000_000);
  assert.deepEqual(view.features[1], {
    name: 'avg_amount_7d',
    description: 'mean amount of the last seven days',
    tags: {},
    dtype: float64,
    aggregate: { fn: 'avg', params: {} },
    input: { kind: 'column', name: 'amount' },
    window: { ...LIFETIME, sizeUs: 7 * US_PER_DAY },
    default: null,
    freshnessUs: null,
  });
  assert.deepEqual(view.features[2]!.dtype, list(float64));
  assert.deepEqual(definitionOf(context), {
    kind: 'onDemandView',
    name: 'amount_context',
    description: '',
    owner: '',
    tags: {},
    request: [{ name: 'amount', dtype: float64 }],
    uses: {
      spending: {
        view: 'customer_spending',
        features: null,
        keys: [{ from: 'column', column: 'customer_id' }],
        as: null,
      },
    },
    features: [
      {
        name: 'amount_to_mean',
        description: '',
        tags: {},
        default: null,
        dtype: float64,
        expr: {
          kind: 'call',
          fn: 'div',
          args: [
            { kind: 'column', name: 'request.amount' },
            { kind: 'column', name: 'spending.avg_amount_7d' },
          ],
        },
      },
    ],
  } satisfies OnDemandView);
  assert.equal(definitionOf(fraud).model, 'fraud-detector');
});

test('a service brings everything it needs along', () => {
  const definitions = collect({ fraud, also: [fraud, spending], other: 7, none: null });
  assert.equal(definitions.length, 5);
});

test('windows', () => {
  const c = count();
  const windows = featuresOf(() => ({
    a: c.over('7d'),
    b: c.over('7d').delay('1d').hop('1h'),
    c: c.delay('1d').hop('1h').over('7d'),
    d: c.lifetime(),
    e: c.sinceStartOf('month'),
    f: c.overLast(5),
    g: c.over('1h').overLast(5),
    h: c.overLast(5).over('1h'),
  })).map(({ window }) => window);
  const week = 7 * US_PER_DAY;
  const hopping = { ...LIFETIME, sizeUs: week, delayUs: US_PER_DAY, hopUs: US_PER_HOUR };
  assert.deepEqual(windows, [
    { ...LIFETIME, sizeUs: week },
    hopping,
    hopping,
    LIFETIME,
    { ...LIFETIME, sinceStartOf: 'month' },
    { ...LIFETIME, last: 5 },
    { ...LIFETIME, sizeUs: US_PER_HOUR, last: 5 },
    { ...LIFETIME, sizeUs: US_PER_HOUR, last: 5 },
  ]);
});

test('where folds into the input, before or after the window', () => {
  const [a, b, c, d] = featuresOf(({ x, ok, n }) => ({
    a: sum(x).where(ok).over('1d'),
    b: sum(x).over('1d').where(ok),
    c: count().where(ok).over('1d'),
    d: sum(x).where(ok).where(n.gt(1)).over('1d'),
  }));
  const folded = when(column('ok', bool)).then(column('x', float64)).end().expr;
  assert.deepEqual(a!.input, folded);
  assert.deepEqual(b!.input, folded);
  assert.deepEqual((c!.input as any).branches[0].then, {
    kind: 'literal',
    dtype: bool,
    value: true,
  });
  assert.deepEqual((d!.input as any).branches[0].then, folded);
});

test('a column is its latest value; ttl of the feature before that of the view', () => {
  const [a, b, c, d] = featuresOf(
    ({ x, n }) => ({
      a: x,
      b: latest(x).ttl('7d').describe('b').default(1),
      c: n.mul(2),
      d: latest(n).tags({ pii: 'no' }).freshness('5m'),
    }),
    { ttl: '1d' },
  );
  assert.equal(a!.aggregate.fn, 'latest');
  assert.equal(a!.window.sizeUs, US_PER_DAY);
  assert.equal(b!.window.sizeUs, 7 * US_PER_DAY);
  assert.equal(b!.default, 1);
  assert.deepEqual(c!.dtype, int64);
  assert.deepEqual(d!.tags, { pii: 'no' });
  assert.equal(d!.freshnessUs, 300_000_000);
  const [forever] = featuresOf(({ x }) => ({ x }));
  assert.equal(forever!.window.sizeUs, null);
});

test('defaults are kept in a form that JSON keeps whole', () => {
  const [a, b, c] = featuresOf(({ n, at }) => ({
    a: count().over('1d').default(9007199254740993n),
    b: lastK(n, 3).over('1d').default([1, null, 2n]),
    c: latest(at).default('2024-02-29'),
  }));
  assert.equal(a!.default, '9007199254740993');
  assert.deepEqual(b!.default, ['1', null, '2']);
  assert.equal(c!.default, '2024-02-29T00:00:00Z');
});

test('every aggregate of the catalogue can be written, and has the type that the types say', () => {
  const view = featureView({
    name: 'v',
    entity: thing,
    source: events,
    features: ({ x, n, s, ok }) => {
      const all = {
        count: dsl.count(s),
        sum: dsl.sum(n),
        avg: dsl.avg(n),
        min: dsl.min(s),
        max: dsl.max(n),
        variance: dsl.variance(x),
        stddev: dsl.stddev(x),
        skewness: dsl.skewness(x),
        kurtosis: dsl.kurtosis(x),
        first: dsl.first(s),
        last: dsl.last(s),
        first_k: dsl.firstK(s, 2),
        last_k: dsl.lastK(n, 3),
        distinct_count: dsl.distinctCount(s),
        approx_distinct: dsl.approxDistinct(s),
        quantile: dsl.quantile(n, 0.9, { error: 0.02 }),
        mode: dsl.mode(s),
        top_k: dsl.topK(n, 3, { limit: 100 }),
        histogram: dsl.histogram(n),
        bool_and: dsl.boolAnd(ok),
        bool_or: dsl.boolOr(ok),
      };
      type All = typeof all;
      return {
        ...(Object.fromEntries(
          Object.entries(all).map(([name, aggregate]) => [name, aggregate.lifetime()]),
        ) as { [P in keyof All]: ReturnType<All[P]['lifetime']> }),
        latest: s,
      };
    },
  });
  validateCatalog(catalogOf(collect([view])));
  const { features } = definitionOf(view) as FeatureView;
  assert.deepEqual(
    new Set(features.map(({ aggregate }) => aggregate.fn)),
    new Set(AGGREGATES.keys()),
  );
  for (const { name, aggregate } of features) assert.equal(name, aggregate.fn);
  const types = {
    count: int64,
    sum: int64,
    avg: float64,
    min: string,
    max: int64,
    variance: float64,
    stddev: float64,
    skewness: float64,
    kurtosis: float64,
    first: string,
    last: string,
    first_k: list(string),
    last_k: list(int64),
    distinct_count: int64,
    approx_distinct: int64,
    quantile: float64,
    mode: string,
    top_k: list(int64),
    histogram: string,
    bool_and: bool,
    bool_or: bool,
    latest: string,
  } as const;
  for (const { name, dtype } of features)
    assert.deepEqual(dtype, types[name as keyof typeof types], name);
  // Compiles only where the types agree with the table, both ways.
  type Said = { [P in keyof typeof types]: FeatureRef<(typeof types)[P]> };
  const said: Said = view.features;
  const back: typeof view.features = said;
  assert.ok(back);
});

test('nothing that was written can be changed', () => {
  const c = count();
  c.over('1d').describe('x');
  assert.throws(() => featuresOf(() => ({ c })), { code: 'dsl/no-window' });
  const definition = definitionOf(spending) as any;
  assert.throws(() => definition.features.push(1), TypeError);
  assert.throws(() => {
    definition.features[0].window.sizeUs = 1;
  }, TypeError);
});

test('uses: pick, on, via, as; features by reference', () => {
  const use = spending.on({ customer_id: 'payer' }).pick('avg_amount_7d').as('payer');
  const home = featureView({
    name: 'home',
    entity: customer,
    source: transactions,
    features: ({ terminal_id }) => ({
      terminal_id,
      features: count().lifetime(),
      as: count().lifetime(),
    }),
  });
  // A feature may be called like a method: `features` has it, the method keeps its name.
  assert.equal(home.features.as.feature, 'as');
  assert.equal(typeof home.as, 'function');
  assert.equal(home.features.features.feature, 'features');
  const terminal = entity({ name: 'terminal', key: { terminal_id: int64 } });
  const risk = featureView({
    name: 'risk',
    entity: terminal,
    source: transactions,
    features: ({ amount }) => ({ mean: avg(amount).over('1d') }),
  });
  const service = featureService({
    name: 's',
    features: [
      use,
      risk.via({ terminal_id: home.terminal_id }).as('home'),
      risk.mean,
      context.as('c'),
    ],
  });
  const key = [{ from: 'column', column: 'customer_id' }];
  assert.deepEqual(definitionOf(service).members, [
    {
      view: 'customer_spending',
      features: ['avg_amount_7d'],
      keys: [{ from: 'column', column: 'payer' }],
      as: 'payer',
    },
    {
      view: 'risk',
      features: null,
      keys: [
        {
          from: 'feature',
          feature: 'terminal_id',
          member: { view: 'home', features: ['terminal_id'], keys: key, as: null },
        },
      ],
      as: 'home',
    },
    {
      view: 'risk',
      features: ['mean'],
      keys: [{ from: 'column', column: 'terminal_id' }],
      as: null,
    },
    { view: 'amount_context', features: null, keys: [], as: 'c' },
  ]);
  const catalog = catalogOf(collect([service]));
  validateCatalog(catalog);
  assert.ok(Object.hasOwn(catalog.featureViews, 'home'), 'what a look-up goes via comes along');
  // A look-up may go via a use under another key, too.
  const viaPayer = risk.via({ terminal_id: home.on({ customer_id: 'payer' }).terminal_id });
  const [member] = definitionOf(featureService({ name: 's', features: [viaPayer] })).members;
  assert.deepEqual((member!.keys[0] as any).member.keys, [{ from: 'column', column: 'payer' }]);
});

test('other key columns', () => {
  const payer = entity({ name: 'payer', key: { payer: int64, place: int64 } });
  const view = featureView({
    name: 'v',
    entity: payer,
    source: transactions,
    keys: { payer: 'customer_id', place: 'terminal_id' },
    where: ({ amount }) => amount.gt(0),
    retention: '9d',
    features: () => ({ n: count().over('7d') }),
  });
  const definition = definitionOf(view) as FeatureView;
  assert.deepEqual(definition.keys, ['customer_id', 'terminal_id']);
  assert.equal(definition.retentionUs, 9 * US_PER_DAY);
  assert.equal(definition.where?.kind, 'call');
});

test('sources', () => {
  assert.deepEqual(parquet('a', { hivePartitioned: true }), {
    type: 'parquet',
    path: 'a',
    hivePartitioned: true,
  });
  assert.deepEqual(csv('a'), { type: 'csv', path: 'a', hivePartitioned: false });
  assert.deepEqual(json('a'), { type: 'json', path: 'a', hivePartitioned: false });
  assert.deepEqual(sql('select 1'), { type: 'query', sql: 'select 1' });
  const { latenessUs, eventId, mutable } = definitionOf(transactions);
  assert.deepEqual([latenessUs, eventId, mutable], [US_PER_HOUR, 'tx_id', false]);
  assert.deepEqual(stream({ topic: 'tx.v1', format: 'protobuf', message: 'a.B', maxAhead: '1h' }), {
    topic: 'tx.v1',
    format: 'protobuf',
    message: 'a.B',
    maxAheadUs: US_PER_HOUR,
    acknowledge: 'durable',
  });
  assert.deepEqual(definitionOf(transactions).stream, stream({ maxAhead: '1d' }));
});

test('on-demand views over on-demand views, constants of their own, and functions in TypeScript', () => {
  const cents = jsFunction({
    name: 'cents',
    inputs: { amount: float64 },
    output: float64,
    fn: ({ amount }) => Math.round(amount * 100),
  });
  const view = onDemandView({
    name: 'again',
    request: { amount: float64 },
    uses: { context },
    features: ({ request, context }) => ({
      double: computed(context.amount_to_mean.mul(2)).default(0).tags({ a: 'b' }),
      cents: cents.call({ amount: request.amount }),
    }),
  });
  validateCatalog(catalogOf(collect([view])));
  const [double, inCents] = (definitionOf(view) as OnDemandView).features;
  assert.equal(double!.default, 0);
  assert.equal(inCents!.expr.kind, 'js');
});

test('what is not a definition, a view or a feature is told', () => {
  assert.throws(() => definitionOf({} as any), { code: 'dsl/not-a-definition' });
  assert.throws(() => featuresOf(() => ({ a: 7 })), {
    code: 'dsl/not-a-feature',
    where: { view: 'v', feature: 'a' },
  });
  assert.throws(() => sum('amount' as any), { code: 'dsl/not-a-value' });
  assert.throws(() => count().where(true as any), { code: 'dsl/not-a-value' });
  assert.throws(
    () => onDemandView({ name: 'o', features: () => ({ a: count().over('1d') }) as any }),
    { code: 'dsl/not-a-feature' },
  );
  assert.throws(
    () =>
      onDemandView({
        name: 'o',
        uses: { spending },
        features: ({ spend }: any) => ({ a: spend.x }),
      }),
    { code: 'model/unknown-view' },
  );
  assert.throws(() => spending.via({ customer_id: undefined }), { code: 'model/unknown-feature' });
});
