/**
 * The third opinion of the demo: features of some labels worked out again from the raw rows of the file, by filter and fold
 * in plain TypeScript that shares nothing with Samewise. Two features are left out: a quantile sketch is defined by its
 * bins, and the rounding of a standard deviation is not a one-liner; the property tests hold both to their own twins.
 */
import { DuckDBInstance } from '@duckdb/node-api';

export interface OracleCase {
  readonly entity: {
    readonly origin: string;
    readonly destination: string;
    readonly distance: number;
  };
  /** ISO 8601. */
  readonly at: string;
  /** By feature, as JSON values. */
  readonly training: Readonly<Record<string, unknown>>;
  readonly naive: Readonly<Record<string, unknown>>;
}

interface Flight {
  /** Milliseconds; the file has whole minutes. */
  readonly t: number;
  readonly delay: number;
  readonly origin: string;
  readonly destination: string;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Works out `count` rows of the training set in `training` from the flights in `flights` (both Parquet). */
export async function naiveVectors(
  flights: string,
  training: string,
  count: number,
): Promise<OracleCase[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const rowsOf = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
  try {
    const labels = await rowsOf(
      `SELECT *, epoch_ms(date) AS t FROM '${training}' ORDER BY hash(origin, destination, date) LIMIT ${count}`,
    );
    const cases: OracleCase[] = [];
    for (const label of labels) {
      const t = Number(label.t);
      const { origin, destination, origin_main_destination: hub } = label as Record<string, string>;
      // DISTINCT: without an id, rows of the same content are one event.
      const raw = await rowsOf(
        `SELECT DISTINCT epoch_ms(date) AS t, delay, distance, origin, destination FROM '${flights}'
         WHERE epoch_ms(date) >= ${t - 31 * DAY} AND epoch_ms(date) < ${t}
           AND (origin = '${origin}' OR destination IN ('${destination}', '${hub}'))`,
      );
      const seen = raw.map(
        (row): Flight => ({
          t: Number(row.t),
          delay: Number(row.delay),
          origin: String(row.origin),
          destination: String(row.destination),
        }),
      );
      cases.push({
        entity: { origin: origin!, destination: destination!, distance: Number(label.distance) },
        at: new Date(t).toISOString(),
        training: Object.fromEntries(Object.entries(label).map(([k, v]) => [k, asNumber(v)])),
        naive: features(seen, t, origin!, destination!),
      });
    }
    return cases;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** What the definitions say, once more. */
function features(all: readonly Flight[], t: number, origin: string, destination: string) {
  const within = (rows: readonly Flight[], size: number, delay = 0) =>
    rows.filter((f) => f.t >= t - delay - size && f.t < t - delay);
  const known = 3 * HOUR;
  const left = all.filter((f) => f.origin === origin);
  const arrived = (airport: string) => all.filter((f) => f.destination === airport);
  const flown = left.filter((f) => f.destination === destination);
  const hub = mostFrequent(within(left, 30 * DAY).map((f) => f.destination));
  const day = Math.floor((t - known) / DAY) * DAY;
  return {
    origin_departures_1h: within(left, HOUR).length,
    origin_departures_7d: within(left, 7 * DAY).length,
    origin_mean_delay_1h: mean(within(left, HOUR, known)),
    origin_mean_delay_1d: mean(within(left, DAY, known)),
    origin_mean_delay_7d: mean(within(left, 7 * DAY, known)),
    origin_late_share_1d: share(within(left, DAY, known)),
    origin_late_today: left.filter((f) => f.t >= day && f.t < t - known && f.delay > 15).length,
    origin_main_destination: hub,
    destination_inbound_1d: within(arrived(destination), DAY).length,
    destination_inbound_mean_delay_1d: mean(within(arrived(destination), DAY, known)),
    destination_inbound_mean_delay_7d: mean(within(arrived(destination), 7 * DAY, known)),
    route_flights_7d: within(flown, 7 * DAY).length,
    route_mean_delay_30d: mean(within(flown, 30 * DAY, known)),
    hub_inbound_mean_delay_1d: hub === null ? null : mean(within(arrived(hub), DAY, known)),
  };
}

function mean(rows: readonly Flight[]): number | null {
  return rows.length === 0 ? null : rows.reduce((sum, f) => sum + f.delay, 0) / rows.length;
}

function share(rows: readonly Flight[]): number | null {
  return rows.length === 0 ? null : rows.filter((f) => f.delay > 15).length / rows.length;
}

function mostFrequent(values: readonly string[]): string | null {
  const counts = Object.entries(Object.groupBy(values, (value) => value));
  const ordered = counts.sort(([a, as], [b, bs]) => bs!.length - as!.length || (a < b ? -1 : 1));
  return ordered[0]?.[0] ?? null;
}

/** DuckDB's JSON form writes int64 as a string. */
function asNumber(value: unknown): unknown {
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
}
