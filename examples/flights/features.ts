/**
 * Will a flight leave late? Features over 3,000,000 US flights of 2001 (npm's `vega-datasets`).
 *
 * A flight in this data has no id, so what makes it one event is its content: the 191 rows that repeat another row
 * entirely are one flight. A delay is taken to be known three hours after departure, hence `.delay('3h')`; that a flight
 * left at all is known at once.
 */
import {
  avg,
  computed,
  count,
  entity,
  featureService,
  featureView,
  int64,
  lastK,
  mode,
  onDemandView,
  parquet,
  quantile,
  source,
  stddev,
  string,
  timestamp,
  when,
} from 'samewise';

const owner = 'operations';

export const airport = entity({
  name: 'airport',
  key: { airport: string },
  description: 'an airport by its IATA code',
  owner,
});

export const route = entity({
  name: 'route',
  key: { origin: string, destination: string },
  description: 'from one airport to another',
  owner,
});

export const flights = source({
  name: 'flights',
  columns: { date: timestamp, delay: int64, distance: int64, origin: string, destination: string },
  eventTime: 'date',
  batch: parquet('../../node_modules/vega-datasets/data/flights-3m.parquet'),
  description: 'departures, with the delay in minutes (negative: early) and the distance in miles',
  owner,
});

export const departures = featureView({
  name: 'departures',
  entity: airport,
  source: flights,
  keys: { airport: 'origin' },
  freshness: '1m',
  description: 'what leaves an airport',
  owner,
  features: ({ delay, destination }) => ({
    departures_1h: count().over('1h').describe('flights that left within the hour'),
    departures_7d: count().over('7d'),
    mean_delay_1h: avg(delay).over('1h').delay('3h'),
    mean_delay_1d: avg(delay).over('1d').delay('3h').describe('mean delay of a day, in minutes'),
    mean_delay_7d: avg(delay).over('7d').delay('3h'),
    late_share_1d: avg(when(delay.gt(15)).then(1).otherwise(0))
      .over('1d')
      .delay('3h')
      .describe('share of flights more than 15 minutes late'),
    late_today: count().where(delay.gt(15)).sinceStartOf('day').delay('3h'),
    p90_delay_7d: quantile(delay, 0.9).over('7d').delay('3h'),
    main_destination: mode(destination)
      .over('30d')
      .describe('where most of its flights of the last 30 days went'),
  }),
});

export const arrivals = featureView({
  name: 'arrivals',
  entity: airport,
  source: flights,
  keys: { airport: 'destination' },
  freshness: '1m',
  description: 'what flies to an airport; delays are those of the departure',
  owner,
  features: ({ delay }) => ({
    inbound_1d: count().over('1d'),
    inbound_mean_delay_1d: avg(delay).over('1d').delay('3h'),
    inbound_mean_delay_7d: avg(delay).over('7d').delay('3h'),
  }),
});

export const routes = featureView({
  name: 'routes',
  entity: route,
  source: flights,
  freshness: '1m',
  owner,
  features: ({ delay, date }) => ({
    flights_7d: count().over('7d'),
    mean_delay_30d: avg(delay).over('30d').delay('3h'),
    spread_30d: stddev(delay).over('30d').delay('3h'),
    last_5_delays: lastK(delay, 5).over('7d').delay('3h').describe('the newest is the last'),
    last_flight: date,
  }),
});

export const flightContext = onDemandView({
  name: 'flight_context',
  request: { distance: int64 },
  uses: { origin: departures.on({ airport: 'origin' }), routes },
  description: 'this flight against what is usual',
  owner,
  features: ({ request, origin, routes }) => ({
    is_long: request.distance.ge(1500),
    delay_per_100_miles: routes.mean_delay_30d.div(request.distance).mul(100),
    delay_against_week: origin.mean_delay_1d.sub(origin.mean_delay_7d),
    load: computed(origin.departures_1h.mul(24 * 7).div(origin.departures_7d))
      .default(1)
      .describe('departures of the last hour against the mean hour of the week; 1 is as usual'),
  }),
});

export const flightDelay = featureService({
  name: 'flight_delay_v1',
  model: 'flight-delay',
  description: 'what the model of late departures asks for',
  owner,
  features: [
    departures.on({ airport: 'origin' }).as('origin'),
    arrivals.on({ airport: 'destination' }).as('destination'),
    routes.as('route'),
    // Which airport most flights from the origin go to, and how late the flights to that one are.
    arrivals
      .via({ airport: departures.on({ airport: 'origin' }).main_destination })
      .pick('inbound_mean_delay_1d')
      .as('hub'),
    flightContext,
  ],
});
