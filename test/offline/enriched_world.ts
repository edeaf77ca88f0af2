/** A world whose facts look up: sources of every kind on both sides, and random history for them. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import {
  avg,
  collect,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  lastK,
  latest,
  parquet,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, type Member } from '../../src/model/index.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import type { Delivered, Row } from '../oracle/training.ts';
import { commitRows } from './history_support.ts';
import type { Project } from './support.ts';

const user = entity({ name: 'user', key: { user: string } });
const city = entity({ name: 'city', key: { city: string } });
const pair = entity({ name: 'pair', key: { city: string, buyer: string } });

// What is looked up.

/** A table under change: users move, and rows come and go. */
const people = source({
  name: 'people',
  columns: {
    person: int64,
    at: timestamp,
    seen: timestamp,
    op: string,
    user: string,
    city: string,
  },
  eventTime: 'at',
  eventId: 'person',
  arrivalTime: 'seen',
  op: 'op',
  mutable: true,
  batch: parquet('people/*.parquet'),
});
/** Append-only, with arrivals and retracts. */
const visits = source({
  name: 'visits',
  columns: {
    visit: string,
    at: timestamp,
    seen: timestamp,
    op: string,
    user: string,
    pages: int64,
  },
  eventTime: 'at',
  eventId: 'visit',
  arrivalTime: 'seen',
  op: 'op',
  batch: parquet('visits/*.parquet'),
});
/** Neither ids nor arrivals. */
const clicks = source({
  name: 'clicks',
  columns: { at: timestamp, user: string, page: string },
  eventTime: 'at',
  batch: parquet('clicks/*.parquet'),
});
const home = featureView({
  name: 'home',
  entity: user,
  source: people,
  features: ({ city }) => ({
    city: latest(city).default('nowhere'),
    lately: latest(city).ttl('8s'),
  }),
});
const habits = featureView({
  name: 'habits',
  entity: user,
  source: visits,
  where: ({ pages }) => pages.ge(0),
  features: ({ pages }) => ({
    n_10: count().over('10s'),
    mean: avg(pages).over('20s').delay('5s'),
    last_2: lastK(pages, 2).lifetime(),
    newest: latest(pages),
  }),
});
const reading = featureView({
  name: 'reading',
  entity: user,
  source: clicks,
  features: ({ page }) => ({ page }),
});

// What looks up.

const homeOf = home.on({ user: 'buyer' }).features;
const habitsOf = habits.on({ user: 'buyer' }).features;
/** Append-only, with ids, arrivals and retracts; two keys into one view. */
const purchases = source({
  name: 'purchases',
  columns: {
    purchase: string,
    at: timestamp,
    seen: timestamp,
    op: string,
    buyer: string,
    giver: string,
    amount: float64,
  },
  lookups: {
    city: homeOf.city,
    lately: homeOf.lately,
    giver_city: home.on({ user: 'giver' }).features.city,
    n_10: habitsOf.n_10,
    mean: habitsOf.mean,
    last_2: habitsOf.last_2,
    newest: habitsOf.newest,
    page: reading.on({ user: 'buyer' }).features.page,
  },
  eventTime: 'at',
  eventId: 'purchase',
  arrivalTime: 'seen',
  op: 'op',
  batch: parquet('purchases/*.parquet'),
});
/** A table under change that looks up. */
const tickets = source({
  name: 'tickets',
  columns: {
    ticket: int64,
    at: timestamp,
    seen: timestamp,
    op: string,
    buyer: string,
    price: float64,
  },
  lookups: { city: homeOf.city, mean: habitsOf.mean },
  eventTime: 'at',
  eventId: 'ticket',
  arrivalTime: 'seen',
  op: 'op',
  mutable: true,
  batch: parquet('tickets/*.parquet'),
});
/** No ids, no arrivals. */
const taps = source({
  name: 'taps',
  columns: { at: timestamp, buyer: string, force: float64 },
  lookups: { city: homeOf.city, page: reading.on({ user: 'buyer' }).features.page },
  eventTime: 'at',
  batch: parquet('taps/*.parquet'),
});

const byBuyer = featureView({
  name: 'by_buyer',
  entity: user,
  source: purchases,
  keys: { user: 'buyer' },
  where: ({ city }) => city.ne('x'),
  features: ({ amount, city, lately, n_10, mean, last_2, page, giver_city }) => ({
    n: count().lifetime(),
    weighed: sum(amount.mul(mean)).over('20s'),
    often: sum(n_10).lifetime(),
    cities: lastK(city, 3).lifetime(),
    givers: lastK(giver_city, 3).lifetime(),
    lately: latest(lately),
    pages: latest(last_2),
    abroad: count().where(city.ne(giver_city)).over('30s'),
    page: latest(page),
  }),
});
/** Nothing but latest values of columns, as the fast path wants them. */
const newest = featureView({
  name: 'newest',
  entity: user,
  source: purchases,
  keys: { user: 'buyer' },
  features: ({ city, newest, amount }) => ({ city, newest, amount }),
});
const byCity = featureView({
  name: 'by_city',
  entity: city,
  source: purchases,
  features: ({ amount, mean }) => ({
    spent: sum(amount).over('20s'),
    n: count().lifetime(),
    mean: avg(mean).lifetime(),
  }),
});
const byPair = featureView({
  name: 'by_pair',
  entity: pair,
  source: purchases,
  features: ({ amount }) => ({ total: sum(amount).lifetime() }),
});
const ticketsByCity = featureView({
  name: 'tickets_by_city',
  entity: city,
  source: tickets,
  features: ({ price }) => ({ sold: count().over('30s'), prices: lastK(price, 4).lifetime() }),
});
const ticketsByBuyer = featureView({
  name: 'tickets_by_buyer',
  entity: user,
  source: tickets,
  keys: { user: 'buyer' },
  where: ({ city }) => city.ne('y'),
  features: ({ city, mean }) => ({ seats: lastK(city, 4).lifetime(), mean: latest(mean) }),
});
const tapsByCity = featureView({
  name: 'taps_by_city',
  entity: city,
  source: taps,
  features: ({ force, page }) => ({ force: sum(force).lifetime(), page: latest(page) }),
});

export const everything = featureService({
  name: 'everything',
  features: [
    byBuyer.as('b'),
    newest.as('newest'),
    byCity.on({ city: 'place' }).as('place'),
    byCity.via({ city: home.features.city }).as('there'),
    byPair.on({ city: 'place', buyer: 'user' }).as('pair'),
    ticketsByCity.on({ city: 'place' }).as('t'),
    ticketsByBuyer.as('tb'),
    tapsByCity.on({ city: 'place' }).as('taps'),
    home.as('home'),
  ],
});
export const catalog = catalogOf(collect({ everything }));
export const members: readonly Member[] = catalog.featureServices.everything!.members;
/** Views whose source looks up. */
export const enrichedViews = Object.values(catalog.featureViews).filter(
  (view) => catalog.sources[view.source]!.lookups.length > 0,
);

// Few of everything, so that ties, repeats and edges abound.
const START = Date.UTC(2024, 0, 1) * 1000 - 20_000_000;
export const instant = fc.oneof(
  { weight: 5, arbitrary: fc.nat(16).map((n) => START + n * 2_500_000) },
  { weight: 1, arbitrary: fc.nat(16).map((n) => START + n * 2_500_000 + 1) },
);
const userName = fc.constantFrom('a', 'b', 'ü🚀');
const cityName = fc.constantFrom('x', 'y', 'Zürich');
const op = fc.constantFrom('upsert', 'upsert', 'upsert', 'upsert', 'retract');
const money = fc.constantFrom(0.1, 0.2, 0.3, 1e16, -1e16, 2.5);
const rare = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 8 });

/** Rows with their arrivals: `seen` is t or a little after, often just when something else arrives. */
function deliveries(row: fc.Arbitrary<Row>, maxLength: number): fc.Arbitrary<Delivered[]> {
  const late = fc.constantFrom(0, 0, 0, 1, 2_500_000, 7_500_000, 20_000_000);
  const delivered = fc.tuple(row, late).map(([given, after]): Delivered => {
    const seen = Number(given.at) + after;
    return { row: { ...given, seen }, a: seen, retract: given.op === 'retract' };
  });
  return fc.array(delivered, { maxLength, size: 'max' });
}

/** Rows that arrive when they happen. */
function onTime(row: fc.Arbitrary<Row>, maxLength: number): fc.Arbitrary<Delivered[]> {
  const delivered = row.map((given) => ({ row: given, a: Number(given.at), retract: false }));
  return fc.array(delivered, { maxLength, size: 'max' });
}

export const anyWorld = fc.record({
  people: deliveries(
    fc.record({
      person: fc.constantFrom(1n, 2n, 3n, 4n),
      at: instant,
      op,
      user: rare(userName),
      city: rare(cityName),
    }),
    30,
  ),
  visits: deliveries(
    fc.record({
      visit: fc.constantFrom('v1', 'v2', 'v3'),
      at: instant,
      op,
      user: rare(userName),
      pages: rare(fc.bigInt({ min: -1n, max: 5n })),
    }),
    40,
  ),
  clicks: onTime(
    fc.record({ at: instant, user: rare(userName), page: fc.constantFrom('p', 'q') }),
    20,
  ),
  purchases: deliveries(
    fc.record({
      purchase: fc.constantFrom('p1', 'p2', 'p3'),
      at: instant,
      op,
      buyer: rare(userName),
      giver: rare(userName),
      amount: rare(money),
    }),
    60,
  ),
  tickets: deliveries(
    fc.record({
      ticket: fc.constantFrom(1n, 2n, 3n, 4n, 5n),
      at: instant,
      op,
      buyer: rare(userName),
      price: rare(money),
    }),
    30,
  ),
  taps: onTime(fc.record({ at: instant, buyer: rare(userName), force: rare(money) }), 20),
});

export type World = typeof anyWorld extends fc.Arbitrary<infer W> ? W : never;

export const labelRows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    T: instant,
    user: rare(fc.oneof(userName, fc.constant('nobody'))),
    place: rare(fc.oneof(cityName, fc.constant('nowhere'))),
  }),
  { maxLength: 30, size: 'max' },
);

/** Writes history: a part of the purchases and of the people is pushed. */
export async function writeWorld(project: Project, world: World): Promise<void> {
  rmSync(project.path('history'), { recursive: true, force: true });
  for (const [name, deliveries] of Object.entries(world)) {
    const source = catalog.sources[name]!;
    const streamed = name === 'purchases' || name === 'people';
    const pushed = (_: Delivered, i: number) => streamed && i % 3 === 2;
    const kept = deliveries.filter((delivered, i) => !pushed(delivered, i));
    const rows = kept.map(({ row }) => row);
    await project.write(`${name}/1.parquet`, source.columns, rows);
    if (streamed) await commitRows(project.store, source, '0', deliveries.filter(pushed));
  }
}

/** Fails unless the values are the same, bit for bit. */
export function expectSame(found: Scalar | null, expected: Scalar | null, what: string): void {
  assert.ok(sameScalar(found, expected), `${what}: ${String(found)} is not ${String(expected)}`);
}
