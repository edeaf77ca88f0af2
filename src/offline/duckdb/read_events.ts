/** A file of events as rows, for a push: the same reader as for history, so that types mean the same. */

import { scalarAt } from '../../types/column.ts';
import { string } from '../../types/dtype.ts';
import type { Scalar } from '../../types/scalar.ts';
import type { EventsFileRequest } from '../contract.ts';
import { castExpression } from './casts.ts';
import { name, withConnection } from './engine.ts';
import { readBatches, wireExpression } from './read.ts';
import { describe, explain, openRelation } from './scan.ts';
import type { TrainContext } from './train.ts';

/** Rows of the file by column; see the contract. Throws the `offline/…` errors with file, row and column. */
export async function readEventsFile(
  { engine, paths: { projectDir } }: TrainContext,
  { source, location, opColumn, limit }: EventsFileRequest,
): Promise<Record<string, Scalar | null>[]> {
  const where = { source: source.name };
  return withConnection(engine, undefined, async (connection) => {
    const open = (schema: typeof source.columns) =>
      openRelation(connection, location, schema, projectDir, where);
    const declared = source.columns.filter(
      (column) => column.name !== source.arrivalTime && column.name !== source.op,
    );
    const bare = await open(declared);
    const there = await describe(connection, bare.from(), bare.files, where, location.path);
    const optional = source.op === null || there.has(opColumn) ? opColumn : source.op;
    const schema = there.has(optional)
      ? [...declared, { name: optional, dtype: string }]
      : declared;
    const relation = schema === declared ? bare : await open(schema);
    const values = relation.columns.map(({ field, cast }) =>
      wireExpression(castExpression(cast, name(field.name), field.dtype), field.dtype),
    );
    const sql = `SELECT ${values.join(', ')} FROM ${relation.from()} LIMIT ${limit}`;
    const rows: Record<string, Scalar | null>[] = [];
    try {
      for await (const batch of readBatches(connection, sql, schema)) {
        for (let row = 0; row < batch.length; row++)
          rows.push(
            Object.fromEntries(
              schema.map((field) => [field.name, scalarAt(batch.columns[field.name]!, row)]),
            ),
          );
      }
    } catch (error) {
      throw (await explain(connection, relation, error, where, source.eventTime)) ?? error;
    }
    return rows;
  });
}
