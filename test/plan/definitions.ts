/** A small project whose definitions tests change one at a time. */
import {
  avg,
  count,
  definitionOf,
  entity,
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
import { type Catalog, catalogOf, type Definition } from '../../src/model/index.ts';

/** What differs from the usual project. */
export interface Twist {
  readonly owner?: string;
  readonly window?: '7d' | '14d';
  readonly extraFeature?: boolean;
  readonly extraColumn?: boolean;
  readonly path?: string;
  readonly eventId?: boolean;
  readonly cityText?: string;
  /** Transactions look the customer's home up in `profile`, and `spending` uses it. */
  readonly lookup?: boolean;
  /** The city of who has none, in `profile`. */
  readonly noCity?: string;
  /** Names of definitions that are left out. */
  readonly without?: readonly string[];
}

/**
 * customer and city; transactions and profiles; spending (customer), profile (customer), city_stats (city);
 * context on demand from spending; fraud serves spending and context, local looks city_stats up via profile.
 */
export function project(twist: Twist = {}): Catalog {
  const { owner = 'fraud-team', window = '7d', path = 'data/tx.parquet', without = [] } = twist;
  const customer = entity({ name: 'customer', key: { customer_id: int64 }, owner });
  const city = entity({ name: 'city', key: { city: string }, owner: 'geo' });
  const profiles = source({
    name: 'profiles',
    columns: { at: timestamp, customer_id: int64, city: string },
    eventTime: 'at',
    eventId: 'at',
  });
  const profile = featureView({
    name: 'profile',
    entity: customer,
    source: profiles,
    features: ({ city }) => ({
      city: twist.noCity === undefined ? latest(city) : latest(city).default(twist.noCity),
    }),
  });
  const transactions = source({
    name: 'transactions',
    columns: {
      tx_id: int64,
      at: timestamp,
      customer_id: int64,
      amount: float64,
      city: string,
      ...(twist.extraColumn ? { note: string } : {}),
    },
    eventTime: 'at',
    ...(twist.eventId === false ? {} : { eventId: 'tx_id' as const }),
    lateness: '1h',
    batch: parquet(path),
    lookups: { home: profile.features.city },
  });
  const spending = featureView({
    name: 'spending',
    entity: customer,
    source: transactions,
    owner,
    features: ({ amount, city, home }) => ({
      tx_count_1d: count().over('1d'),
      avg_amount: avg(amount).over(window).describe('mean amount'),
      abroad: count().where(city.ne(home)).over('1d'),
      ...(twist.extraFeature ? { total: sum(amount).lifetime() } : {}),
    }),
  });
  const cityStats = featureView({
    name: 'city_stats',
    entity: city,
    source: transactions,
    description: twist.cityText ?? 'by city',
    features: ({ amount }) => ({ city_avg: avg(amount).over('30d') }),
  });
  const context = onDemandView({
    name: 'context',
    request: { amount: float64 },
    uses: { spending },
    features: ({ request, spending }) => ({
      amount_to_mean: request.amount.div(spending.avg_amount),
      is_first: spending.tx_count_1d.eq(0),
    }),
  });
  const fraud = featureService({
    name: 'fraud',
    model: 'fraud-detector',
    features: [spending, context],
  });
  const local = featureService({
    name: 'local',
    features: [cityStats.via({ city: profile.features.city })],
  });
  const all: Definition[] = [
    customer,
    city,
    transactions,
    profiles,
    spending,
    profile,
    cityStats,
    context,
    fraud,
    local,
  ].map((handle): Definition => definitionOf(handle as Parameters<typeof definitionOf>[0]));
  const looksUp = twist.lookup === true && !without.includes('profile');
  return catalogOf(
    all
      .filter(({ name }) => !without.includes(name))
      .map((definition) => (looksUp ? definition : withoutLookup(definition))),
  );
}

function withoutLookup(definition: Definition): Definition {
  if (definition.kind === 'source') return { ...definition, lookups: [] };
  if (definition.name !== 'spending' || definition.kind !== 'featureView') return definition;
  return { ...definition, features: definition.features.filter(({ name }) => name !== 'abroad') };
}
