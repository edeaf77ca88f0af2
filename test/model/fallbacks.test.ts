/** Fallbacks as definitions: how they are written, what is refused, what they mean to versions, pages and lineage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import {
  avg,
  collect,
  count,
  entity,
  type FeatureRef,
  featureService,
  featureView,
  float64,
  int64,
  latest,
  onDemandView,
  source,
  string,
  timestamp,
} from '../../src/dsl/index.ts';
import {
  type Catalog,
  catalogOf,
  compileView,
  type Definition,
  definitionFromJson,
  definitionsOf,
  definitionToJson,
  dependenciesOf,
  type FeatureView,
  fingerprint,
  lineageOf,
  pagesIdOf,
  planService,
  printDefinitionRef,
  problemsOf,
  validateCatalog,
} from '../../src/model/index.ts';
import { planChanges } from '../../src/plan/index.ts';
import type { Registered } from '../../src/registry/contract.ts';

const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const segment = entity({ name: 'segment', key: { segment: string } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, segment: string, amount: float64 },
  eventTime: 'at',
  eventId: 'id',
});
const profile = featureView({
  name: 'profile',
  entity: customer,
  source: payments,
  features: ({ segment }) => ({ segment: latest(segment).default('none') }),
});
const ofSegment = featureView({
  name: 'of_segment',
  entity: segment,
  source: payments,
  features: ({ amount }) => ({ n: count().over('7d'), mean: avg(amount).over('7d').default(3) }),
});
const { mean: segmentMean, n: segmentN } = ofSegment.via({
  segment: profile.features.segment,
}).features;

interface Choice {
  readonly mean?: readonly FeatureRef<any>[];
  readonly n?: readonly FeatureRef<any>[];
  readonly default?: number;
}
/** The view with these fallbacks, and a service of it. */
function project({ mean = [], n = [], default: filler }: Choice = {}): Catalog {
  const spending = featureView({
    name: 'spending',
    entity: customer,
    source: payments,
    features: ({ amount }) => {
      const own = avg(amount)
        .over('7d')
        .orElse(...mean);
      return {
        mean: filler === undefined ? own : own.default(filler),
        n: count()
          .over('7d')
          .orElse(...n),
      };
    },
  });
  const service = featureService({
    name: 'svc',
    features: [spending.on({ customer_id: 'payer' })],
  });
  return catalogOf(collect({ service }));
}
const plain = project();
const falling = project({ mean: [segmentMean], n: [segmentN] });
const spendingOf = (catalog: Catalog): FeatureView => catalog.featureViews.spending!;

test('a feature names its fallbacks, and what they need comes along', () => {
  validateCatalog(falling);
  assert.deepEqual(spendingOf(falling).features[0]!.fallbacks, [
    {
      member: {
        view: 'of_segment',
        features: ['mean'],
        keys: [
          {
            from: 'feature',
            feature: 'segment',
            member: {
              view: 'profile',
              features: ['segment'],
              keys: [{ from: 'column', column: 'customer_id' }],
              as: null,
            },
          },
        ],
        as: null,
      },
      feature: 'mean',
    },
  ]);
  assert.deepEqual(dependenciesOf(falling.featureServices.svc!, falling).map(printDefinitionRef), [
    'entity/customer',
    'source/payments',
    'entity/segment',
    'featureView/of_segment',
    'featureView/profile',
    'featureView/spending',
  ]);
  assert.equal('fallbacks' in spendingOf(plain).features[0]!, false);
});

test('a fallback is looked up under the keys of the use, and told apart from nothing by events', () => {
  const plan = planService(falling, falling.featureServices.svc!.members);
  assert.deepEqual(
    plan.lookups.map(({ program, keys, level, tellsFound }) => [
      program.view.name,
      keys,
      level,
      tellsFound,
    ]),
    [
      ['spending', [{ from: 'request', column: 'payer' }], 0, true],
      ['profile', [{ from: 'request', column: 'payer' }], 0, false],
      ['of_segment', [{ from: 'lookup', lookup: 1, index: 0 }], 1, true],
    ],
  );
  assert.deepEqual(
    plan.chains.map(({ levels }) => levels.map(({ lookup, index }) => `${lookup}.${index}`)),
    [
      ['0.0', '2.1'],
      ['0.1', '2.0'],
    ],
  );
  // The default of the fallback itself does not count.
  assert.equal(plan.chains[0]!.default, null);
});

test('a fallback is meaning, but pages are the same with another or none', () => {
  const others = [
    falling,
    project({ mean: [segmentMean] }),
    project({ mean: [segmentMean, segmentMean], n: [segmentN] }),
    plain,
  ];
  const of = (print: (view: FeatureView, catalog: Catalog) => string) =>
    others.map((catalog) => print(spendingOf(catalog), catalog));
  assert.equal(new Set(of(fingerprint)).size, others.length);
  assert.equal(new Set(of(pagesIdOf)).size, 1);
  assert.equal(
    pagesIdOf(spendingOf(plain), plain),
    fingerprint(spendingOf(plain), plain).slice(0, 16),
  );
  assert.equal(compileView(falling, 'spending').id, compileView(plain, 'spending').id);
  const withDefault = project({ mean: [segmentMean], default: 1 });
  assert.notEqual(pagesIdOf(spendingOf(withDefault), withDefault), of(pagesIdOf)[0]);
});

/** What is registered after a plan was applied. */
function applied(before: readonly Registered[], catalog: Catalog) {
  const plan = planChanges(before, catalog, { head: 1 });
  const same = (a: Omit<Registered, 'revision'>, b: Omit<Registered, 'revision'>) =>
    a.kind === b.kind && a.name === b.name && a.version === b.version;
  const kept = before.filter((old) => !plan.objects.some((object) => same(object, old)));
  return { plan, after: [...kept, ...plan.objects.map((object) => ({ ...object, revision: 1 }))] };
}

test('another fallback is a new version that backfills nothing', () => {
  const first = applied([], plain);
  assert.deepEqual(
    first.plan.backfills.map(({ view }) => view),
    ['spending'],
  );
  const second = applied(first.after, falling);
  assert.deepEqual(
    second.plan.changes
      .map(({ change, name }) => [change, name])
      .filter(([, name]) => name !== 'segment'),
    [
      ['create', 'profile'],
      ['create', 'of_segment'],
      ['new-version', 'spending'],
      ['new-version', 'svc'],
    ],
  );
  assert.deepEqual(
    second.plan.backfills.map(({ view }) => view),
    ['profile', 'of_segment'],
  );
  const [, , spending] = second.plan.changes.filter(({ name }) => name !== 'segment');
  assert.deepEqual(spending!.fields, [
    {
      path: 'features.mean.fallbacks',
      before: null,
      after: 'of_segment:mean by segment of (profile: segment by customer_id)',
    },
    {
      path: 'features.n.fallbacks',
      before: null,
      after: 'of_segment:n by segment of (profile: segment by customer_id)',
    },
  ]);
  // The old service goes on without the fallbacks, from the same pages.
  const kept = second.after.filter(({ name }) => name === 'spending' || name === 'svc');
  assert.deepEqual(kept.map(({ name, version, state }) => `${name}@${version} ${state}`).sort(), [
    'spending@1 pinned',
    'spending@2 current',
    'svc@1 pinned',
    'svc@2 current',
  ]);
  // What is fallen back to cannot go while something falls back to it.
  const gone = definitionsOf(falling).filter(({ name }) => name !== 'of_segment');
  assert.throws(() => planChanges(second.after, catalogOf(gone), { head: 2 }), {
    code: 'plan/in-use',
    message: /of_segment is used by feature view spending/,
  });
  // Back to the old meaning is back to the old version.
  const others = definitionsOf(falling).filter(({ name }) => !['spending', 'svc'].includes(name));
  const third = applied(second.after, catalogOf([...others, ...definitionsOf(plain)]));
  assert.equal(
    third.after.find(({ name, state }) => name === 'svc' && state === 'current')!.version,
    1,
  );
  assert.deepEqual(third.plan.backfills, []);
});

test('what a fallback changes is touched with what it stands in for', () => {
  const before = applied([], falling).after;
  const changed = definitionsOf(falling).map((definition): Definition => {
    if (definition.kind !== 'featureView' || definition.name !== 'of_segment') return definition;
    const features = definition.features.map((feature) => ({
      ...feature,
      window: { ...feature.window, sizeUs: 1_000_000 },
    }));
    return { ...definition, features };
  });
  const { plan } = applied(before, catalogOf(changed));
  const change = plan.changes.find(({ name }) => name === 'of_segment')!;
  assert.deepEqual(change.touches.views, ['spending']);
  assert.deepEqual(change.touches.services, ['svc']);
  assert.ok(change.touches.features.includes('spending:mean'), String(change.touches.features));
  assert.deepEqual(
    plan.backfills.map(({ view }) => view),
    ['of_segment'],
  );
});

test('lineage goes through fallbacks, both ways', () => {
  const mean = lineageOf(falling, 'spending:mean');
  assert.deepEqual(mean.features.toSorted(), ['of_segment:mean', 'profile:segment']);
  assert.deepEqual(mean.sources, [{ source: 'payments', columns: ['segment', 'amount'] }]);
  assert.deepEqual(lineageOf(falling, 'of_segment:mean').usedByFeatures, ['spending:mean']);
  assert.deepEqual(lineageOf(falling, 'profile:segment').usedByFeatures, [
    'spending:mean',
    'spending:n',
  ]);
  assert.deepEqual(lineageOf(falling, 'of_segment:mean').usedByServices, ['svc']);
});

test('a view with fallbacks or a policy is stored so that an older Samewise refuses it; others as before', () => {
  for (const definition of definitionsOf(falling)) {
    const text = definitionToJson(definition);
    assert.deepEqual(definitionFromJson(text), definition);
    assert.equal(JSON.parse(text).ir, definition.name === 'spending' ? 3 : 1);
  }
  const strict = featureView({
    name: 'strict',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({ amount: latest(amount).whenStale('fail') }),
  });
  const lax = featureView({
    name: 'strict',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({ amount: latest(amount).whenStale('serve') }),
  });
  const [a, b] = [catalogOf(collect({ strict })), catalogOf(collect({ lax }))];
  assert.equal(JSON.parse(definitionToJson(a.featureViews.strict!)).ir, 3);
  assert.equal(JSON.parse(definitionToJson(b.featureViews.strict!)).ir, 1);
  assert.equal(
    fingerprint(a.featureViews.strict!, a),
    fingerprint(b.featureViews.strict!, b),
    'it is no meaning',
  );
});

/** The codes of all that is wrong with a catalog. */
function codesOf(catalog: Catalog): string[] {
  try {
    validateCatalog(catalog);
  } catch (error) {
    if (error instanceof SamewiseError) return problemsOf(error).map(({ code }) => code);
    throw error;
  }
  return [];
}

const onDemand = onDemandView({
  name: 'doubled',
  uses: { profile: ofSegment },
  features: ({ profile }) => ({ mean: profile.mean.mul(2) }),
});
const byAmount = entity({ name: 'item', key: { item_id: string } });
const ofItem = featureView({
  name: 'of_item',
  entity: byAmount,
  source: payments,
  keys: { item_id: 'segment' },
  features: ({ amount }) => ({ mean: avg(amount).lifetime() }),
});

test('another type does not compile', () => {
  featureView({
    name: 'spending',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({
      // @ts-expect-error: a count is no float64
      mean: avg(amount).over('7d').orElse(segmentN),
    }),
  });
});

for (const [what, choice, code] of [
  ['another type', { mean: [segmentN] }, 'model/bad-fallback'],
  [
    'a key that the entity does not have',
    { mean: [ofSegment.features.mean] },
    'model/bad-fallback',
  ],
  [
    'a key of another type',
    { mean: [ofItem.on({ item_id: 'customer_id' }).features.mean] },
    'model/bad-fallback',
  ],
  ['an on-demand feature', { mean: [onDemand.features.mean] }, 'model/bad-fallback'],
  ['too many', { mean: new Array(9).fill(segmentMean) }, 'model/too-many'],
] as [string, Choice, string][])
  test(`refused: ${what}`, () => {
    assert.deepEqual(codesOf(project(choice)), [code]);
  });

test('refused: a view that falls back to itself, through others or keys', () => {
  const around = (view: string, feature: string, source: string) =>
    definitionsOf(falling).map((definition): Definition => {
      if (definition.kind !== 'featureView' || definition.name !== view) return definition;
      const column = view === 'of_segment' ? 'segment' : 'customer_id';
      const keys = [{ from: 'column', column } as const];
      const member = { view: source, features: null, keys, as: null };
      const features = definition.features.map((each) =>
        each.name === feature ? { ...each, fallbacks: [{ member, feature }] } : each,
      );
      return { ...definition, features };
    });
  // Of a segment's mean there is no way to a customer's; a view that names itself needs none.
  assert.deepEqual(codesOf(catalogOf(around('of_segment', 'mean', 'of_segment'))), ['model/cycle']);
  assert.deepEqual(codesOf(catalogOf(around('profile', 'segment', 'profile'))), ['model/cycle']);
  const back = around('profile', 'segment', 'spending');
  assert.deepEqual(codesOf(catalogOf(back)), ['model/unknown-feature', 'model/cycle']);
});

test('refused: more look-ups in a row than may be, with the fallbacks of what gives a key', () => {
  let before: FeatureRef<any> = profile.features.segment;
  const views = Array.from({ length: 4 }, (_, i) => {
    const view = featureView({
      name: `level_${i}`,
      entity: segment,
      source: payments,
      features: ({ segment }) => ({ next: latest(segment) }),
    });
    before = view.via({ segment: before }).features.next;
    return view;
  });
  assert.equal(views.length, 4);
  const deep = featureView({
    name: 'deep',
    entity: customer,
    source: payments,
    features: ({ segment }) => ({ name: latest(segment).orElse(before) }),
  });
  assert.deepEqual(codesOf(catalogOf(collect({ deep }))), ['model/lookup-too-deep']);
});

test('refused: a source that looks up a feature with fallbacks', () => {
  const view = featureView({
    name: 'spending',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({ mean: avg(amount).over('7d').orElse(segmentMean) }),
  });
  const purchases = source({
    name: 'purchases',
    columns: { id: int64, at: timestamp, customer_id: int64 },
    eventTime: 'at',
    eventId: 'id',
    lookups: { usual: view.features.mean },
  });
  assert.deepEqual(codesOf(catalogOf(collect({ purchases }))), ['model/nested-lookup']);
});
