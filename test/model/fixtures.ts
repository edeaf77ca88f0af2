/** A small world with everything in it: roles, look-ups via features, on-demand views over on-demand views. */
import {
  avg,
  collect,
  computed,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  last,
  latest,
  onDemandView,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import type { Catalog, Definition } from '../../src/model/index.ts';
import { catalogOf, definitionsOf } from '../../src/model/index.ts';

export const user = entity({ name: 'user', key: { user_id: int64 } });
export const city = entity({ name: 'city', key: { city: string } });

export const orders = source({
  name: 'orders',
  columns: {
    order_id: int64,
    at: timestamp,
    user_id: int64,
    city: string,
    amount: float64,
    note: string,
  },
  eventTime: 'at',
  eventId: 'order_id',
  lateness: '1h',
});

export const profiles = source({
  name: 'profiles',
  columns: { id: int64, at: timestamp, seen: timestamp, op: string, user_id: int64, home: string },
  eventTime: 'at',
  eventId: 'id',
  arrivalTime: 'seen',
  op: 'op',
  mutable: true,
});

export const userStats = featureView({
  name: 'user_stats',
  entity: user,
  source: orders,
  freshness: '5s',
  where: ({ amount }) => amount.gt(0),
  features: ({ amount, city }) => ({
    n_1d: count().over('1d').describe('orders of a day'),
    n_7d: count().over('7d'),
    spent_7d: sum(amount).over('7d').default(0),
    big_7d: sum(amount).where(amount.gt(100)).over('7d'),
    mean_30d: avg(amount).over('30d').delay('1d'),
    last_city: last(city).over('30d').default('nowhere'),
  }),
});

export const cityStats = featureView({
  name: 'city_stats',
  entity: city,
  source: orders,
  features: ({ amount, city }) => ({
    city_mean: avg(amount).over('7d'),
    last_seen_city: last(city).lifetime(),
  }),
});

export const profile = featureView({
  name: 'profile',
  entity: user,
  source: profiles,
  ttl: '365d',
  features: ({ home }) => ({ home, moved: latest(home).ttl('7d') }),
});

export const ratios = onDemandView({
  name: 'ratios',
  request: { price: float64 },
  uses: { stats: userStats, there: cityStats.via({ city: profile.home }) },
  features: ({ request, stats, there }) => ({
    to_mean: request.price.div(stats.mean_30d),
    to_city: computed(request.price.div(there.city_mean)).default(1).describe('1: as usual there'),
    to_spent: request.price.div(stats.spent_7d.add(1)),
  }),
});

export const twice = onDemandView({
  name: 'twice',
  uses: { ratios },
  features: ({ ratios }) => ({ double: ratios.to_city.mul(2) }),
});

export const service = featureService({
  name: 'checkout_v1',
  model: 'checkout',
  features: [
    userStats.pick('n_7d', 'spent_7d'),
    cityStats.on({ city: 'ship_to' }).as('ship'),
    cityStats.via({ city: userStats.last_city }).pick('city_mean').as('usual'),
    twice,
    ratios.to_city,
  ],
});

export const definitions: readonly Definition[] = collect({ service });
export const catalog = catalogOf(definitions);

/** The catalog with one definition changed. */
export function changed<K extends Definition['kind']>(
  kind: K,
  name: string,
  change: (definition: Extract<Definition, { kind: K }>) => object,
): Catalog {
  let found = false;
  const all = definitionsOf(catalog).map((definition) => {
    if (definition.kind !== kind || definition.name !== name) return definition;
    found = true;
    return {
      ...definition,
      ...change(definition as Extract<Definition, { kind: K }>),
    } as Definition;
  });
  if (!found) throw new Error(`no ${kind} ${name}`);
  return catalogOf(all);
}
