/**
 * Fast path of look-ups whose features are all the latest value of a plain column: DuckDB's ASOF join finds the newest time
 * before each label from keys and times alone; the rows at those times are fetched with their columns; and only where several
 * rows share a key and that time does the kernel say which of them is the last. It must give what `lookUp` gives.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { assert } from '../../base/errors.ts';
import type { Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { float64, timestamp } from '../../types/dtype.ts';
import { appendBatch, createTable } from './append_table.ts';
import { takeRows } from './columns.ts';
import { name, rowsOf } from './engine.ts';
import { keyedEvents } from './events.ts';
import type { LookupRequest } from './lookup.ts';
import { readBatches, wireExpression } from './read.ts';
import { RETRACT, type Scan, T } from './scan.ts';
import type { Scatter } from './scatter.ts';

/** Whether the fast path knows the view and what is asked of it. */
export function isLatestOnly({
  lookup,
  knowledge,
}: Pick<LookupRequest, 'lookup' | 'knowledge'>): boolean {
  const { view, source } = lookup.program;
  return (
    knowledge === 'final' &&
    !source.mutable &&
    view.where === null &&
    !lookup.tellsFound &&
    lookup.features.every((at) => {
      const { aggregate, input, window } = view.features[at]!;
      const { delayUs, hopUs, sinceStartOf, last } = window;
      return (
        aggregate.fn === 'latest' &&
        input?.kind === 'column' &&
        delayUs === 0 &&
        hopUs === null &&
        sinceStartOf === null &&
        last === null
      );
    })
  );
}

interface Tables {
  /** One row a label: its number `r`, T `read`, key parts `k…`, and the newest event time before T, `tm`. */
  readonly matched: string;
  /** The scan's rows at those keys and times. */
  readonly rows: string;
  /** Keys and times that several of them share. */
  readonly ties: string;
  /** The last of each of these: keys, time and the layout's columns. */
  readonly winners: string;
}

/** Fills `out`; false (and nothing done) if history holds retracts, which only the kernel resolves. */
export async function lookUpLatest(
  request: LookupRequest,
  scan: Scan,
  connection: DuckDBConnection,
  out: Scatter,
): Promise<boolean> {
  const { engine, lookup } = request;
  const keys = lookup.program.view.keys.map(name);
  const [seen] = await rowsOf(
    connection,
    `SELECT count(*) AS n, count(*) FILTER (WHERE ${keys.map((key) => `${key} IS NULL`).join(' OR ')}) AS keyless, ${scan.hasRetract ? `COALESCE(bool_or(${RETRACT}), false)` : 'false'} AS retracts FROM (${scan.sql})`,
  );
  if (seen!.retracts === true) return false;
  request.onHistory(Number(seen!.n));
  if (Number(seen!.keyless) > 0) request.onKeyless(Number(seen!.keyless));
  const tables: Tables = {
    matched: engine.tableName('matched'),
    rows: engine.tableName('rows'),
    ties: engine.tableName('ties'),
    winners: engine.tableName('winners'),
  };
  try {
    await match(request, scan, connection, tables);
    await resolveTies(request, scan, connection, tables);
    await gatherRows(request, connection, tables, out);
    return true;
  } finally {
    for (const table of Object.values(tables))
      await connection.run(`DROP TABLE IF EXISTS ${name(table)}`);
  }
}

async function match(
  { asked, lookup, through }: LookupRequest,
  scan: Scan,
  connection: DuckDBConnection,
  { matched, rows, ties }: Tables,
): Promise<void> {
  const sourceKeys = lookup.program.view.keys.map(name);
  const keys = sourceKeys.map((_, i) => `k${i}`);
  const labels = `SELECT ${asked.row} AS r, ${asked.time} AS read, ${asked.keys.map((key, i) => `${key} AS k${i}`).join(', ')} FROM ${asked.from}`;
  const history = `SELECT ${sourceKeys.map((key, i) => `${key} AS k${i}`).join(', ')}, ${T} AS t FROM (${scan.sql})`;
  const on = [...keys.map((key) => `l.${key} = h.${key}`), `l.read ${through ? '>=' : '>'} h.t`];
  await connection.run(
    `CREATE TABLE ${name(matched)} AS SELECT l.*, h.t AS tm FROM (${labels}) l ASOF LEFT JOIN (${history}) h ON ${on.join(' AND ')}`,
  );
  const place = [...sourceKeys, T].join(', ');
  await connection.run(
    `CREATE TABLE ${name(rows)} AS SELECT * FROM (${scan.sql}) WHERE (${place}) IN (SELECT ${[...keys, 'tm'].join(', ')} FROM ${name(matched)})`,
  );
  await connection.run(
    `CREATE TABLE ${name(ties)} AS SELECT ${place} FROM ${name(rows)} GROUP BY ALL HAVING count(*) > 1`,
  );
}

/** The kernel resolves rows that share key and time, and its order says which is the last. */
async function resolveTies(
  { engine, lookup }: LookupRequest,
  scan: Scan,
  connection: DuckDBConnection,
  { rows, ties, winners }: Tables,
): Promise<void> {
  const { program } = lookup;
  const schema: Schema = [
    ...program.keyDtypes.map((dtype, i) => ({ name: `k${i}`, dtype })),
    { name: 'tm', dtype: timestamp },
    ...program.layout.columns.map((dtype, i) => ({ name: `c${i}`, dtype })),
  ];
  await createTable(connection, winners, schema);
  const place = [...program.view.keys.map(name), T].join(', ');
  const events = keyedEvents({
    engine,
    connection,
    program,
    scan: {
      ...scan,
      sql: `SELECT * FROM ${name(rows)} WHERE (${place}) IN (SELECT * FROM ${name(ties)})`,
    },
    knowledge: 'final',
    only: null,
  });
  const writer = await engine.connect();
  try {
    for await (const { keys, resolved } of events) {
      const { events: found, starts } = resolved;
      const lasts: number[] = [];
      const keyOf: number[] = [];
      for (let key = 0; key + 1 < starts.length; key++)
        for (let row = starts[key]!; row < starts[key + 1]!; row++)
          if (row + 1 === starts[key + 1] || found.timeUs[row + 1] !== found.timeUs[row]) {
            lasts.push(row);
            keyOf.push(key);
          }
      const at = Int32Array.from(lasts);
      const time: Column = {
        kind: 'timestamp',
        dtype: timestamp,
        length: found.length,
        validity: null,
        data: found.timeUs,
      };
      const columns: Record<string, Column> = { tm: takeRows(time, at) };
      keys.forEach((key, i) => {
        columns[`k${i}`] = takeRows(key, Int32Array.from(keyOf));
      });
      found.columns.forEach((column, i) => {
        columns[`c${i}`] = takeRows(column, at);
      });
      await appendBatch(writer, winners, schema, { length: at.length, columns });
    }
  } finally {
    writer.closeSync();
  }
}

/** Values of each label; null without a match, or where the match is older than the feature's time to live. */
async function gatherRows(
  request: LookupRequest,
  connection: DuckDBConnection,
  { matched, rows, ties, winners }: Tables,
  out: Scatter,
): Promise<void> {
  const { lookup, through } = request;
  const { view, layout } = lookup.program;
  const keys = view.keys.map((_, i) => `k${i}`);
  const features = lookup.features.map((at) => {
    const { input, window, dtype } = view.features[at]!;
    assert(input?.kind === 'column', 'a feature of a plain column');
    const { aggregate } = layout.reads[at]!;
    return { source: name(input.name), column: layout.aggregates[aggregate]!.input, window, dtype };
  });
  const single = `SELECT ${view.keys.map((key, i) => `${name(key)} AS k${i}`).join(', ')}, ${T} AS tm, ${features.map(({ source }, i) => `${source} AS f${i}`).join(', ')} FROM ${name(rows)} ANTI JOIN ${name(ties)} USING (${[...view.keys.map(name), T].join(', ')})`;
  const last = `SELECT ${[...keys, 'tm'].join(', ')}, ${features.map(({ column }, i) => `c${column} AS f${i}`).join(', ')} FROM ${name(winners)}`;
  const values = features.map(({ window, dtype }, i) => {
    const value = wireExpression(`h.f${i}`, dtype);
    if (window.sizeUs === null) return value;
    const oldest = `l.read - to_microseconds(${window.sizeUs - (through ? 1 : 0)})`;
    return `CASE WHEN l.tm >= ${oldest} THEN ${value} END`;
  });
  const schema: Schema = [
    { name: 'r', dtype: float64 },
    ...features.map(({ dtype }, i) => ({ name: `f${i}`, dtype })),
  ];
  const on = [...keys, 'tm'].map((key) => `l.${key} = h.${key}`).join(' AND ');
  const sql = `SELECT l.r::DOUBLE, ${values.join(', ')} FROM ${name(matched)} l LEFT JOIN (${single} UNION ALL ${last}) h ON ${on}`;
  for await (const batch of readBatches(connection, sql, schema)) {
    const row = batch.columns.r!;
    assert(row.kind === 'float64', 'row numbers');
    out.add(
      row.data,
      features.map((_, i) => batch.columns[`f${i}`]!),
    );
    request.onLabels(batch.length);
  }
}
