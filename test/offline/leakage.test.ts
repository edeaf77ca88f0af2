/** The check against leakage passes on an honest training set and sees a leak that is put in. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  avg,
  collect,
  definitionOf,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  latest,
  parquet,
  source,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import { Feeds } from '../../src/offline/duckdb/feed.ts';
import { checkLeakage } from '../../src/offline/duckdb/leakage.ts';
import { readManifest } from '../../src/offline/duckdb/manifest.ts';
import { buildTrainingSet } from '../../src/offline/duckdb/train.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());

const LABELS = `SELECT who, "at" AS T, "at" + INTERVAL 3 HOUR AS ahead FROM 'events.parquet'`;

/** Labels at the times of 400 events of 4 users. */
async function train(): Promise<string> {
  await project.writeSql(
    'events.parquet',
    `SELECT i AS id, i % 4 AS who, TIMESTAMP '2024-01-01' + to_hours(i::INTEGER) AS "at", (hash(i) % 1000)::DOUBLE AS amount FROM range(400) t(i)`,
  );
  const history = source({
    name: 'history',
    columns: { id: int64, who: int64, at: timestamp, amount: float64 },
    eventTime: 'at',
    eventId: 'id',
    batch: parquet('events.parquet'),
  });
  const view = featureView({
    name: 'view',
    entity: entity({ name: 'who', key: { who: int64 } }),
    source: history,
    features: ({ amount }) => ({ mean: avg(amount).over('7d'), newest: latest(amount) }),
  });
  const service = featureService({ name: 'service', features: [view] });
  const { manifestPath } = await project.store.train({
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: { type: 'query', sql: LABELS },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('out.parquet') },
  });
  return manifestPath;
}

test('an honest training set does not change when its future is taken away', async () => {
  const check = await project.store.verifyLeakage(await train(), 100);
  assert.deepEqual(check, { ok: true, rows: 100, cuts: 4, findings: [] });
});

test('a build that looks three hours ahead is seen', async () => {
  const manifest = readManifest(await train());
  const { engine } = project;
  const paths = { projectDir: project.dir, historyDir: project.path('history') };
  const check = await checkLeakage(
    { engine, feeds: new Feeds(), paths },
    manifest,
    100,
    {},
    (context, request) => buildTrainingSet(context, { ...request, timeColumn: 'ahead' }),
  );
  assert.equal(check.ok, false);
  assert.match(check.findings.join('\n'), /^mean: \d+ rows change when the events from 2024/m);
});
