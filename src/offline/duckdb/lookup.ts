/**
 * A look-up of a training set by the kernel: labels sorted by (key, T) meet history sorted by (key, t), and
 * the sweep gives the values, which are put back into label order.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { aggregateFor } from '../../aggregate/index.ts';
import { windowEnd, windowReach } from '../../aggregate/window.ts';
import { assert } from '../../base/errors.ts';
import type { InstantUs } from '../../base/time.ts';
import type { Lookup } from '../../model/index.ts';
import {
  type Knowledge,
  type Layout,
  type Resolved,
  sweep,
  sweepAsServed,
} from '../../timeline/index.ts';
import type { Batch } from '../../types/batch.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import { type Dtype, float64 } from '../../types/dtype.ts';
import { compareKeys, runStarts } from './columns.ts';
import { type Engine, name, rowsOf, withConnection } from './engine.ts';
import { type KeyedBatch, keyedEvents } from './events.ts';
import type { Positions } from './history_scan.ts';
import { isLatestOnly, lookUpLatest } from './latest.ts';
import { BATCH_ROWS, wireExpression } from './read.ts';
import { openScan, type Paths } from './scan.ts';
import type { Scatter } from './scatter.ts';
import { readSorted } from './sort.ts';

/** A table of what is asked: one row a label. */
export interface Asked {
  /** FROM item. */
  readonly from: string;
  /** SQL of the label's number, of T (a TIMESTAMP) and of the key parts, in the entity's order and types. */
  readonly row: string;
  readonly time: string;
  readonly keys: readonly string[];
}

export interface LookupRequest {
  readonly engine: Engine;
  readonly paths: Paths;
  /** What is read of the history of the source's stream. */
  readonly upTo: Positions;
  readonly lookup: Lookup;
  readonly asked: Asked;
  readonly through: boolean;
  readonly knowledge: Knowledge;
  readonly signal: AbortSignal | undefined;
  readonly onHistory: (rows: number) => void;
  readonly onKeyless: (rows: number) => void;
  readonly onLabels: (rows: number) => void;
}

/** Fills `out` with the look-up's features, in the order of `lookup.features`, before defaults. */
export async function lookUp(request: LookupRequest, out: Scatter): Promise<readonly string[]> {
  const { engine, signal } = request;
  return withConnection(engine, signal, (labels) =>
    withConnection(engine, signal, async (connection) => {
      const { lookup, asked, knowledge } = request;
      const { program } = lookup;
      const { source, sourceColumns } = program;
      const scan = await openScan(connection, source, sourceColumns, request.paths, request.upTo);
      if (isLatestOnly(request)) {
        try {
          if (await lookUpLatest(request, scan, connection, out)) return scan.files;
        } catch (error) {
          throw await scan.explain(connection, error);
        }
      }
      const layout: Layout = {
        ...program.layout,
        reads: lookup.features.map((feature) => program.layout.reads[feature]!),
      };
      const range = await readRange(labels, asked, layout, request.through);
      if (out.rows === 0) return scan.files;
      // A table, so that DuckDB knows how few they are and keeps history streaming past them, in its order.
      const asks = name(engine.tableName('keys'));
      await labels.run(
        `CREATE TABLE ${asks} AS SELECT DISTINCT ${asked.keys.map((key, i) => `${key} AS k${i}`).join(', ')} FROM ${asked.from}`,
      );
      try {
        const history = keyedEvents({
          engine,
          connection,
          program,
          scan,
          knowledge,
          only: (keys, t) =>
            [
              `(${keys.join(', ')}) IN (SELECT ${keys.map((_, i) => `k${i}`).join(', ')} FROM ${asks})`,
              ...range.map((bound) => `${t} ${bound}`),
            ].join(' AND '),
          onRows: request.onHistory,
          onKeyless: request.onKeyless,
        });
        await merge(
          askedSorted(request, labels),
          program.keyDtypes,
          layout,
          knowledge,
          history,
          out,
          request.onLabels,
        );
      } finally {
        await connection.run(`DROP TABLE ${asks}`);
      }
      return scan.files;
    }),
  );
}

/** Bounds on event times outside of which no read looks: conditions to put behind the event time. */
async function readRange(
  connection: DuckDBConnection,
  asked: Asked,
  layout: Layout,
  through: boolean,
): Promise<string[]> {
  const [range] = await rowsOf(
    connection,
    `SELECT epoch_us(min(t))::DOUBLE AS lo, epoch_us(max(t))::DOUBLE AS hi FROM (SELECT ${asked.time} AS t FROM ${asked.from})`,
  );
  if (range === undefined || range.lo === null) return [];
  const step = through ? 1 : 0;
  const windows = layout.reads.map(({ window }) => window);
  const end = Math.max(...windows.map((window) => windowEnd(window, Number(range.hi) + step)));
  const start = Math.min(...windows.map((window) => windowReach(window, Number(range.lo) + step)));
  const instant = (us: InstantUs): string => `make_timestamp(${us}::BIGINT)`;
  return [`< ${instant(end)}`, ...(Number.isFinite(start) ? [`>= ${instant(start)}`] : [])];
}

/** The labels by key and T: number `r`, T `t` and key parts `k…`. */
function askedSorted(
  { engine, asked, lookup, through }: LookupRequest,
  connection: DuckDBConnection,
): AsyncGenerator<Batch> {
  const keys = lookup.program.keyDtypes.map((dtype, i) => ({ name: `k${i}`, dtype }));
  const schema = [{ name: 'r', dtype: float64 }, { name: 't', dtype: float64 }, ...keys];
  const wired = asked.keys.map((key, i) => wireExpression(key, keys[i]!.dtype));
  const read = `epoch_us(${asked.time})::DOUBLE${through ? ' + 1' : ''}`;
  const order = [
    ...keys.map(({ name: column }, i) => ({ column, sql: asked.keys[i]! })),
    { column: 't', sql: asked.time },
  ];
  const sql = `SELECT ${asked.row}::DOUBLE, ${read}, ${wired.join(', ')} FROM ${asked.from}`;
  return readSorted(connection, sql, schema, order, engine.sortBytes);
}

/** Where the merge stands in the history. */
interface Cursor {
  batch: KeyedBatch | null;
  key: number;
}

async function merge(
  labels: AsyncIterable<Batch>,
  keyDtypes: readonly Dtype[],
  layout: Layout,
  knowledge: Knowledge,
  history: AsyncIterator<KeyedBatch>,
  out: Scatter,
  onLabels: (rows: number) => void,
): Promise<void> {
  const builders = layout.reads.map(
    ({ aggregate }) => new ColumnBuilder(outputDtype(layout, aggregate), BATCH_ROWS + 2048),
  );
  const none = nothing(layout);
  const cursor: Cursor = { batch: null, key: 0 };
  const advance = async (): Promise<void> => {
    const next = await history.next();
    cursor.batch = next.done === true ? null : next.value;
    cursor.key = 0;
  };
  await advance();
  for await (const batch of labels) {
    const keys = keyDtypes.map((_, i) => batch.columns[`k${i}`]!);
    const readUs = floats(batch.columns.t!);
    const starts = runStarts(keys, batch.length);
    for (let run = 0; run + 1 < starts.length; run++) {
      const from = starts[run]!;
      const known = keys.every(({ validity }) => validity?.[from] !== 0);
      let order = -1;
      while (known && cursor.batch !== null) {
        order = seek(cursor, keys, from);
        if (cursor.key < cursor.batch.keys[0]!.length) break;
        await advance();
      }
      const found = known && cursor.batch !== null && order === 0;
      const { events, visibleFrom, visibleTo, starts: at } = found ? cursor.batch!.resolved : none;
      const lo = found ? at[cursor.key]! : 0;
      const hi = found ? at[cursor.key + 1]! : 0;
      if (knowledge === 'final')
        sweep(layout, events, lo, hi, readUs, from, starts[run + 1]!, builders);
      else
        sweepAsServed(
          layout,
          events,
          visibleFrom,
          visibleTo,
          lo,
          hi,
          readUs,
          from,
          starts[run + 1]!,
          builders,
        );
    }
    out.add(
      floats(batch.columns.r!),
      builders.map((builder) => builder.finish()),
    );
    onLabels(batch.length);
  }
  await history.return?.();
}

/** Moves to the first key that is not before the label's; negative: the label's key has no history before the end of the batch. */
function seek(cursor: Cursor, keys: readonly Column[], row: number): number {
  const { batch } = cursor;
  const count = batch!.keys[0]!.length;
  for (; cursor.key < count; cursor.key++) {
    const order = compareKeys(keys, row, batch!.keys, cursor.key);
    if (order <= 0) return order;
  }
  return 1;
}

/** No events. */
function nothing(layout: Layout): Omit<Resolved, 'tombstones'> {
  const columns = layout.columns.map((dtype) => new ColumnBuilder(dtype).finish());
  const events = {
    length: 0,
    timeUs: new Float64Array(0),
    arrivalUs: null,
    id: new BigInt64Array(0),
    columns,
  };
  return { events, starts: new Int32Array(2), visibleFrom: new Float64Array(0), visibleTo: null };
}

function outputDtype(layout: Layout, aggregate: number): Dtype {
  const { spec, input } = layout.aggregates[aggregate]!;
  return aggregateFor(spec, input < 0 ? null : layout.columns[input]!).output;
}

function floats(column: Column): Float64Array {
  assert(column.kind === 'float64', 'a column of numbers');
  return column.data;
}
