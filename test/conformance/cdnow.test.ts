/**
 * CDNOW's customers as the literature counts them. Repeat purchases of the first 39 weeks: the observed frequencies in Fader,
 * Hardie & Lee, "Counting Your Customers" the Easy Way (2005). Frequency, recency and age in weeks: `lifetimes`' summary.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  collect,
  count,
  date,
  definitionOf,
  distinctCount,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  literal,
  max,
  min,
  onDemandView,
  source,
  sql,
  string,
  sum,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import { text } from '../../src/offline/duckdb/engine.ts';
import { openProject } from '../offline/support.ts';
import { sharedData } from '../support/shared.ts';

const file = sharedData('cdnow/CDNOW_sample.txt');
const project = await openProject();
after(() => project.close());

/** The file as it is, cut into fields by a query. */
const PURCHASES = `
  SELECT row_number() OVER () AS n, f[2] AS customer, strptime(f[3], '%Y%m%d')::DATE AS day, f[5]::DOUBLE AS dollars
  FROM (SELECT regexp_split_to_array(trim(line), '\\s+') AS f
        FROM read_csv(${text(file.path)}, header = false, delim = '\\0', columns = {'line': 'VARCHAR'}))`;

test('frequency, recency and age are those of the literature', { skip: file.skip }, async () => {
  const customer = entity({ name: 'customer', key: { customer: string } });
  const purchases = source({
    name: 'purchases',
    columns: { n: int64, customer: string, day: date, dollars: float64 },
    eventTime: 'day',
    eventId: 'n',
    batch: sql(PURCHASES),
  });
  const habits = featureView({
    name: 'habits',
    entity: customer,
    source: purchases,
    features: ({ day, dollars }) => ({
      first: min(day).lifetime(),
      last: max(day).lifetime(),
      days: distinctCount(day).lifetime(),
      lines: count().lifetime(),
      spent: sum(dollars).lifetime(),
      spent_before_august: sum(dollars).lifetime().delay('61d'),
    }),
  });
  const rfm = onDemandView({
    name: 'rfm',
    request: { end: date },
    uses: { habits },
    features: ({ request, habits }) => ({
      frequency: habits.days.sub(literal(1n)),
      recency: habits.last.diff(habits.first, 'd'),
      age: request.end.diff(habits.first, 'd'),
    }),
  });
  const service = featureService({ name: 'cdnow', features: [habits, rfm] });
  const { rows: customers } = await project.store.train({
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: {
      type: 'query',
      sql: `SELECT customer, DATE '1997-09-30' AS "end", TIMESTAMP '1997-10-01' AS T FROM (${PURCHASES}) GROUP BY ALL ORDER BY customer`,
    },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('out.parquet') },
  });
  assert.equal(customers, 2357);
  const rows = await project.read('out.parquet', [
    { name: 'frequency', dtype: int64 },
    { name: 'recency', dtype: int64 },
    { name: 'age', dtype: int64 },
    { name: 'lines', dtype: int64 },
    { name: 'spent', dtype: float64 },
    { name: 'spent_before_august', dtype: float64 },
  ]);
  const histogram = new Array<number>(8).fill(0);
  for (const { frequency } of rows) histogram[Math.min(Number(frequency), 7)]!++;
  assert.deepEqual(histogram, [1411, 439, 214, 100, 62, 38, 29, 64]);
  const weeks = (days: unknown) => (Number(days) / 7).toFixed(2);
  assert.deepEqual(
    rows.slice(0, 3).map((row) => [Number(row.frequency), weeks(row.recency), weeks(row.age)]),
    [
      [2, '30.43', '38.86'],
      [1, '1.71', '38.86'],
      [0, '0.00', '38.86'],
    ],
  );
  // The first customer's four purchases: three by the end, two before August. A plain sum would be 74.02000000000001.
  assert.deepEqual(
    [rows[0]!.lines, rows[0]!.spent, rows[0]!.spent_before_august],
    [3n, 74.02, 59.06],
  );
});
