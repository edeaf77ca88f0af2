/** A small world of definitions that uses every part of the offline store, and random history for it. */
import fc from 'fast-check';
import {
  avg,
  bool,
  collect,
  count,
  definitionOf,
  entity,
  featureService,
  featureView,
  float64,
  int32,
  int64,
  lastK,
  latest,
  literal,
  max,
  onDemandView,
  parquet,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import type { Delivered, Row } from '../oracle/training.ts';

const user = entity({ name: 'user', key: { user: string } });
const pair = entity({ name: 'pair', key: { user: string, item: int64 } });
const city = entity({ name: 'city', key: { city: string } });

/** Append-only, with its own ids, arrivals and retracts. */
const orders = source({
  name: 'orders',
  columns: {
    order: string,
    at: timestamp,
    seen: timestamp,
    op: string,
    user: string,
    item: int64,
    city: string,
    amount: float64,
    pieces: int32,
    express: bool,
  },
  eventTime: 'at',
  eventId: 'order',
  arrivalTime: 'seen',
  op: 'op',
  batch: parquet('orders/*.parquet'),
});
/** A table under change: users move. */
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
/** Neither ids nor arrivals. */
const clicks = source({
  name: 'clicks',
  columns: { at: timestamp, user: string, page: string, dwell: float64 },
  eventTime: 'at',
  batch: parquet('clicks/*.parquet'),
});
/** Arrivals, but never a retract: what the fast path of latest values takes. */
const quotes = source({
  name: 'quotes',
  columns: {
    quote: string,
    at: timestamp,
    seen: timestamp,
    user: string,
    item: int64,
    price: float64,
    size: int64,
    town: string,
  },
  eventTime: 'at',
  eventId: 'quote',
  arrivalTime: 'seen',
  batch: parquet('quotes/*.parquet'),
});

const bigSpending = featureView({
  name: 'big_spending',
  entity: user,
  source: orders,
  where: ({ amount }) => amount.gt(2),
  features: ({ amount }) => ({ big_n: count().lifetime(), big_total: sum(amount).over('30s') }),
});
const home = featureView({
  name: 'home',
  entity: user,
  source: people,
  features: ({ city }) => ({ city }),
});
const cityStats = featureView({
  name: 'city_stats',
  entity: city,
  source: orders,
  features: ({ amount }) => ({ city_n: count().over('20s'), city_mean: avg(amount).lifetime() }),
});
const inHomeCity = cityStats.via({ city: home.city }).features;
const spending = featureView({
  name: 'spending',
  entity: pair,
  source: orders,
  features: ({ amount, pieces, express }) => ({
    n_10: count().over('10s'),
    n_express: count().where(express).over('20s').orElse(bigSpending.big_n, inHomeCity.city_n),
    total: sum(amount).lifetime(),
    mean_delayed: avg(amount)
      .over('15s')
      .delay('5s')
      .orElse(inHomeCity.city_mean, bigSpending.big_total)
      .default(0.5),
    most: max(pieces).over('20s').hop('5s'),
    last_3: lastK(pieces, 3).lifetime(),
    recent_2: sum(pieces).overLast(2),
    today: count().sinceStartOf('day'),
    newest: latest(amount).ttl('8s').orElse(bigSpending.big_total),
  }),
});
const reading = featureView({
  name: 'reading',
  entity: user,
  source: clicks,
  features: ({ dwell, page }) => ({
    dwell: sum(dwell).over('10s'),
    page: latest(page),
    n: count().lifetime(),
  }),
});
const plain = featureView({
  name: 'plain',
  entity: pair,
  source: quotes,
  features: ({ price, size, town }) => ({
    price: latest(price),
    size: latest(size).ttl('10s'),
    town: latest(town).ttl('5s').orElse(home.features.city).default('nowhere'),
  }),
});
const ratio = onDemandView({
  name: 'ratio',
  request: { asked: float64 },
  uses: { spending },
  features: ({ request, spending }) => ({
    to_mean: request.asked.div(spending.mean_delayed),
    often: spending.n_10.gt(literal(1n)),
  }),
});

export const everything = featureService({
  name: 'everything',
  features: [
    spending,
    bigSpending,
    home,
    cityStats.via({ city: home.city }).as('home'),
    cityStats.on({ city: 'place' }),
    reading.as('r'),
    ratio,
  ],
});
/** Only latest values of columns. */
export const newest = featureService({ name: 'newest', features: [plain] });
export const catalog = catalogOf(collect({ everything, newest }));
export const members = {
  everything: definitionOf(everything).members,
  newest: definitionOf(newest).members,
};

// Few of everything, so that ties, repeats and edges abound.
const START = Date.UTC(2024, 0, 1) * 1000 - 20_000_000;
const instant = fc.oneof(
  { weight: 5, arbitrary: fc.nat(16).map((n) => START + n * 2_500_000) },
  { weight: 1, arbitrary: fc.nat(16).map((n) => START + n * 2_500_000 + 1) },
);
const userName = fc.constantFrom('a', 'b', 'ü🚀', '');
const itemId = fc.constantFrom(1n, 9_007_199_254_740_993n, 9_007_199_254_740_992n);
const cityName = fc.constantFrom('x', 'y', 'Zürich');
const op = fc.constantFrom('upsert', 'upsert', 'upsert', 'upsert', 'retract');
const money = fc.oneof(
  fc.constantFrom(0.1, 0.2, 0.3, 1e16, -1e16, 2.5),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }).map((x) => x + 0),
);
const rare = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 8 });

/** A row with its arrival: `seen` is t or a little after. */
function delivered(row: fc.Arbitrary<Row>): fc.Arbitrary<Delivered> {
  return fc.tuple(row, fc.constantFrom(0, 0, 1_000_000, 7_000_000)).map(([given, late]) => {
    const seen = Number(given.at) + late;
    return { row: { ...given, seen }, a: seen, retract: given.op === 'retract' };
  });
}

export const ordersHistory = fc.array(
  delivered(
    fc.record({
      order: fc.constantFrom('o1', 'o2', 'o3'),
      at: instant,
      op,
      user: rare(userName),
      item: itemId,
      city: rare(cityName),
      amount: rare(money),
      pieces: rare(fc.integer({ min: -3, max: 5 })),
      express: rare(fc.boolean()),
    }),
  ),
  { maxLength: 120, size: 'max' },
);
export const peopleHistory = fc.array(
  delivered(
    fc.record({
      person: fc.constantFrom(1n, 2n, 3n, 4n),
      at: instant,
      op,
      user: rare(userName),
      city: rare(cityName),
    }),
  ),
  { maxLength: 30, size: 'max' },
);
export const clicksHistory = fc.array(
  fc
    .record({
      at: instant,
      user: rare(userName),
      page: fc.constantFrom('p', 'q', 'a much longer page name'),
      dwell: rare(money),
    })
    .map((row): Delivered => ({ row, a: row.at, retract: false })),
  { maxLength: 40, size: 'max' },
);
export const quotesHistory = fc.array(
  fc
    .tuple(
      fc.record({
        quote: fc.constantFrom('q1', 'q2', 'q3'),
        at: instant,
        user: rare(userName),
        item: itemId,
        price: rare(money),
        size: rare(itemId),
        town: rare(cityName),
      }),
      fc.constantFrom(0, 0, 1_000_000, 7_000_000),
    )
    .map(([row, late]): Delivered => {
      const seen = row.at + late;
      return { row: { ...row, seen }, a: seen, retract: false };
    }),
  { maxLength: 200, size: 'max' },
);
export const labelRows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    T: instant,
    user: rare(fc.oneof(userName, fc.constant('nobody'))),
    item: rare(itemId),
    place: rare(cityName),
    asked: rare(money),
    label: fc.boolean(),
  }),
  { maxLength: 30, size: 'max' },
);
