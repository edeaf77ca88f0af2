/** Records of a partition into rows, each with its arrival, and what pages and history may take of them. */
import { SamewiseError } from '../base/errors.ts';
import { eventIds, type Source } from '../model/index.ts';
import type { Checkpoint, DeadLetter } from '../offline/history_contract.ts';
import type { Batch } from '../types/batch.ts';
import type { Column } from '../types/column.ts';
import { arrivalOf } from './arrival.ts';
import type { LogRecord } from './contract.ts';
import type { Decoded, DecodedColumns, DecodedRow } from './decode/contract.ts';
import { pickRows, type Rows, readOthers, readRows } from './rows.ts';
import { isLate, isTooFarAhead } from './watermark.ts';

/** A dead letter keeps so much of the record. */
const MAX_PAYLOAD_BYTES = 64 << 10;

/** What some records of a partition say. Rows are in the order of the log. */
export interface ReadBatch {
  readonly partition: string;
  /** Before the first of the records; null: nothing is. */
  readonly after: Checkpoint | null;
  /** After the last of the records. */
  readonly to: Checkpoint;
  readonly records: number;
  /** The source's columns. */
  readonly rows: Batch;
  readonly timeUs: Float64Array;
  readonly arrivalUs: Float64Array;
  readonly ids: BigInt64Array;
  readonly positions: readonly bigint[];
  readonly retract: Uint8Array | null;
  /** 1: the row is late, and history's alone. Null: none is. */
  readonly late: Uint8Array | null;
  readonly deadLetters: readonly DeadLetter[];
}

/** `before`: the checkpoint that the records follow. What comes out depends on nothing but it and them. */
export function readBatch(
  source: Source,
  partition: string,
  before: Checkpoint | null,
  records: readonly LogRecord[],
  decoded: readonly Decoded[] | DecodedColumns,
): ReadBatch {
  const deadLetters: DeadLetter[] = [];
  const arrivals = new Float64Array(records.length);
  let lastUs = before?.arrivalUs ?? null;
  for (let i = 0; i < records.length; i++) {
    lastUs = arrivalOf(records[i]!.timestampUs, lastUs);
    arrivals[i] = lastUs;
  }
  const bury = (i: number, error: SamewiseError) => {
    deadLetters.push(deadLetter(partition, records[i]!, arrivals[i]!, error));
  };
  const { batch, timeUs, retract, bad, recordOf } =
    'columns' in decoded
      ? readColumns(source, decoded, arrivals, bury)
      : readDecoded(source, decoded, arrivals, bury);
  const good: number[] = [];
  let newestUs = before?.newestUs ?? null;
  let late: Uint8Array | null = null;
  for (let row = 0; row < batch.length; row++) {
    const i = recordOf[row]!;
    if (i < 0) continue;
    const t = timeUs[row]!;
    const problem =
      bad.get(row) ?? (isTooFarAhead(source, t, arrivals[i]!) ? tooFarAhead(source) : undefined);
    if (problem !== undefined) {
      bury(i, problem);
      continue;
    }
    if (isLate(source, t, newestUs)) {
      late ??= new Uint8Array(batch.length);
      late[good.length] = 1;
    }
    if (newestUs === null || t > newestUs) newestUs = t;
    good.push(row);
  }
  const all = good.length === batch.length;
  const picked = <A extends Float64Array | Uint8Array>(values: A): A =>
    all ? values : (values.constructor as any).from(good, (row: number) => values[row]!);
  const rows = all ? batch : pickRows(source, batch, good);
  const arrivalUs = new Float64Array(good.length);
  const positions = new Array<bigint>(good.length);
  for (let i = 0; i < good.length; i++) {
    const record = recordOf[good[i]!]!;
    arrivalUs[i] = arrivals[record]!;
    positions[i] = records[record]!.position;
  }
  return {
    partition,
    after: before,
    to: { position: records.at(-1)!.position, arrivalUs: lastUs!, newestUs },
    records: records.length,
    rows,
    timeUs: picked(timeUs),
    arrivalUs,
    ids: eventIds(source, rows),
    positions,
    retract: retract && picked(retract),
    late: late?.subarray(0, good.length) ?? null,
    deadLetters: deadLetters.sort((a, b) => (a.position < b.position ? -1 : 1)),
  };
}

/** What records say, as rows in their order. */
interface Read extends Rows {
  /** Of each row, the number of its record; −1: it says nothing. */
  readonly recordOf: Int32Array;
}

/** Records that cannot be read are given to `bury`. */
function readDecoded(
  source: Source,
  decoded: readonly Decoded[],
  arrivals: Float64Array,
  bury: (i: number, error: SamewiseError) => void,
): Read {
  const given: DecodedRow[] = [];
  const recordOf = new Int32Array(decoded.length);
  decoded.forEach((said, i) => {
    if (said instanceof SamewiseError) bury(i, said);
    else if (said !== null) recordOf[given.push(said) - 1] = i;
  });
  const places = recordOf.subarray(0, given.length);
  const read = readRows(
    source,
    given,
    Float64Array.from(places, (i) => arrivals[i]!),
  );
  return { ...read, recordOf: places };
}

/** As `readDecoded`. */
function readColumns(
  source: Source,
  { columns, others }: DecodedColumns,
  arrivals: Float64Array,
  bury: (i: number, error: SamewiseError) => void,
): Read {
  const recordOf = new Int32Array(arrivals.length);
  for (let i = 0; i < recordOf.length; i++) recordOf[i] = i;
  const given = new Map<number, DecodedRow>();
  for (const [i, said] of others) {
    if (said instanceof SamewiseError) bury(i, said);
    else if (said !== null) given.set(i, said);
    if (!given.has(i)) recordOf[i] = -1;
  }
  return { ...readOthers(source, columns, given, arrivals), recordOf };
}

/** The batch with columns that were looked up for its rows. */
export function enriched(batch: ReadBatch, columns: Readonly<Record<string, Column>>): ReadBatch {
  const { length } = batch.rows;
  return { ...batch, rows: { length, columns: { ...batch.rows.columns, ...columns } } };
}

function tooFarAhead({ name, eventTime }: Source): SamewiseError {
  return new SamewiseError(
    'stream/too-far-ahead',
    'the event is further ahead of its arrival than the source allows',
    {
      where: { source: name, column: eventTime },
      hint: 'set the producer’s clock right, or raise maxAhead of the source’s stream',
    },
  );
}

function deadLetter(
  partition: string,
  { position, key, value }: LogRecord,
  arrivalUs: number,
  { code, message, where }: SamewiseError,
): DeadLetter {
  const column = where.column ?? null;
  const payload = value?.subarray(0, MAX_PAYLOAD_BYTES) ?? null;
  return { partition, position, arrivalUs, code, message, column, key, payload };
}
