/** A source that looks up, over files alone: from definitions to training sets, served values and proofs, and a view that changes. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { edit, json, run, sql, temporary } from './support.ts';

const FEATURES = `
import { count, csv, entity, featureService, featureView, float64, int64, latest, parquet, source, string, sum, timestamp } from 'samewise';

export const user = entity({ name: 'user', key: { user_id: int64 } });
export const town = entity({ name: 'town', key: { city: string } });
export const profiles = source({
  name: 'profiles',
  columns: { id: int64, at: timestamp, user_id: int64, city: string },
  eventTime: 'at', eventId: 'id', batch: parquet('data/profiles.parquet'),
});
export const profile = featureView({
  name: 'profile', entity: user, source: profiles,
  features: ({ city }) => ({ city: latest(city).default('nowhere'), moves: count().over('7d') }),
});
const buyer = profile.on({ user_id: 'customer_id' }).features;
export const purchases = source({
  name: 'purchases',
  columns: { purchase_id: int64, at: timestamp, customer_id: int64, amount: int64 },
  lookups: { city: buyer.city, moves: buyer.moves },
  eventTime: 'at', eventId: 'purchase_id', batch: parquet('data/purchases.parquet'),
});
export const inCity = featureView({
  name: 'in_city', entity: town, source: purchases, where: ({ moves }) => moves.lt(4),
  features: ({ amount }) => ({ spent: sum(amount).lifetime() }),
});
export const service = featureService({ name: 'cities_v1', model: 'm', features: [inCity] });
`;

/** What SQL says of the same question: the newest city before each purchase, the moves of a week, and a sum. */
const SPENT = (dir: string, nowhere: string) => `
  WITH looked AS (
    SELECT p.*, coalesce(f.city, '${nowhere}') AS city, (
      SELECT count(*) FROM '${dir}/data/profiles.parquet' m
      WHERE m.user_id = p.customer_id AND m.at < p.at AND m.at >= p.at - INTERVAL 7 DAY
    ) AS moves
    FROM '${dir}/data/purchases.parquet' p ASOF LEFT JOIN '${dir}/data/profiles.parquet' f
      ON f.user_id = p.customer_id AND f.at < p.at
  )
  SELECT l.city, l.at, sum(k.amount)::BIGINT AS spent
  FROM (SELECT *, file_row_number AS r FROM read_parquet('${dir}/data/labels.parquet', file_row_number = true)) l
  LEFT JOIN looked k ON k.city = l.city AND k.at < l.at AND k.moves < 4
  GROUP BY l.r, l.city, l.at ORDER BY l.r`;

const { folder, remove } = temporary();
const project = join(folder, 'project');
after(remove);

before(async () => {
  await json(folder, 'init', 'project');
  writeFileSync(join(project, 'features.ts'), FEATURES);
  mkdirSync(join(project, 'data'), { recursive: true });
  const day = (salt: number) =>
    `TIMESTAMP '2024-03-01' + to_seconds((hash(i * ${salt}) % 1728000)::BIGINT)`;
  const pick = (salt: number, count: number) => `(hash(i * ${salt}) % ${count})::BIGINT`;
  const write = (file: string, rows: number, columns: string) =>
    sql(`COPY (SELECT ${columns} FROM range(${rows}) t(i)) TO '${project}/data/${file}.parquet'`);
  // Times are distinct, so that SQL need not know how ties are decided.
  await write(
    'profiles',
    300,
    `i AS id, ${day(3)} + to_microseconds(i) AS at, ${pick(5, 30)} AS user_id, 'city ' || ${pick(7, 3)} AS city`,
  );
  await write(
    'purchases',
    2000,
    `i AS purchase_id, ${day(11)} + to_microseconds(i) AS at, ${pick(13, 40)} AS customer_id, ${pick(17, 100)} AS amount`,
  );
  await write(
    'labels',
    100,
    `${day(19)} AS at, CASE ${pick(23, 4)} WHEN 3 THEN 'nowhere' ELSE 'city ' || ${pick(23, 4)} END AS city`,
  );
  await json(project, 'apply', '--yes');
  await json(project, 'materialize');
});

const TRAIN = ['--labels', 'data/labels.parquet', '--time', 'at', '--out', 'set.parquet'];

test('a training set is what SQL says, and what is served; no value knows the future', async () => {
  await json(project, 'train', '--service', 'cities_v1', ...TRAIN);
  const found = await sql(`FROM '${project}/set.parquet'`);
  const expected = await sql(SPENT(project, 'nowhere'));
  assert.deepEqual(
    found.map(({ spent }) => spent),
    expected.map(({ spent }) => spent),
  );
  assert.ok(expected.some(({ spent, city }) => city === 'nowhere' && spent !== null));
  const manifest = 'set.parquet.manifest.json';
  const proof = await json(project, 'verify', manifest, '--online', '100', '--leakage');
  assert.equal(proof.online.mismatches.length, 0);
  assert.ok(proof.leakage.hidden > 0);
  assert.deepEqual(proof.leakage.leaks, []);
  const { sources } = JSON.parse(readFileSync(join(project, manifest), 'utf8'));
  assert.deepEqual(Object.keys(sources).toSorted(), ['profiles', 'purchases']);
  await json(project, 'rebuild', manifest, '--out', 'again.parquet');
  assert.deepEqual(
    readFileSync(join(project, 'again.parquet')),
    readFileSync(join(project, 'set.parquet')),
  );
  const reconciled = await run(project, 'reconcile', '--json');
  assert.equal(reconciled.code, 0, reconciled.stdout);
});

test('a feature tells what its source looks up, and who looks it up', async () => {
  const spent = await json(project, 'features', 'show', 'in_city:spent');
  assert.deepEqual(
    spent.lookups.map(({ name, view, feature }: Record<string, string>) => [name, view, feature]),
    [
      ['city', 'profile', 'city'],
      ['moves', 'profile', 'moves'],
    ],
  );
  assert.deepEqual(spent.lineage.features, ['profile:city', 'profile:moves']);
  const city = await json(project, 'features', 'show', 'profile:city');
  assert.deepEqual(city.lineage.usedByFeatures, ['in_city:spent']);
  assert.deepEqual(city.lineage.models, ['m']);
});

test('a view that is looked up changes: who looks it up is built anew, and an old service keeps what it pins', async () => {
  const at = ['--at', '2024-03-21T00:00:00Z'];
  const get = async (service: string, city: string) =>
    (await json(project, 'get', service, '--key', `city=${city}`, ...at)).features.spent;
  const before = await get('cities_v1', 'nowhere');
  assert.ok(before > 0);
  edit(project, 'features.ts', "default('nowhere')", "default('unknown')");
  const { changes } = await json(project, 'plan');
  assert.deepEqual(
    changes.map(({ kind, name, after }: Record<string, unknown>) => `${kind}/${name}@${after}`),
    [
      'featureView/profile@2',
      'source/purchases@2',
      'featureView/in_city@2',
      'featureService/cities_v1@2',
    ],
  );
  await json(project, 'apply', '--yes');
  await json(project, 'materialize');
  assert.equal(await get('cities_v1', 'unknown'), before);
  assert.equal(await get('cities_v1', 'nowhere'), null);
  assert.equal(await get('cities_v1@1', 'nowhere'), before);
  assert.equal(await get('cities_v1@1', 'unknown'), null);
  // All four versions are kept, and are what history says.
  const reconciled = await json(project, 'reconcile');
  assert.deepEqual(
    reconciled
      .map(({ view, version }: { view: string; version: number }) => `${view}@${version}`)
      .toSorted(),
    ['in_city@1', 'in_city@2', 'profile@1', 'profile@2'],
  );
});
