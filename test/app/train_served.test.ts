/** Training sets of what was served: the values that a model was given, bit for bit, beside what came of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { materialize } from '../../src/app/materialize.ts';
import { trainServed } from '../../src/app/train_served.ts';
import { openEngine, withConnection } from '../../src/offline/duckdb/engine.ts';
import { readAll, wireExpression } from '../../src/offline/duckdb/read.ts';
import { scalarAt } from '../../src/types/column.ts';
import { scalarToJsonText } from '../../src/types/scalar.ts';
import { pushRows } from './project.ts';
import { START_US, world } from './prove_world.ts';

test('labels get the values that were served for them', async (t) => {
  const here = await world();
  const { app, clock, serve, logged } = here;
  t.after(() => app.close());
  await materialize(app);
  const vectors: Awaited<ReturnType<typeof serve>>[] = [];
  for (let i = 0; i < 4; i++) {
    vectors.push(await serve([1, 2]));
    clock.advanceUs(30e6);
    const row = { id: 9000 + i, at: clock.nowUs() - 1, customer_id: 1, city: 'Rome', amount: 0.1 };
    await pushRows(app, 'payments', [row]);
  }
  // One of another version, and one of another service, are in the log as well.
  const other = { ...logged[6]!, requestId: 'old', service: { name: 'fraud', version: 7 } };
  const foreign = { ...logged[7]!, requestId: 'foreign', service: { name: 'else', version: 1 } };
  // A request that was sent twice under one name counts as it was answered last.
  const again = { ...logged[0]!, servedUs: logged[0]!.servedUs - 5e6, values: logged[2]!.values };
  const more = {
    ...other,
    features: ['n'],
    refs: ['spending:n'],
    values: ['41'],
    statuses: ['PRESENT' as const],
  };
  await app.featureLog!.append([...logged, other, foreign, again, { ...more, requestId: 'less' }]);

  const folder = app.config.projectDir;
  const output = { format: 'parquet', path: join(folder, 'served.parquet') } as const;

  await t.test('by the request that they name', async () => {
    const ids = [logged[0]!.requestId, 'nobody', 'old', logged[4]!.requestId, 'foreign', 'less'];
    const labels = {
      type: 'query',
      sql: `SELECT * FROM (VALUES ${ids.map((id, i) => `('${id}', ${i === 3 ? 1 : 0}, ${i % 2})`).join()}) t(request, place, fraud)`,
    } as const;
    const match = { by: 'request', requestColumn: 'request', rowColumn: 'place' } as const;
    const made = await trainServed(app, 'fraud', { labels, match, output });
    assert.equal(made.rows, 6);
    assert.deepEqual(made.versions, { '1': 2, '7': 2 });
    assert.equal(made.matched, 4);
    const manifest = JSON.parse(readFileSync(made.manifestPath, 'utf8'));
    assert.deepEqual(manifest.served, { matched: 4, missing: 2, versions: { '1': 2, '7': 2 } });
    const { outputs } = vectors[0]!.program.plan;
    const lines = await rowsOf(
      output.path,
      outputs.map(({ name }) => name),
    );
    const expected = [[vectors[0]!, 0], null, [vectors[3]!, 0], [vectors[2]!, 1]] as const;
    expected.forEach((one, i) => {
      outputs.forEach(({ name, dtype }, at) => {
        const text = one === null ? 'null' : scalarToJsonText(one[0].value(one[1], at), dtype);
        assert.equal(scalarToJsonText(lines[i]![name]!, dtype), text, `${i} ${name}`);
      });
    });
    assert.equal(lines[5]!.n, 41n);
    assert.equal(lines[5]!.mean, null);
    const only = await trainServed(app, 'fraud@1', { labels, match, output });
    assert.deepEqual(only.versions, { '1': 2 });
  });

  await t.test('by their entity, served shortly before their time', async () => {
    const times = [START_US, START_US + 29e6, START_US - 10e6, START_US + 3600e6];
    const labels = {
      type: 'query',
      sql: `SELECT * FROM (VALUES ${times.map((us) => `(1::BIGINT, make_timestamp(${us}::BIGINT))`).join()}) t(customer_id, "at")`,
    } as const;
    const match = { by: 'entity', timeColumn: 'at', withinUs: 60e6 } as const;
    const made = await trainServed(app, 'fraud@1', { labels, match, output });
    assert.equal(made.matched, 2);
    const { outputs } = vectors[0]!.program.plan;
    const lines = await rowsOf(
      output.path,
      outputs.map(({ name }) => name),
    );
    for (const row of [0, 1])
      outputs.forEach(({ name, dtype }, at) => {
        const served = scalarToJsonText(vectors[0]!.value(0, at), dtype);
        assert.equal(scalarToJsonText(lines[row]![name]!, dtype), served, name);
      });
    assert.equal(lines[2]!.n, null);
  });

  await t.test('a name that the labels have already is refused', async () => {
    const labels = { type: 'query', sql: "SELECT 'x' AS request, 1 AS mean" } as const;
    const match = { by: 'request', requestColumn: 'request', rowColumn: null } as const;
    await assert.rejects(trainServed(app, 'fraud', { labels, match, output }), {
      code: 'offline/bad-labels',
    });
  });

  async function rowsOf(path: string, names: readonly string[]) {
    const columns = Object.fromEntries(
      vectors[0]!.program.plan.outputs.map(({ name, dtype }) => [name, dtype]),
    );
    const engine = await openEngine({
      tempDir: folder,
      projectDir: folder,
      threads: 1,
      memoryLimit: '1GB',
    });
    try {
      const schema = names.map((name) => ({ name, dtype: columns[name]! }));
      const sql = schema.map(({ name, dtype }) => wireExpression(`"${name}"`, dtype)).join(', ');
      const batch = await withConnection(engine, undefined, (connection) =>
        readAll(connection, `SELECT ${sql} FROM read_parquet('${path}')`, schema),
      );
      return Array.from({ length: batch.length }, (_, row) =>
        Object.fromEntries(names.map((name) => [name, scalarAt(batch.columns[name]!, row)])),
      );
    } finally {
      engine.close();
    }
  }
});
