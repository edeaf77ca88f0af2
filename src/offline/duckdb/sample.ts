/** Some rows of a training set read back, with what it takes to ask for the same values online. */
import { SamewiseError } from '../../base/errors.ts';
import { planService } from '../../model/index.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import { float64 } from '../../types/dtype.ts';
import type { TrainingSample } from '../contract.ts';
import { name, text, withConnection } from './engine.ts';
import { openLabels } from './labels.ts';
import { positionsIn, readManifest, requestOf } from './manifest.ts';
import { readAll, wireExpression } from './read.ts';
import type { TrainContext } from './train.ts';

const ROW = 'samewise:row';
const TIME = 'samewise:time';
const TABLE = 'samewise:sample';

/** `rows` rows of the training set of a manifest, the same ones each time, or one. Throws `offline/bad-manifest`, `offline/cannot-sample`. */
export async function sampleTraining(
  { engine, paths }: TrainContext,
  manifestPath: string,
  rows: number | { readonly row: number },
): Promise<TrainingSample> {
  const manifest = readManifest(manifestPath);
  const request = requestOf(manifest, null);
  const { format, path } = manifest.output;
  if (format !== 'parquet') {
    throw new SamewiseError('offline/cannot-sample', `${path} is not a Parquet file`, {
      where: { file: path },
      hint: 'build the training set as .parquet: only there do values come back as they went in',
    });
  }
  const plan = planService(request.catalog, request.members);
  const inputs = [...plan.keyColumns, ...plan.requestColumns];
  const outputs: Schema = plan.outputs.map((output) => ({
    name: output.name,
    dtype: output.dtype,
  }));
  return withConnection(engine, undefined, async (connection) => {
    const labels = await openLabels(connection, {
      labels: {
        type: 'query',
        sql: `SELECT *, file_row_number AS ${name(ROW)} FROM read_parquet(${text(path)}, file_row_number = true)
          ${typeof rows === 'number' ? `ORDER BY hash(file_row_number) LIMIT ${rows}` : `WHERE file_row_number = ${rows.row}`}`,
      },
      timeColumn: request.timeColumn,
      needed: inputs,
      projectDir: paths.projectDir,
      table: TABLE,
    });
    try {
      const read = (fields: Schema, sql: (column: string) => string): Promise<Batch> =>
        readAll(
          connection,
          `SELECT ${fields.map((f) => `${sql(f.name)} AS ${name(f.name)}`).join(', ')} FROM ${name(TABLE)} ORDER BY ${name(ROW)}`,
          fields,
        );
      const places: Schema = [
        { name: ROW, dtype: float64 },
        { name: TIME, dtype: float64 },
      ];
      const at = await read(places, (column) =>
        column === ROW
          ? `${name(ROW)}::DOUBLE`
          : `epoch_us(${labels.value(request.timeColumn)})::DOUBLE`,
      );
      const asked = new Map(inputs.map((field) => [field.name, field]));
      return {
        catalog: request.catalog,
        members: request.members,
        through: request.through,
        knowledge: request.knowledge,
        positions: positionsIn(manifest),
        rowNumbers: at.columns[ROW]!.data as Float64Array,
        timeUs: at.columns[TIME]!.data as Float64Array,
        request: await read(inputs, (column) =>
          wireExpression(labels.value(column), asked.get(column)!.dtype),
        ),
        values: await read(outputs, (column) =>
          wireExpression(name(column), outputs.find((output) => output.name === column)!.dtype),
        ),
      };
    } finally {
      await connection.run(`DROP TABLE IF EXISTS ${name(TABLE)}`);
    }
  });
}
