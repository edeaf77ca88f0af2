/** Pushing events: checked here, all of them or none, then appended to the event log; workers do the rest. */
import { nearest, SamewiseError } from '../base/errors.ts';
import type { Source } from '../model/index.ts';
import type { EventLog, NewRecord, RecordPlace } from '../stream/contract.ts';
import { topicOf } from '../stream/control.ts';
import type { DecodedRow } from '../stream/decode/index.ts';
import { OP_FIELD } from '../stream/decode/index.ts';
import { readRows } from '../stream/rows.ts';
import type { Batch } from '../types/batch.ts';
import { scalarAt } from '../types/column.ts';
import { scalarToJsonText } from '../types/scalar.ts';
import { liveSources } from './live_sources.ts';
import type { Streaming } from './streaming.ts';

/** Rows that one push may hold: they are in memory together. */
export const MAX_PUSH_ROWS = 1_000_000;
/** Records that are appended at once. */
const RECORDS_AN_APPEND = 10_000;

export interface PushRequest {
  readonly source: string;
  /** Values by column, in any form that `coerce` reads; `__op: "retract"` takes an event away. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** When to come back; null: as the source says. */
  readonly wait: PushState | null;
}

/** `durable`: the events cannot be lost any more. `applied`: pages have them too. */
export type PushState = Source['stream']['acknowledge'];

export interface PushResult {
  readonly source: string;
  readonly rows: number;
  readonly state: PushState;
}

/** Waits until the pages of all live views of a source have what lies at these places. */
export type Applied = (source: Source, places: readonly RecordPlace[]) => Promise<void>;

/**
 * Pushes events of a source. All rows are checked before any is stored. The same events again change nothing; of a source that is
 * mutable they say how its rows are now. Throws `app/unknown-source`, `app/unknown-column`, `app/too-many-rows`,
 * `app/not-pushable`, the `stream/…`, `types/…` and `time/…` errors with row and column, and what the log throws.
 */
export async function push(
  { registry, log, clock }: Pick<Streaming, 'registry' | 'log' | 'clock'>,
  { source: name, rows, wait }: PushRequest,
  applied: Applied,
): Promise<PushResult> {
  const [source] = liveSources(await registry.load(), [name]) as [Source];
  const records = recordsOf(source, rows, clock.nowUs());
  const places = await appendAll(log, source, records);
  const state = wait ?? source.stream.acknowledge;
  if (state === 'applied') await applied(source, places);
  return { source: name, rows: rows.length, state };
}

async function appendAll(
  log: EventLog,
  source: Source,
  records: readonly NewRecord[],
): Promise<RecordPlace[]> {
  const places: RecordPlace[] = [];
  for (let from = 0; from < records.length; from += RECORDS_AN_APPEND)
    places.push(
      ...(await log.append(topicOf(source), records.slice(from, from + RECORDS_AN_APPEND))),
    );
  return places;
}

/** The rows as records of the log, in JSON. */
function recordsOf(source: Source, rows: PushRequest['rows'], nowUs: number): NewRecord[] {
  const where = { source: source.name };
  if (source.stream.format !== 'json') {
    throw new SamewiseError(
      'app/not-pushable',
      `the topic of ${source.name} holds ${source.stream.format}, which others write`,
      { where, hint: 'write to the topic itself' },
    );
  }
  if (rows.length > MAX_PUSH_ROWS) {
    throw new SamewiseError(
      'app/too-many-rows',
      `a push holds at most ${MAX_PUSH_ROWS} rows, not ${rows.length}`,
      {
        where,
        hint: 'push parts of it, or put the file where the source’s batch location finds it and materialize',
      },
    );
  }
  const decoded = rows.map(
    (values, row): DecodedRow => ({ op: opOf(source, values, row), values }),
  );
  const read = readRows(source, decoded, new Float64Array(rows.length).fill(nowUs));
  const worst = Math.min(...read.bad.keys());
  if (worst !== Number.POSITIVE_INFINITY) throw read.bad.get(worst)!.at({ row: worst });
  checkColumns(source, rows);
  const fields = source.columns
    .filter(({ name }) => name !== source.arrivalTime && name !== source.op)
    .map((field) => ({ ...field, label: `${JSON.stringify(field.name)}:` }));
  const values = utf8Of(
    decoded.map(({ op }, row) => {
      const parts = fields.map(
        ({ name, dtype, label }) =>
          label + scalarToJsonText(scalarAt(read.batch.columns[name]!, row), dtype),
      );
      if (op === 'retract') parts.push(`"${OP_FIELD}":"retract"`);
      return `{${parts.join()}}`;
    }),
  );
  const keys = keysOf(source, read.batch);
  return values.map((value, row) => ({ key: keys?.[row] ?? null, value }));
}

/** Events of one id go to one partition. Null: they have no ids. */
function keysOf({ columns, eventId }: Source, batch: Batch): Uint8Array[] | null {
  const id = columns.find(({ name }) => name === eventId);
  if (id === undefined) return null;
  const column = batch.columns[id.name]!;
  return utf8Of(
    Array.from({ length: batch.length }, (_, row) =>
      scalarToJsonText(scalarAt(column, row), id.dtype),
    ),
  );
}

/** The bytes of many texts. One call for all: what a call costs is more than what a short text does. */
function utf8Of(texts: readonly string[]): Uint8Array[] {
  const utf8 = new TextEncoder();
  const all = utf8.encode(texts.join(''));
  // Where every character is one byte, a text lies where its characters do.
  if (all.length !== texts.reduce((sum, { length }) => sum + length, 0))
    return texts.map((text) => utf8.encode(text));
  let end = 0;
  return texts.map(({ length }) => {
    end += length;
    return all.subarray(end - length, end);
  });
}

function opOf(
  source: Source,
  values: Readonly<Record<string, unknown>>,
  row: number,
): DecodedRow['op'] {
  const column = values[OP_FIELD] === undefined && source.op !== null ? source.op : OP_FIELD;
  const op = values[column] ?? 'upsert';
  if (op === 'upsert' || op === 'retract') return op;
  throw new SamewiseError('app/bad-op', `${JSON.stringify(op)} is not an operation`, {
    where: { source: source.name, row, column },
    hint: 'use "upsert" or "retract"',
  });
}

/** A column that nobody knows is a misspelt one more often than not. */
function checkColumns(source: Source, rows: PushRequest['rows']): void {
  const known = new Set([...source.columns.map(({ name }) => name), OP_FIELD]);
  rows.forEach((values, row) => {
    for (const column of Object.keys(values)) {
      if (known.has(column)) continue;
      const meant = nearest(column, known);
      throw new SamewiseError('app/unknown-column', `the source has no column ${column}`, {
        where: { source: source.name, row, column },
        hint: meant === undefined ? `it has ${[...known].join(', ')}` : `did you mean "${meant}"?`,
      });
    }
  });
}
