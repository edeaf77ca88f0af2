/** What docs/scale.md counts with: 200 features of one entity in five views. Nobody runs it; `samewise capacity` reads it. */
import {
  avg,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  max,
  source,
  stddev,
  sum,
  timestamp,
} from 'samewise';

const user = entity({ name: 'user', key: { user_id: int64 } });

const events = source({
  name: 'events',
  columns: { id: int64, at: timestamp, user_id: int64, a: float64, b: float64, c: float64 },
  eventTime: 'at',
  eventId: 'id',
  lateness: '1h',
});

const WINDOWS = ['1h', '1d', '3d', '7d'] as const;

/** Ten aggregates over four windows: forty features, of events that are kept for `WINDOWS`' longest and their lateness. */
function view(name: string) {
  return featureView({
    name,
    entity: user,
    source: events,
    retention: '8d',
    features: ({ a, b, c }) =>
      Object.fromEntries(
        WINDOWS.flatMap((window) =>
          [count(), sum(a), avg(a), max(a), sum(b), avg(b), max(b), stddev(c), avg(c), max(c)].map(
            (aggregate, i) => [`${name}_${i}_${window}`, aggregate.over(window)] as const,
          ),
        ),
      ),
  });
}

const views = ['one', 'two', 'three', 'four', 'five'].map(view);

export const all = featureService({ name: 'all', features: views });
