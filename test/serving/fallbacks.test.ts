/** Random chains of fallbacks: what is read online, what a training set holds and what a naive fold says are the same, statuses too. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { proveNoLeakage } from '../../src/app/leakage.ts';
import {
  avg,
  collect,
  count,
  definitionOf,
  entity,
  type FeatureInput,
  type FeatureRef,
  featureService,
  featureView,
  float64,
  int64,
  latest,
  onDemandView,
  parquet,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, definitionsOf, validateCatalog } from '../../src/model/index.ts';
import { compileMembers, VectorReader } from '../../src/serving/index.ts';
import type { Schema } from '../../src/types/batch.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { openProject } from '../offline/support.ts';
import { type Answer, naiveAnswers, type Row } from '../oracle/training.ts';
import { cases } from '../support/cases.ts';
import { materialize, memoryOnline } from './support.ts';

const user = entity({ name: 'user', key: { user: string } });
const pair = entity({ name: 'pair', key: { user: string, item: int64 } });
const segment = entity({ name: 'segment', key: { segment: string } });
const orders = source({
  name: 'orders',
  columns: {
    id: int64,
    at: timestamp,
    user: string,
    item: int64,
    segment: string,
    amount: float64,
  },
  eventTime: 'at',
  eventId: 'id',
  batch: parquet('orders.parquet'),
});
const people = source({
  name: 'people',
  columns: { id: int64, at: timestamp, user: string, segment: string },
  eventTime: 'at',
  eventId: 'id',
  batch: parquet('people.parquet'),
});

/** The kinds of features that there are: never null, null in empty windows, and null by age. */
const KINDS = ['count', 'mean', 'total', 'newest', 'units'] as const;
type Kind = (typeof KINDS)[number];
type Refs = readonly FeatureRef<any>[];
/** A choice for each kind: which fallbacks, and whether there is a default. */
interface Choice {
  readonly fallbacks: readonly number[];
  readonly hasDefault: boolean;
}
type Choices = Readonly<Record<Kind, Choice>>;

function chosen({ fallbacks }: Choice, candidates: Refs): Refs {
  return candidates.length === 0 ? [] : fallbacks.map((n) => candidates[n % candidates.length]!);
}

/** The columns, as a view's callback gets them. */
type Given = Record<'amount' | 'item', any>;

/** All kinds over the orders, each with some of the candidates of its type for fallbacks. */
function features(
  { amount, item }: Given,
  choices: Choices,
  floats: Refs,
  ints: Refs,
): Record<Kind, FeatureInput> {
  const made = {
    count: count()
      .over('10s')
      .orElse(...chosen(choices.count, ints)),
    mean: avg(amount)
      .over('12s')
      .delay('2s')
      .orElse(...chosen(choices.mean, floats)),
    total: sum(amount)
      .overLast(2)
      .orElse(...chosen(choices.total, floats)),
    newest: latest(amount as never)
      .ttl('6s')
      .orElse(...(chosen(choices.newest, floats) as never[])),
    units: sum(item)
      .over('20s')
      .orElse(...chosen(choices.units, ints)),
  } as Record<Kind, any>;
  for (const kind of KINDS) {
    const isInt = kind === 'count' || kind === 'units';
    if (choices[kind].hasDefault) made[kind] = made[kind].default(isInt ? -7n : -0.5);
  }
  return made;
}

const refsOf = (use: any, kinds: readonly Kind[]): Refs => kinds.map((kind) => use.features[kind]);
const FLOATS = ['mean', 'total', 'newest'] as const;
const INTS = ['count', 'units'] as const;

interface World {
  readonly ofUser: Choices;
  readonly ofPair: Choices;
  readonly segmentFallsBack: boolean;
  readonly segmentDefault: boolean;
}

function build(world: World) {
  const ofSegment = featureView({
    name: 'of_segment',
    entity: segment,
    source: orders,
    features: (columns: any) =>
      features(columns, world.ofUser, [], []) as Record<Kind, FeatureInput>,
  } as never) as any;
  const lastOrder = featureView({
    name: 'last_order',
    entity: user,
    source: orders,
    features: (columns: any) => ({ segment: latest(columns.segment).ttl('15s') }),
  } as never) as any;
  const profile = featureView({
    name: 'profile',
    entity: user,
    source: people,
    features: (columns: any) => {
      const own = latest<any>(columns.segment).ttl('9s');
      const chain = world.segmentFallsBack ? own.orElse(lastOrder.features.segment) : own;
      return { segment: world.segmentDefault ? chain.default('s1') : chain };
    },
  } as never) as any;
  const inSegments = [
    ofSegment.via({ segment: profile.features.segment }),
    ofSegment.via({ segment: lastOrder.features.segment }),
  ];
  const ofUser = featureView({
    name: 'of_user',
    entity: user,
    source: orders,
    features: (columns: any) =>
      features(
        columns,
        world.ofUser,
        inSegments.flatMap((use) => refsOf(use, FLOATS)),
        inSegments.flatMap((use) => refsOf(use, INTS)),
      ),
  } as never) as any;
  const wider = [ofUser, ...inSegments];
  const ofPair = featureView({
    name: 'of_pair',
    entity: pair,
    source: orders,
    features: (columns: any) =>
      features(
        columns,
        world.ofPair,
        wider.flatMap((use) => refsOf(use, FLOATS)),
        wider.flatMap((use) => refsOf(use, INTS)),
      ),
  } as never) as any;
  const ratio = onDemandView({
    name: 'ratio',
    uses: { mine: ofPair, theirs: ofUser.on({ user: 'other' }) },
    features: ({ mine, theirs }: any) => ({ ratio: mine.mean.div(theirs.count) }),
  } as never) as any;
  const service = featureService({
    name: 'all',
    features: [
      ofPair,
      ofPair.on({ user: 'other' }).as('other'),
      ofUser.as('user'),
      ofSegment.via({ segment: profile.features.segment }).as('segment'),
      profile.on({ user: 'other' }).as('profile'),
      ratio,
    ],
  });
  const catalog = catalogOf(collect({ service }));
  validateCatalog(catalog);
  return { catalog, members: definitionOf(service).members };
}

const choices: fc.Arbitrary<Choices> = fc.record(
  Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      fc.record({
        // Some without, so that both ways are taken; a fallback may be named twice.
        fallbacks: fc.array(fc.nat(30), { maxLength: 3 }),
        hasDefault: fc.boolean(),
      }),
    ]),
  ) as unknown as Record<Kind, fc.Arbitrary<Choice>>,
);
const START = Date.UTC(2024, 0, 1) * 1000;
const instant = fc.nat(12).map((n) => START + n * 2_500_000);
const who = fc.constantFrom('a', 'b', 'c');
const amounts = fc.option(fc.constantFrom(0.1, 0.2, 1e16, -3), { freq: 3 });
const segments = fc.constantFrom('s1', 's2');
const items = fc.constantFrom(1n, 2n);
const arbitrary = fc.record({
  world: fc.record({
    ofUser: choices,
    ofPair: choices,
    segmentFallsBack: fc.boolean(),
    segmentDefault: fc.boolean(),
  }),
  orders: fc.array(
    fc.record({ at: instant, user: who, item: items, segment: segments, amount: amounts }),
    { maxLength: 25 },
  ),
  people: fc.array(fc.record({ at: instant, user: who, segment: segments }), { maxLength: 6 }),
  labels: fc.array(
    fc.record({ T: instant, user: fc.option(who), item: fc.option(items), other: fc.option(who) }),
    { minLength: 1, maxLength: 8 },
  ),
  through: fc.boolean(),
});
type Case = typeof arbitrary extends fc.Arbitrary<infer C> ? C : never;

const numbered = (rows: readonly object[]): Row[] =>
  rows.map((row, i) => ({ id: BigInt(i), ...row }));
const DELIVERED = { retract: false };

/** What the oracle says of each label. */
function expected({ world, through, ...rows }: Case) {
  const { catalog, members } = build(world);
  const history = Object.fromEntries(
    (['orders', 'people'] as const).map((name) => [
      name,
      numbered(rows[name]).map((row) => ({ row, a: Number(row.at), ...DELIVERED })),
    ]),
  );
  const question = { catalog, members, history, through, knowledge: 'final' as const };
  const answers = rows.labels.map((label) => naiveAnswers(question, label as Row, label.T));
  return { catalog, members, answers };
}

const seen = new Set<string>();

test('online reads are what a fold over all events gives, values and statuses', async () => {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (given) => {
      const { catalog, members, answers } = expected(given);
      const online = memoryOnline();
      for (const view of Object.values(catalog.featureViews)) {
        const rows = numbered(view.source === 'orders' ? given.orders : given.people);
        await materialize(online, definitionsOf(catalog), view.name, rows);
      }
      const program = compileMembers(catalog, members);
      const reader = new VectorReader(online, { pages: () => {}, bytes: () => {} });
      const rows = given.labels.map((label) =>
        program.inputs.map(({ name }) => (label as Row)[name]!),
      );
      const readUs = Float64Array.from(given.labels, ({ T }) => T + (given.through ? 1 : 0));
      const vectors = await reader.read(program, rows, readUs);
      answers.forEach((answer, row) => {
        program.plan.outputs.forEach(({ name }, output) => {
          const { value, status } = answer[name] as Answer;
          const got = vectors.value(row, output);
          const message = `${name} of row ${row}`;
          assert.equal(vectors.status(row, output), status, message);
          assert.ok(sameScalar(got, value), `${message}: ${String(got)}, not ${String(value)}`);
          seen.add(status);
        });
      });
    }),
    { numRuns: cases(40) },
  );
  for (const status of ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE', 'DEFAULTED'])
    assert.ok(seen.has(status), `${status} was met`);
  for (const level of [1, 2, 3]) assert.ok(seen.has(`FALLBACK_${level}`), `level ${level} was met`);
});

const projects = [await openProject(), await openProject({ inThreads: true })] as const;
after(async () => {
  for (const project of projects) await project.close();
});
const LABELS: Schema = [
  { name: 'T', dtype: timestamp },
  { name: 'user', dtype: string },
  { name: 'item', dtype: int64 },
  { name: 'other', dtype: string },
];

test('training sets are what a fold over all events gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitrary,
      // Threads take long to start.
      fc.oneof(
        { weight: 7, arbitrary: fc.constant(0 as const) },
        { weight: 1, arbitrary: fc.constant(1 as const) },
      ),
      async (given, which) => {
        const project = projects[which];
        const { catalog, members, answers } = expected(given);
        for (const name of ['orders', 'people'] as const) {
          const { columns } = catalog.sources[name]!;
          await project.write(`${name}.parquet`, columns, numbered(given[name]));
        }
        await project.write('labels.parquet', LABELS, given.labels as unknown as Row[]);
        const { manifestPath } = await project.store.train({
          catalog,
          service: null,
          members,
          labels: { type: 'parquet', path: 'labels.parquet', hivePartitioned: false },
          timeColumn: 'T',
          through: given.through,
          knowledge: 'final',
          output: { format: 'parquet', path: project.path('out.parquet') },
        });
        const { leaks } = await proveNoLeakage(project.store, manifestPath, given.labels.length);
        assert.deepEqual(leaks, []);
        const { outputs } = compileMembers(catalog, members).plan;
        const rows = await project.read('out.parquet', [...LABELS, ...outputs]);
        rows.forEach((row, i) => {
          for (const { name } of outputs) {
            const { value } = answers[i]![name] as Answer;
            const message = `${name} of row ${i}: ${String(row[name])}, not ${String(value)}`;
            assert.ok(sameScalar(row[name]!, value), message);
          }
        });
      },
    ),
    { numRuns: cases(5) },
  );
});
