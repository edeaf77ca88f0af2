/** The future changes no training row: of random histories, of one that was doctored, and as the command line proves it. */
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { proveNoLeakage } from '../../src/app/leakage.ts';
import { planService } from '../../src/model/index.ts';
import type { Knowledge, LabelSource } from '../../src/offline/contract.ts';
import type { Schema } from '../../src/types/batch.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { json, run, scaffolded, sql, temporary } from '../e2e/support.ts';
import { openProject } from '../offline/support.ts';
import {
  catalog,
  clicksHistory,
  labelRows,
  members,
  ordersHistory,
  peopleHistory,
  quotesHistory,
} from '../offline/world.ts';
import type { Delivered, Row } from '../oracle/training.ts';
import { cases } from '../support/cases.ts';

const project = await openProject();
after(() => project.close());
const { folder, remove } = temporary();
after(remove);

const OUTPUTS: Schema = planService(catalog, members.everything).outputs;

type World = Readonly<Record<string, readonly Delivered[]>>;
const worlds = fc.record({
  orders: ordersHistory,
  people: peopleHistory,
  clicks: clicksHistory,
  quotes: quotesHistory,
});

async function writeWorld(world: World): Promise<void> {
  for (const [source, deliveries] of Object.entries(world))
    await project.write(
      `${source}/1.parquet`,
      catalog.sources[source]!.columns,
      deliveries.map(({ row }) => row),
    );
}

interface Asked {
  readonly through: boolean;
  readonly knowledge: Knowledge;
}

/** Every view there is, also on demand and via another's feature. */
async function train(labels: readonly Row[], asked: Asked, file: string): Promise<string> {
  const location: LabelSource = { type: 'rows', rows: labels };
  const { manifestPath } = await project.store.train({
    catalog,
    service: null,
    members: members.everything,
    labels: location,
    timeColumn: 'T',
    ...asked,
    output: { format: 'parquet', path: project.path(file) },
  });
  return manifestPath;
}

/**
 * The world with everything from a time on dropped, put off, or changed: by event time, or as-served by arrival. Of a mutable
 * source known as final a row that has a version before the time is left as it is: its corrections are knowledge.
 */
function withOtherFuture(world: World, cutUs: number, knowledge: Knowledge): World {
  return Object.fromEntries(
    Object.entries(world).map(([name, deliveries]) => {
      const { mutable, eventId } = catalog.sources[name]!;
      const isFuture = ({ row, a }: Delivered): boolean =>
        (knowledge === 'final' ? Number(row.at) : a) >= cutUs;
      const idOf = ({ row }: Delivered) => row[eventId!];
      const kept =
        mutable && knowledge === 'final'
          ? new Set(deliveries.filter((one) => !isFuture(one)).map(idOf))
          : new Set();
      const other = deliveries.flatMap((one, i): Delivered[] => {
        if (!isFuture(one) || kept.has(eventId === null ? undefined : idOf(one))) return [one];
        const { at, seen } = one.row;
        const later = 1_000_000 * (i + 1);
        switch (i % 3) {
          case 0:
            return [];
          case 1: {
            const row = { ...one.row, at: Number(at) + later };
            return [{ ...one, row: seen === undefined ? row : { ...row, seen: one.a + later } }];
          }
          default: {
            const row = { ...one.row };
            for (const column of ['amount', 'dwell']) if (column in row) row[column] = i + 0.5;
            return [{ ...one, row }];
          }
        }
      });
      return [name, other];
    }),
  );
}

test('another future changes no earlier row, and the proof finds no leak', async () => {
  let changed = 0;
  let hidden = 0;
  await fc.assert(
    fc.asyncProperty(
      worlds,
      labelRows,
      fc.record({
        through: fc.boolean(),
        knowledge: fc.constantFrom('final' as const, 'as-served' as const),
      }),
      fc.nat(),
      async (world, labels, asked, pick) => {
        await writeWorld(world);
        const manifest = await train(labels, asked, 'out.parquet');
        const proof = await proveNoLeakage(project.store, manifest, labels.length);
        assert.deepEqual(proof.leaks, []);
        assert.equal(proof.values, labels.length * OUTPUTS.length);
        hidden += proof.hidden;

        const readUs = labels.map((label) => Number(label.T) + (asked.through ? 1 : 0));
        const cutUs = readUs[pick % readUs.length]!;
        await writeWorld(withOtherFuture(world, cutUs, asked.knowledge));
        await train(labels, asked, 'other.parquet');
        const before = await project.read('out.parquet', OUTPUTS);
        const now = await project.read('other.parquet', OUTPUTS);
        readUs.forEach((us, row) => {
          for (const { name } of OUTPUTS) {
            if (sameScalar(before[row]![name]!, now[row]![name]!)) continue;
            if (us <= cutUs) assert.fail(`row ${row}, ${name}`);
            changed++;
          }
        });
      },
    ),
    { numRuns: cases(8) },
  );
  assert.ok(hidden > 0, 'there was a future to leak');
  assert.ok(changed > 0, 'later rows do change');
});

test('values computed with knowledge of the future are found, each and no other', async () => {
  let leaks = 0;
  await fc.assert(
    fc.asyncProperty(worlds, labelRows, fc.boolean(), async (world, labels, through) => {
      await writeWorld(world);
      const asked: Asked = { through, knowledge: 'final' };
      const manifest = await train(labels, asked, 'out.parquet');
      const honest = await project.read('out.parquet', OUTPUTS);
      // What the same rows would hold if they were read three seconds late.
      const late = labels.map((label) => ({ ...label, T: Number(label.T) + 3_000_000 }));
      await train(late, asked, 'late.parquet');
      const leaky = await project.read('late.parquet', OUTPUTS);
      const names = OUTPUTS.map(({ name }) => `"${name}"`).join(', ');
      await project.writeSql(
        'doctored.parquet',
        `SELECT * FROM (SELECT * EXCLUDE (${names}) FROM 'out.parquet') POSITIONAL JOIN (SELECT ${names} FROM 'late.parquet')`,
      );
      renameSync(project.path('doctored.parquet'), project.path('out.parquet'));
      const proof = await proveNoLeakage(project.store, manifest, labels.length);
      const found = proof.leaks.map(({ row, feature }) => `${row} ${feature}`);
      const expected = honest.flatMap((values, row) =>
        OUTPUTS.filter(({ name }) => !sameScalar(values[name]!, leaky[row]![name]!)).map(
          ({ name }) => `${row} ${name}`,
        ),
      );
      assert.deepEqual(found.sort(), expected.sort());
      leaks += found.length;
    }),
    { numRuns: cases(5) },
  );
  assert.ok(leaks > 0);
});

test('verify --leakage says so, with exit code 3 if a value knows the future', async () => {
  const made = await scaffolded(folder, false);
  await json(made, 'apply', '--yes');
  const labels = ['--labels', 'labels.csv', '--time', 'at', '--out', 't.parquet'];
  await json(made, 'train', '--service', 'fraud_v1', ...labels);
  const good = await json(made, 'verify', 't.parquet.manifest.json', '--leakage');
  assert.equal(good.ok, true);
  assert.equal(good.leakage.rows, 60);
  assert.ok(good.leakage.hidden > 0);
  assert.deepEqual(good.leakage.leaks, []);

  const file = join(made, 't.parquet');
  const one =
    'CASE WHEN file_row_number = 7 THEN tx_count_1d + 1 ELSE tx_count_1d END AS tx_count_1d';
  await sql(
    `COPY (SELECT * EXCLUDE (file_row_number) REPLACE (${one}) FROM read_parquet('${file}', file_row_number = true)) TO '${file}.new' (FORMAT parquet)`,
  );
  renameSync(`${file}.new`, file);
  const bad = await run(made, 'verify', 't.parquet.manifest.json', '--leakage', '60', '--json');
  assert.equal(bad.code, 3, bad.stderr);
  const [leak, ...more] = bad.json.leakage.leaks;
  assert.deepEqual([leak.row, leak.feature, more], [7, 'tx_count_1d', []]);
  const shown = await run(made, 'verify', 't.parquet.manifest.json', '--leakage');
  assert.match(shown.stdout, /60 rows .* 1 differ/);
});
