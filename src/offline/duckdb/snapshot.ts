/** The values of a view at one instant for every entity that has an event before it. */
import { compileView, withDefault } from '../../model/index.ts';
import { sweep } from '../../timeline/index.ts';
import type { Schema } from '../../types/batch.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { SnapshotRequest } from '../contract.ts';
import { appendBatch, createTable } from './append_table.ts';
import { takeRows } from './columns.ts';
import { name, withConnection } from './engine.ts';
import { enrich } from './enrich.ts';
import { keyedEvents } from './events.ts';
import { openScan, type ViewScan } from './scan.ts';
import type { TrainContext } from './train.ts';
import { writeQuery } from './write.ts';

/** Writes one row an entity, ordered by key: the key's columns and the view's features, defaults applied. */
export async function writeSnapshot(
  context: TrainContext,
  request: SnapshotRequest,
): Promise<{ rows: number; bytes: number }> {
  const { engine, paths } = context;
  const program = compileView(request.catalog, request.view);
  const { view, layout } = program;
  const schema: Schema = [...program.entity.key, ...view.features];
  const table = engine.tableName('snapshot');
  return withConnection(engine, request.signal, (reader) =>
    withConnection(engine, request.signal, async (connection) => {
      await createTable(connection, table, schema);
      let history: ViewScan | null = null;
      try {
        const only = (_: readonly string[], t: string) =>
          `${t} < make_timestamp(${request.atUs}::BIGINT)`;
        history = await enrich(
          { engine, paths, catalog: request.catalog, program, only, signal: request.signal },
          reader,
          await openScan(reader, program.source, program.sourceColumns, paths),
        );
        let scanned = 0;
        const events = keyedEvents({
          engine,
          connection: reader,
          program,
          scan: history.scan,
          knowledge: 'final',
          only,
          onRows: (read) => {
            scanned += read;
            const phase = `scan ${program.source.name}`;
            request.onProgress?.({ phase, rows: scanned, totalRows: null });
          },
        });
        const at = Float64Array.of(request.atUs);
        let rows = 0;
        for await (const { keys, resolved } of events) {
          const { starts } = resolved;
          const values = view.features.map(
            (feature) => new ColumnBuilder(feature.dtype, starts.length),
          );
          const known: number[] = [];
          for (let key = 0; key + 1 < starts.length; key++) {
            if (starts[key] === starts[key + 1]) continue;
            known.push(key);
            sweep(layout, resolved.events, starts[key]!, starts[key + 1]!, at, 0, 1, values);
          }
          const columns: Record<string, Column> = {};
          keys.forEach((key, i) => {
            columns[schema[i]!.name] = takeRows(key, Int32Array.from(known));
          });
          view.features.forEach((feature, i) => {
            columns[feature.name] = withDefault(values[i]!.finish(), program.defaults[i]!);
          });
          await appendBatch(connection, table, schema, { length: known.length, columns });
          rows += known.length;
        }
        const bytes = await writeQuery(connection, `SELECT * FROM ${name(table)}`, request.output);
        return { rows, bytes };
      } finally {
        await history?.close();
        await connection.run(`DROP TABLE ${name(table)}`);
      }
    }),
  );
}
