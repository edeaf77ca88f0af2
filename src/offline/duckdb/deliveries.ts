/** What history has of some keys, delivery by delivery, with the place in the log that each came from. */
import { compileView, eventIds, type Source } from '../../model/index.ts';
import type { Schema } from '../../types/batch.ts';
import { scalarAt } from '../../types/column.ts';
import { bool, float64, string } from '../../types/dtype.ts';
import { encodeKey } from '../../types/key.ts';
import type { DeliveriesRequest, Delivery } from '../contract.ts';
import { type Engine, name, withConnection } from './engine.ts';
import { enrich } from './enrich.ts';
import { tableOfKeys } from './history.ts';
import { readAll, wireExpression } from './read.ts';
import { A, openScan, PARTITION, type Paths, POSITION, RETRACT, T, type ViewScan } from './scan.ts';

/** See the contract. Goes through all of the source's history once, as no file says which keys it has. */
export async function readDeliveries(
  { engine, paths }: { readonly engine: Engine; readonly paths: Paths },
  request: DeliveriesRequest,
): Promise<Delivery[]> {
  const program = compileView(request.catalog, request.view);
  const { source, view, keyDtypes, sourceColumns } = program;
  return withConnection(engine, request.signal, async (connection) => {
    const scan = await openScan(connection, source, sourceColumns, paths, request.upTo ?? null);
    const keys = await tableOfKeys(connection, engine, program, request.keys);
    const fields = program.rowSchema;
    const schema: Schema = [
      ...fields,
      { name: 'samewise:t', dtype: float64 },
      { name: 'samewise:a', dtype: float64 },
      { name: 'samewise:retract', dtype: bool },
      { name: 'samewise:partition', dtype: string },
      { name: 'samewise:position', dtype: string },
      { name: 'samewise:late', dtype: bool },
    ];
    const columns = [
      ...fields.map((field) => wireExpression(name(field.name), field.dtype)),
      `epoch_us(${T})::DOUBLE`,
      `epoch_us(COALESCE(${A}, ${T}))::DOUBLE`,
      RETRACT,
      PARTITION,
      POSITION,
      LATE,
    ];
    const keyColumns = view.keys.map(name).join(', ');
    const asked = `(${keyColumns}) IN (SELECT * FROM ${name(keys)})`;
    let rows: ViewScan | null = null;
    try {
      const { catalog, signal } = request;
      rows = await enrich(
        { engine, paths, catalog, program, only: () => asked, signal },
        connection,
        {
          ...scan,
          sql: withLateness(scan.sql, source, request),
        },
      );
      const { sql } = rows.scan;
      // A row of a table may have moved to another key, or from one.
      const id = source.mutable ? name(source.eventId!) : null;
      const ofKeys = id === null ? asked : `${id} IN (SELECT ${id} FROM (${sql}) WHERE ${asked})`;
      const { fromUs = null } = request;
      const wanted =
        fromUs === null ? ofKeys : `${ofKeys} AND ${T} >= make_timestamp(${fromUs}::BIGINT)`;
      const batch = await readAll(
        connection,
        `SELECT ${columns.join(', ')} FROM (${sql}) WHERE ${wanted} ORDER BY ${keyColumns}, ${T}, COALESCE(${A}, ${T}) LIMIT ${request.limit}`,
        schema,
      );
      const ids = eventIds(source, batch);
      const at = (column: string, row: number) => scalarAt(batch.columns[column]!, row);
      const parts = (row: number) => view.keys.map((key) => at(key, row));
      return Array.from({ length: batch.length }, (_, row): Delivery => {
        const position = at('samewise:position', row);
        return {
          key: parts(row).includes(null) ? null : encodeKey(parts(row), keyDtypes),
          id: ids[row]!,
          timeUs: at('samewise:t', row) as number,
          arrivalUs: at('samewise:a', row) as number,
          retract: at('samewise:retract', row) === true,
          place:
            position === null
              ? null
              : {
                  partition: at('samewise:partition', row) as string,
                  position: BigInt(position as string),
                },
          late: at('samewise:late', row) === true,
          values: Object.fromEntries(fields.map((field) => [field.name, at(field.name, row)])),
        };
      });
    } catch (error) {
      throw await scan.explain(connection, error);
    } finally {
      await rows?.close();
      await connection.run(`DROP TABLE IF EXISTS ${name(keys)}`);
    }
  });
}

const LATE = '"samewise:late"';

/**
 * The scan with a column that says of each row whether it was late: before the greatest event time that came before it in its
 * partition, less the lateness, as `stream/` decides it. Arrivals grow with positions.
 */
function withLateness(sql: string, { mutable, latenessUs }: Source, request: DeliveriesRequest) {
  if (mutable || request.lateness !== true) return `SELECT *, false AS ${LATE} FROM (${sql})`;
  const before = `max(${T}) OVER (PARTITION BY ${PARTITION} ORDER BY ${A} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`;
  const late = `epoch_us(${T}) < epoch_us(${before}) - ${latenessUs}`;
  return `SELECT *, ${POSITION} IS NOT NULL AND COALESCE(${late}, false) AS ${LATE} FROM (${sql})`;
}
