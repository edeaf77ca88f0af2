/** Look-ups in threads of their own give the bytes and the errors that they give without, and end with the call. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import {
  avg,
  collect,
  count,
  definitionOf,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  lastK,
  parquet,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import type { Running, TrainingRequest } from '../../src/offline/contract.ts';
import { commitRows } from './history_support.ts';
import { openProject, type Project } from './support.ts';

const serial = await openProject();
const threaded = [
  await openProject({ inThreads: true }),
  await openProject({ inThreads: true, sortsInSql: true }),
];
after(async () => {
  for (const project of [serial, ...threaded]) await project.close();
});

/** More than one batch of labels, in no order. */
const ROWS = 70_000;
const EVENTS = `SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds((i * 7919) % 900000) AS "at", (hash(i) % 300)::BIGINT AS who,
  'place ' || (hash(i + 1) % 40) AS place, (hash(i + 2) % 10000) / 100 AS amount, 1::BIGINT AS units FROM range(${ROWS}) t(i)`;

function request(project: Project, running: Running = {}): TrainingRequest {
  const who = entity({ name: 'who', key: { who: int64 } });
  const spot = entity({ name: 'spot', key: { place: string, who: int64 } });
  const tx = source({
    name: 'tx',
    columns: { id: int64, at: timestamp, who: int64, place: string, amount: float64, units: int64 },
    eventTime: 'at',
    eventId: 'id',
    batch: parquet('tx.parquet'),
  });
  const spent = featureView({
    name: 'spent',
    entity: who,
    source: tx,
    features: ({ amount, units }) => ({
      mean: avg(amount).over('1d'),
      bought: sum(units).lifetime(),
    }),
  });
  const visits = featureView({
    name: 'visits',
    entity: spot,
    source: tx,
    features: ({ amount }) => ({ visits: count().over('7d'), last: lastK(amount, 3).over('7d') }),
  });
  const service = featureService({ name: 's', features: [spent, visits] });
  return {
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: { type: 'parquet', path: 'tx.parquet', hivePartitioned: false },
    timeColumn: 'at',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('out.parquet') },
    ...running,
  };
}

async function train(project: Project, sql: string): Promise<Buffer> {
  await project.writeSql('tx.parquet', sql);
  await project.store.train(request(project));
  return readFileSync(project.path('out.parquet'));
}

test('the same bytes', async () => {
  const expected = await train(serial, EVENTS);
  for (const project of threaded) assert.ok(expected.equals(await train(project, EVENTS)));
});

test('the same bytes of events in the order of their time and id, which labels share', async () => {
  const sorted = `SELECT * REPLACE ((row_number() OVER (ORDER BY "at", id))::BIGINT AS id) FROM (${EVENTS}) ORDER BY "at", id`;
  const expected = await train(serial, sorted);
  for (const project of threaded) assert.ok(expected.equals(await train(project, sorted)));
});

for (const [what, code, sql] of [
  [
    'an id that is null',
    'model/null-event-id',
    `SELECT * REPLACE (nullif(id, 60000) AS id) FROM (${EVENTS})`,
  ],
  [
    'a sum beyond 64 bits',
    'aggregate/overflow',
    `SELECT * REPLACE (9223372036854775807 AS units) FROM (${EVENTS})`,
  ],
  [
    'an amount that is NaN',
    'types/nan',
    `SELECT * REPLACE (if(id = 69000, 'nan'::DOUBLE, amount) AS amount) FROM (${EVENTS})`,
  ],
] as const) {
  test(`the same error: ${what}`, async () => {
    const errorOf = async (project: Project): Promise<SamewiseError> => {
      const error = await train(project, sql).then(
        () => assert.fail('it must fail'),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof SamewiseError, String(error));
      return error;
    };
    const error = await errorOf(serial);
    assert.equal(error.code, code);
    const told = JSON.stringify(error).replaceAll(serial.dir, '');
    for (const project of threaded)
      assert.equal(JSON.stringify(await errorOf(project)).replaceAll(project.dir, ''), told);
  });
}

test('an abort ends them', async () => {
  for (const project of threaded) {
    await project.writeSql('tx.parquet', EVENTS);
    for (const phase of ['scan tx', 'join visits']) {
      const controller = new AbortController();
      const reason = new Error('enough');
      const output = { format: 'parquet', path: project.path('aborted.parquet') } as const;
      const running: Running = {
        signal: controller.signal,
        onProgress: (progress) => progress.phase === phase && controller.abort(reason),
      };
      const asked = { ...request(project, running), output };
      await assert.rejects(project.store.train(asked), (error) => error === reason);
      assert.equal(existsSync(output.path), false);
    }
  }
});

test('labels of the files of the source: through their own time, at another one, and where a stream has more', async () => {
  const rows = `SELECT *, "at" + INTERVAL 1 HOUR AS later FROM (${EVENTS}) WHERE id < 2000`;
  const both = [serial, threaded[0]!];
  const outputs = async (change: Partial<TrainingRequest>): Promise<Buffer[]> => {
    const out: Buffer[] = [];
    for (const project of both) {
      await project.store.train({ ...request(project), ...change });
      out.push(readFileSync(project.path('out.parquet')));
    }
    return out;
  };
  for (const project of both) await project.writeSql('tx.parquet', rows);
  const given: Buffer[] = [];
  const compare = async (change: Partial<TrainingRequest>) => {
    const [expected, got] = await outputs(change);
    assert.ok(expected!.equals(got!));
    assert.ok(given.every((other) => !other.equals(got!)));
    given.push(got!);
  };
  await compare({});
  await compare({ through: true });
  await compare({ timeColumn: 'later' });
  const row = {
    id: 5000n,
    at: Date.UTC(2024, 0, 1) * 1000,
    who: 7n,
    place: 'x',
    amount: 1,
    units: 9n,
  };
  for (const project of both)
    await commitRows(project.store, request(project).catalog.sources.tx!, '0', [
      { row, a: 1, retract: false },
    ]);
  await compare({});
});
