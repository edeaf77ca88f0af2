/**
 * How busy and how late is it right now? The flights of 2001 (npm's `vega-datasets`): until six in the morning of the
 * first of June they are history in a file, then they come in one by one. The definitions do not tell the two apart.
 */
import {
  avg,
  count,
  entity,
  featureService,
  featureView,
  int64,
  lastK,
  mode,
  source,
  sql,
  stream,
  string,
  timestamp,
  when,
} from 'samewise';

const owner = 'operations';

export const airport = entity({ name: 'airport', key: { airport: string }, owner });
export const route = entity({
  name: 'route',
  key: { origin: string, destination: string },
  owner,
});

export const flights = source({
  name: 'flights',
  columns: { date: timestamp, delay: int64, distance: int64, origin: string, destination: string },
  eventTime: 'date',
  lateness: '6h',
  batch: sql(`select * from '../../node_modules/vega-datasets/data/flights-3m.parquet'
    where date < '2001-06-01 06:00'`),
  stream: stream({ topic: 'flights', maxAhead: '1h' }),
  description: 'departures, with the delay in minutes (negative: early) and the distance in miles',
  owner,
});

export const departures = featureView({
  name: 'departures',
  entity: airport,
  source: flights,
  keys: { airport: 'origin' },
  freshness: '1s',
  description: 'what leaves an airport',
  owner,
  features: ({ delay, destination }) => ({
    departures_1h: count().over('1h'),
    departures_7d: count().over('7d'),
    mean_delay_1h: avg(delay).over('1h').delay('3h'),
    mean_delay_1d: avg(delay).over('1d').delay('3h'),
    mean_delay_7d: avg(delay).over('7d').delay('3h'),
    late_share_1d: avg(when(delay.gt(15)).then(1).otherwise(0))
      .over('1d')
      .delay('3h'),
    late_today: count().where(delay.gt(15)).sinceStartOf('day').delay('3h'),
    main_destination: mode(destination).over('30d'),
  }),
});

export const routes = featureView({
  name: 'routes',
  entity: route,
  source: flights,
  freshness: '1s',
  owner,
  features: ({ delay }) => ({
    flights_7d: count().over('7d'),
    mean_delay_30d: avg(delay).over('30d').delay('3h'),
    last_5_delays: lastK(delay, 5).over('7d').delay('3h'),
  }),
});

export const live = featureService({
  name: 'flight_live_v1',
  model: 'flight-delay',
  owner,
  features: [departures.on({ airport: 'origin' }).as('origin'), routes.as('route')],
});
