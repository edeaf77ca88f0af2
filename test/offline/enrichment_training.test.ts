/** Training sets of views whose sources look up are what the naive oracle says, bit for bit. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { planService } from '../../src/model/index.ts';
import type { Schema } from '../../src/types/batch.ts';
import { string, timestamp } from '../../src/types/dtype.ts';
import { naiveOutputs } from '../oracle/training.ts';
import { cases } from '../support/cases.ts';
import { anyWorld, catalog, expectSame, labelRows, members, writeWorld } from './enriched_world.ts';
import { openProject } from './support.ts';

const plain = [await openProject(), await openProject({ sortsInSql: true })] as const;
const threaded = await openProject({ inThreads: true });
after(async () => {
  for (const project of [...plain, threaded]) await project.close();
});

const LABELS: Schema = [
  { name: 'T', dtype: timestamp },
  { name: 'user', dtype: string },
  { name: 'place', dtype: string },
];

test('training sets', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyWorld,
      labelRows,
      fc.boolean(),
      fc.constantFrom('final' as const, 'as-served' as const),
      // Threads take long to start.
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...plain) },
        { weight: 1, arbitrary: fc.constant(threaded) },
      ),
      async (world, labels, through, knowledge, project) => {
        await writeWorld(project, world);
        await project.write('labels.parquet', LABELS, labels);
        await project.store.train({
          catalog,
          service: null,
          members,
          labels: { type: 'parquet', path: 'labels.parquet', hivePartitioned: false },
          timeColumn: 'T',
          through,
          knowledge,
          output: { format: 'parquet', path: project.path('out.parquet') },
        });
        const { outputs } = planService(catalog, members);
        const rows = await project.read('out.parquet', [...LABELS, ...outputs]);
        assert.equal(rows.length, labels.length);
        const question = { catalog, members, history: world, through, knowledge };
        labels.forEach((label, i) => {
          const expected = naiveOutputs(question, label, Number(label.T));
          for (const { name } of outputs)
            expectSame(rows[i]![name]!, expected[name]!, `row ${i}, ${name}`);
        });
      },
    ),
    { numRuns: cases(12) },
  );
});
