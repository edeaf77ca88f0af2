/** Training sets through real files are what the naive oracle says, bit for bit. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type Member, planService } from '../../src/model/index.ts';
import type { Schema } from '../../src/types/batch.ts';
import { bool, float64, int64, string, timestamp } from '../../src/types/dtype.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { type Delivered, naiveOutputs, type Row } from '../oracle/training.ts';
import { cases } from '../support/cases.ts';
import { commitRows } from './history_support.ts';
import { openProject, type Project } from './support.ts';
import {
  catalog,
  clicksHistory,
  labelRows,
  members,
  ordersHistory,
  peopleHistory,
  quotesHistory,
} from './world.ts';

const plain = [await openProject(), await openProject({ sortsInSql: true })] as const;
const threaded = [
  await openProject({ inThreads: true }),
  await openProject({ inThreads: true, sortsInSql: true }),
] as const;
const projects = [...plain, ...threaded];
after(async () => {
  for (const project of projects) await project.close();
});

const LABELS: Schema = [
  { name: 'T', dtype: timestamp },
  { name: 'user', dtype: string },
  { name: 'item', dtype: int64 },
  { name: 'place', dtype: string },
  { name: 'asked', dtype: float64 },
  { name: 'label', dtype: bool },
];

interface World {
  readonly orders: readonly Delivered[];
  readonly people: readonly Delivered[];
  readonly clicks: readonly Delivered[];
  readonly quotes: readonly Delivered[];
}

/** Writes history: a part of the orders is pushed, the rest lies in two files. */
async function writeWorld(project: Project, world: World): Promise<void> {
  rmSync(project.path('history'), { recursive: true, force: true });
  const rows = (deliveries: readonly Delivered[]): Row[] => deliveries.map(({ row }) => row);
  const pushed = world.orders.filter((_, i) => i % 4 === 3);
  const kept = world.orders.filter((_, i) => i % 4 !== 3);
  const { orders, people, clicks, quotes } = catalog.sources;
  await project.write('orders/1.parquet', orders!.columns, rows(kept.slice(0, 20)));
  await project.write('orders/2.parquet', orders!.columns, rows(kept.slice(20)));
  await project.write('people/1.parquet', people!.columns, rows(world.people));
  await project.write('quotes/1.parquet', quotes!.columns, rows(world.quotes));
  await project.write('clicks/1.parquet', clicks!.columns, rows(world.clicks));
  const parts = [pushed.slice(0, 5), pushed.slice(5)];
  for (const [i, deliveries] of parts.entries())
    await commitRows(project.store, orders!, `${i}`, deliveries);
}

async function compare(
  project: Project,
  world: World,
  asked: readonly Member[],
  labels: readonly Row[],
  through: boolean,
  knowledge: 'final' | 'as-served',
): Promise<void> {
  await writeWorld(project, world);
  await project.write('labels.parquet', LABELS, labels);
  const result = await project.store.train({
    catalog,
    service: null,
    members: asked,
    labels: { type: 'parquet', path: 'labels.parquet', hivePartitioned: false },
    timeColumn: 'T',
    through,
    knowledge,
    output: { format: 'parquet', path: project.path('out.parquet') },
  });
  assert.equal(result.rows, labels.length);
  const schema: Schema = [...LABELS, ...planService(catalog, asked).outputs];
  const rows = await project.read('out.parquet', schema);
  assert.equal(rows.length, labels.length);
  labels.forEach((label, i) => {
    const expected = {
      ...label,
      ...naiveOutputs(
        { catalog, members: asked, history: { ...world }, through, knowledge },
        label,
        Number(label.T),
      ),
    };
    for (const { name } of schema)
      assert.ok(
        sameScalar(rows[i]![name]!, expected[name]!),
        `row ${i}, ${name}: ${String(rows[i]![name])} is not ${String(expected[name])}`,
      );
  });
}

for (const service of ['everything', 'newest'] as const) {
  test(`${service}: train() is the naive training set`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          orders: ordersHistory,
          people: peopleHistory,
          clicks: clicksHistory,
          quotes: quotesHistory,
        }),
        labelRows,
        fc.boolean(),
        fc.constantFrom('final' as const, 'as-served' as const),
        // Threads take long to start.
        fc.oneof(
          { weight: 5, arbitrary: fc.constantFrom(...plain) },
          { weight: 1, arbitrary: fc.constantFrom(...threaded) },
        ),
        (world, labels, through, knowledge, project) =>
          compare(project, world, members[service], labels, through, knowledge),
      ),
      { numRuns: cases(20) },
    );
  });
}
