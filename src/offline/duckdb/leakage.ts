/**
 * The check against leakage: sampled labels are built once with all history and once for each of a few cuts with everything at
 * or behind the cut taken away. A row whose T is not behind the cut must not change by a bit.
 *
 * Of a mutable source a row that has a version before the cut stays whole: that a later correction changes what is known
 * of earlier times is what `final` knowledge means, and no leak.
 */
import { join } from 'node:path';
import { planService } from '../../model/index.ts';
import type { LeakageCheck, Running } from '../contract.ts';
import { name, rowsOf, text, withConnection } from './engine.ts';
import { openLabels } from './labels.ts';
import { type Manifest, requestOf } from './manifest.ts';
import { type BuildRequest, buildTrainingSet, type TrainContext } from './train.ts';
import { copyQuery } from './write.ts';

/** Cuts at most: each costs another training set of the sample. */
const CUTS = 4;

/** `build` is how training sets are built; a test passes one that leaks. */
export async function checkLeakage(
  context: TrainContext,
  manifest: Manifest,
  rows: number,
  running: Running,
  build: typeof buildTrainingSet = buildTrainingSet,
): Promise<LeakageCheck> {
  const { engine, paths } = context;
  const request = requestOf(manifest, null);
  const plan = planService(request.catalog, request.members);
  const table = engine.tableName('leakage');
  const file = (what: string): string => join(engine.spillDir, `${table}-${what}.parquet`);
  return withConnection(engine, running.signal, async (connection) => {
    try {
      const labels = await openLabels(connection, {
        labels: manifest.labels.location,
        timeColumn: request.timeColumn,
        needed: [...plan.keyColumns, ...plan.requestColumns],
        projectDir: paths.projectDir,
        table,
      });
      // Spread evenly over the labels, and the cuts evenly over their times.
      const step = Math.max(1, Math.floor(labels.rows / Math.max(1, rows)));
      const time = labels.value(request.timeColumn);
      const sample = `SELECT * FROM ${name(table)} WHERE rowid % ${step} = 0 LIMIT ${rows}`;
      await copyQuery(connection, sample, 'parquet', file('labels'));
      const times = await rowsOf(
        connection,
        `SELECT DISTINCT epoch_us(${time})::DOUBLE AS t FROM ${text(file('labels'))} ORDER BY t`,
      );
      const cuts = spread(times.map(({ t }) => Number(t)));
      const asked = (what: string, beforeUs: number | null): BuildRequest => ({
        ...request,
        ...running,
        labels: { type: 'parquet', path: file('labels'), hivePartitioned: false },
        output: { format: 'parquet', path: file(what) },
        beforeUs,
      });
      const whole = await build(context, asked('whole', null));
      const findings: string[] = [];
      for (const cutUs of cuts) {
        await build(context, asked('cut', cutUs + (request.through ? 1 : 0)));
        const outputs = plan.outputs.map((output) => name(output.name));
        const changed = outputs.map(
          (output) =>
            `count(*) FILTER (WHERE w.${output} IS DISTINCT FROM c.${output}) AS ${output}`,
        );
        const [counts] = await rowsOf(
          connection,
          `SELECT ${changed.join(', ')} FROM (FROM ${text(file('whole'))}) w POSITIONAL JOIN (FROM ${text(file('cut'))}) c WHERE epoch_us(w.${name(request.timeColumn)}::TIMESTAMP) <= ${cutUs}`,
        );
        for (const [output, count] of Object.entries(counts!))
          if (Number(count) > 0)
            findings.push(
              `${output}: ${count} rows change when the events from ${new Date(cutUs / 1000).toISOString()} on are taken away`,
            );
      }
      return { ok: findings.length === 0, rows: whole.rows, cuts: cuts.length, findings };
    } finally {
      await connection.run(`DROP TABLE IF EXISTS ${name(table)}`);
    }
  });
}

function spread(times: readonly number[]): number[] {
  const count = Math.min(CUTS, times.length);
  return Array.from(
    { length: count },
    (_, i) => times[Math.floor(((i + 1) * times.length) / (count + 1))] ?? times.at(-1)!,
  );
}
