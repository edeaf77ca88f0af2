/**
 * A look-up of a training set by the kernel: labels sorted by (key, T) meet history sorted by (key, t), and
 * the sweep gives the values, which are put back into label order.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { type Window, windowEnd, windowReach } from '../../aggregate/window.ts';
import type { InstantUs } from '../../base/time.ts';
import { type Catalog, type Lookup, sweptFeatures } from '../../model/index.ts';
import type { Knowledge } from '../../timeline/index.ts';
import { float64 } from '../../types/dtype.ts';
import { type Engine, name, rowsOf, withConnection } from './engine.ts';
import { type EventsRequest, keyedEvents, scanParts } from './events.ts';
import type { Positions } from './history_scan.ts';
import { isLatestOnly, lookUpLatest } from './latest.ts';
import { answersOfThread } from './lookup_threads.ts';
import { merge, questionOf } from './merge.ts';
import { wireExpression } from './read.ts';
import { readParts } from './read_parts.ts';
import { openScan, type Paths, type Scan, type ViewScan } from './scan.ts';
import type { Scatter } from './scatter.ts';
import { inOrder, type Part } from './sort.ts';

/** A table of what is asked: one row a label. */
export interface Asked {
  /** FROM item. */
  readonly from: string;
  /** SQL of the label's number, of T (a TIMESTAMP) and of the key parts, in the entity's order and types. */
  readonly row: string;
  readonly time: string;
  /** SQL of the time before which something had to arrive to be known, as-served; left out: T. */
  readonly known?: string;
  readonly keys: readonly string[];
}

export interface LookupRequest {
  readonly engine: Engine;
  readonly paths: Paths;
  /** What is read of the history of the source's stream. */
  readonly upTo: Positions | null;
  /** Whether a source without any history gives nothing, instead of an error. */
  readonly mayBeEmpty: boolean;
  readonly catalog: Catalog;
  readonly lookup: Lookup;
  readonly asked: Asked;
  readonly through: boolean;
  readonly knowledge: Knowledge;
  readonly signal: AbortSignal | undefined;
  /** Whether a thread of its own may sort and sweep. */
  readonly inThread: boolean;
  /** Gives the scan's rows the columns that the view looks up; null: it looks nothing up. */
  readonly enrich:
    | ((connection: DuckDBConnection, scan: Scan, only: EventsRequest['only']) => Promise<ViewScan>)
    | null;
  readonly onHistory: (rows: number) => void;
  readonly onKeyless: (rows: number) => void;
  readonly onLabels: (rows: number) => void;
}

/** Fills `out` with what `sweptFeatures` names of the look-up, before defaults. */
export async function lookUp(request: LookupRequest, out: Scatter): Promise<readonly string[]> {
  const { engine, signal } = request;
  return withConnection(engine, signal, (labels) =>
    withConnection(engine, signal, async (connection) => {
      const { lookup, asked, knowledge } = request;
      const { program } = lookup;
      const { source, sourceColumns } = program;
      const { paths, upTo, mayBeEmpty } = request;
      const scan = await openScan(connection, source, sourceColumns, paths, upTo, mayBeEmpty);
      if (request.enrich === null && isLatestOnly(request)) {
        try {
          if (await lookUpLatest(request, scan, connection, out)) return scan.files;
        } catch (error) {
          throw await scan.explain(connection, error);
        }
      }
      const question = questionOf(program, sweptFeatures(lookup), knowledge);
      const windows = question.layout.reads.map(({ window }) => window);
      const range = await readRange(labels, asked, windows, request.through);
      if (out.rows === 0) return scan.files;
      // A table, so that DuckDB knows how few they are and keeps history streaming past them, in its order.
      const asks = name(engine.tableName('keys'));
      await labels.run(
        `CREATE TABLE ${asks} AS SELECT DISTINCT ${asked.keys.map((key, i) => `${key} AS k${i}`).join(', ')} FROM ${asked.from}`,
      );
      const only = (keys: readonly string[], t: string) =>
        [
          `(${keys.join(', ')}) IN (SELECT ${keys.map((_, i) => `k${i}`).join(', ')} FROM ${asks})`,
          ...range.map((bound) => `${t} ${bound}`),
        ].join(' AND ');
      let enriched: ViewScan | null = null;
      try {
        enriched = (await request.enrich?.(connection, scan, only)) ?? null;
        const events: EventsRequest = {
          engine,
          connection,
          program,
          scan: enriched?.scan ?? scan,
          knowledge,
          only,
          onRows: request.onHistory,
          onKeyless: request.onKeyless,
        };
        const answers =
          request.inThread && !source.mutable
            ? answersOfThread(
                {
                  catalog: request.catalog,
                  view: program.view.name,
                  features: sweptFeatures(lookup),
                  knowledge,
                },
                { labels: askedParts(request, labels), history: scanParts(events) },
                { ...request, explain: (error) => scan.explain(connection, error) },
              )
            : merge(question, inOrder(askedParts(request, labels)), keyedEvents(events));
        for await (const { rows, columns } of answers) {
          out.add(rows, columns);
          request.onLabels(rows.length);
        }
      } finally {
        await enriched?.close();
        await connection.run(`DROP TABLE ${asks}`);
      }
      return scan.files;
    }),
  );
}

/** Bounds on event times outside of which no read of these windows looks: conditions to put behind the event time. */
export async function readRange(
  connection: DuckDBConnection,
  asked: Pick<Asked, 'time' | 'from'>,
  windows: readonly Window[],
  through: boolean,
): Promise<string[]> {
  const [range] = await rowsOf(
    connection,
    `SELECT epoch_us(min(t))::DOUBLE AS lo, epoch_us(max(t))::DOUBLE AS hi FROM (SELECT ${asked.time} AS t FROM ${asked.from})`,
  );
  if (range === undefined || range.lo === null) return [];
  const step = through ? 1 : 0;
  const end = Math.max(...windows.map((window) => windowEnd(window, Number(range.hi) + step)));
  const start = Math.min(...windows.map((window) => windowReach(window, Number(range.lo) + step)));
  const instant = (us: InstantUs): string => `make_timestamp(${us}::BIGINT)`;
  return [`< ${instant(end)}`, ...(Number.isFinite(start) ? [`>= ${instant(start)}`] : [])];
}

/** The labels, to be put in order of key and T: number `r`, T `t`, what is known `u` where it is not that at T, and key parts `k…`. */
function askedParts(
  { engine, asked, lookup, through }: LookupRequest,
  connection: DuckDBConnection,
): AsyncGenerator<Part> {
  const keys = lookup.program.keyDtypes.map((dtype, i) => ({ name: `k${i}`, dtype }));
  const known = asked.known === undefined ? [] : [`epoch_us(${asked.known})::DOUBLE`];
  const schema = [
    { name: 'r', dtype: float64 },
    { name: 't', dtype: float64 },
    ...known.map(() => ({ name: 'u', dtype: float64 })),
    ...keys,
  ];
  const wired = asked.keys.map((key, i) => wireExpression(key, keys[i]!.dtype));
  const read = `epoch_us(${asked.time})::DOUBLE${through ? ' + 1' : ''}`;
  const order = [
    ...keys.map(({ name: column }, i) => ({ column, sql: asked.keys[i]! })),
    { column: 't', sql: asked.time },
  ];
  const columns = [`${asked.row}::DOUBLE`, read, ...known, ...wired];
  const sql = `SELECT ${columns.join(', ')} FROM ${asked.from}`;
  return readParts(connection, sql, schema, order, engine.sortBytes);
}
