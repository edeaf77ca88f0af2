/** Vectors as the bytes of a `samewise.v1.GetOnlineFeaturesResponse`. */
import type { InstantUs } from '../../base/time.ts';
import type { Status } from '../../model/index.ts';
import type { Dtype, VectorType } from '../../types/dtype.ts';
import type { Scalar } from '../../types/scalar.ts';
import type { Columns } from '../answer.ts';
import type { Vectors } from '../vector.ts';
import { Kind, Status as WireStatus } from './gen/samewise/v1/values_pb.ts';
import { WireWriter } from './wire.ts';

/** Field numbers of proto/samewise/v1/values.proto and features.proto. */
const COLUMN = {
  name: 1,
  kind: 2,
  size: 3,
  nulls: 4,
  bools: 5,
  ints: 6,
  longs: 7,
  floats: 8,
  doubles: 9,
  strings: 10,
  blobs: 11,
  lengths: 12,
  items: 13,
  statuses: 14,
  eventTimes: 15,
};
const EVENT_TIMES = { us: 1, nulls: 2 };
const ANSWER = {
  service: 1,
  version: 2,
  atUs: 3,
  rows: 4,
  columns: 5,
  eventTimes: 6,
  partial: 7,
  stale: 8,
};

const KIND_OF: Readonly<Record<Dtype['kind'], Kind>> = {
  bool: Kind.BOOL,
  int32: Kind.INT32,
  int64: Kind.INT64,
  float32: Kind.FLOAT32,
  float64: Kind.FLOAT64,
  string: Kind.STRING,
  bytes: Kind.BYTES,
  timestamp: Kind.TIMESTAMP,
  date: Kind.DATE,
  list: Kind.LIST,
  vector: Kind.VECTOR,
};

const STATUS_OF: Readonly<Record<Status, WireStatus>> = {
  PRESENT: WireStatus.PRESENT,
  NULL_VALUE: WireStatus.NULL_VALUE,
  NOT_FOUND: WireStatus.NOT_FOUND,
  OUTSIDE_MAX_AGE: WireStatus.OUTSIDE_MAX_AGE,
  DEFAULTED: WireStatus.DEFAULTED,
  STALE: WireStatus.STALE,
  TIMED_OUT: WireStatus.TIMED_OUT,
  FALLBACK_1: WireStatus.FALLBACK_1,
  FALLBACK_2: WireStatus.FALLBACK_2,
  FALLBACK_3: WireStatus.FALLBACK_3,
  FALLBACK_4: WireStatus.FALLBACK_4,
  FALLBACK_5: WireStatus.FALLBACK_5,
  FALLBACK_6: WireStatus.FALLBACK_6,
  FALLBACK_7: WireStatus.FALLBACK_7,
  FALLBACK_8: WireStatus.FALLBACK_8,
};

/** What an answer says beside its values. */
export interface AnswerHead {
  readonly atUs: InstantUs;
  readonly eventTimes: boolean;
}

/** The message, behind `lead` free bytes. */
export function answerBytes(
  vectors: Vectors,
  columns: Columns,
  { atUs, eventTimes }: AnswerHead,
  lead = 0,
): Uint8Array {
  const { program, rows } = vectors;
  const { outputs, dtypes } = columns;
  const heads = columnHeads(columns);
  const writer = new WireWriter(64 + outputs.length * (32 + 10 * rows), lead);
  writer.string(ANSWER.service, program.name);
  writer.uint32(ANSWER.version, program.version);
  writer.sint64(ANSWER.atUs, atUs);
  writer.uint32(ANSWER.rows, rows);
  const times = eventTimes ? new SharedTimes(vectors) : null;
  // As most answers are, and then nobody need look at each value.
  const whole = vectors.areWhole();
  for (let i = 0; i < outputs.length; i++) {
    const output = outputs[i]!;
    const start = writer.begin(ANSWER.columns);
    writer.raw(heads[i]!);
    const values = new Array<Scalar | null>(rows);
    for (let row = 0; row < rows; row++)
      values[row] = whole ? vectors.stored(row, output) : vectors.value(row, output);
    writeItems(writer, dtypes[i]!, values);
    if (!whole) writeStatuses(writer, vectors, output);
    if (times !== null) writer.uint32(COLUMN.eventTimes, times.numberOf(output));
    writer.end(start);
  }
  times?.write(writer);
  writer.bool(ANSWER.partial, vectors.partial);
  if (vectors.stale.length > 0)
    columns.names.forEach((name, i) => {
      if (vectors.stale.includes(outputs[i]!)) writer.string(ANSWER.stale, name);
    });
  return writer.finish();
}

const headsOf = new WeakMap<Columns, Uint8Array[]>();

/** Of each column what every answer says alike: name, kind and size. */
function columnHeads(columns: Columns): Uint8Array[] {
  let heads = headsOf.get(columns);
  if (heads === undefined) {
    heads = columns.names.map((name, i) => {
      const writer = new WireWriter(64);
      writer.string(COLUMN.name, name);
      writeType(writer, columns.dtypes[i]!);
      return writer.finish();
    });
    headsOf.set(columns, heads);
  }
  return heads;
}

function writeType(writer: WireWriter, dtype: Dtype): void {
  writer.uint32(COLUMN.kind, KIND_OF[dtype.kind]);
  if (dtype.kind === 'vector') writer.uint32(COLUMN.size, dtype.size);
}

/** Which rows are null, and the values; a null's place is taken by 0 or by what is empty. */
function writeItems(writer: WireWriter, dtype: Dtype, values: readonly (Scalar | null)[]): void {
  if (values.includes(null)) writer.bytes(COLUMN.nulls, nullBits(values));
  switch (dtype.kind) {
    case 'string':
      for (const value of values) writer.stringItem(COLUMN.strings, (value ?? '') as string);
      return;
    case 'bytes':
      for (const value of values) writer.bytesItem(COLUMN.blobs, (value ?? EMPTY) as Uint8Array);
      return;
    case 'list':
      return writeLists(writer, dtype.of, values as readonly (readonly (Scalar | null)[] | null)[]);
    case 'vector':
      return writeVectors(writer, dtype, values as readonly (Float32Array | null)[]);
  }
  if (values.length === 0) return;
  const start = writer.begin(PACKED[dtype.kind]);
  for (const value of values) writePacked(writer, dtype.kind, value ?? 0);
  writer.end(start);
}

const EMPTY = new Uint8Array(0);

const PACKED = {
  bool: COLUMN.bools,
  int32: COLUMN.ints,
  date: COLUMN.ints,
  int64: COLUMN.longs,
  timestamp: COLUMN.longs,
  float32: COLUMN.floats,
  float64: COLUMN.doubles,
};

function writePacked(writer: WireWriter, kind: keyof typeof PACKED, value: Scalar): void {
  switch (kind) {
    case 'bool':
      return writer.boolItem(value === true);
    case 'int32':
    case 'date':
      return writer.sint32Item(value as number);
    case 'int64':
      return typeof value === 'bigint' ? writer.bigItem(value) : writer.sint64Item(0);
    case 'timestamp':
      return writer.sint64Item(value as number);
    case 'float32':
      return writer.floatItem(value as number);
    case 'float64':
      return writer.doubleItem(value as number);
  }
}

function writeLists(
  writer: WireWriter,
  of: Dtype,
  values: readonly (readonly (Scalar | null)[] | null)[],
): void {
  const lengths = writer.begin(COLUMN.lengths);
  for (const value of values) writer.uint32Item(value?.length ?? 0);
  writer.end(lengths);
  const items = writer.begin(COLUMN.items);
  writeType(writer, of);
  writeItems(
    writer,
    of,
    values.flatMap((value) => value ?? []),
  );
  writer.end(items);
}

function writeVectors(
  writer: WireWriter,
  { size }: VectorType,
  values: readonly (Float32Array | null)[],
): void {
  const start = writer.begin(COLUMN.floats);
  for (const value of values)
    for (let i = 0; i < size; i++) writer.floatItem(value === null ? 0 : value[i]!);
  writer.end(start);
}

function nullBits(values: readonly unknown[]): Uint8Array {
  const bits = new Uint8Array(values.lastIndexOf(null) / 8 + 1);
  values.forEach((value, row) => {
    if (value === null) bits[row >> 3]! |= 1 << (row & 7);
  });
  return bits;
}

/** Nothing where all are PRESENT, one where all are the same. */
function writeStatuses(writer: WireWriter, vectors: Vectors, output: number): void {
  const { rows } = vectors;
  if (rows === 0) return;
  const first = vectors.status(0, output);
  let alike = 1;
  while (alike < rows && vectors.status(alike, output) === first) alike++;
  if (alike === rows && first === 'PRESENT') return;
  const start = writer.begin(COLUMN.statuses);
  if (alike === rows) writer.uint32Item(STATUS_OF[first]);
  else
    for (let row = 0; row < rows; row++)
      writer.uint32Item(row < alike ? STATUS_OF[first] : STATUS_OF[vectors.status(row, output)]);
  writer.end(start);
}

/** The event times of columns, those that are alike once. */
class SharedTimes {
  readonly #vectors: Vectors;
  /** By look-up: all outputs of one are of the same events. */
  readonly #ofLookups = new Map<number, number>();
  /** Distinct ones by their rows' texts. */
  readonly #numbers = new Map<string, number>();
  readonly #times: (InstantUs | null)[][] = [];

  constructor(vectors: Vectors) {
    this.#vectors = vectors;
  }

  /** Which of the answer's event times are an output's, from 1; 0 for what is computed and has none. */
  numberOf(output: number): number {
    const { lookup } = this.#vectors.program.sources[output]!;
    if (lookup < 0) return 0;
    let number = this.#ofLookups.get(lookup);
    if (number === undefined) this.#ofLookups.set(lookup, (number = this.#add(output)));
    return number;
  }

  #add(output: number): number {
    const vectors = this.#vectors;
    const times = Array.from({ length: vectors.rows }, (_, row) =>
      vectors.eventTimeUs(row, output),
    );
    const text = times.join();
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#times.push(times);
      this.#numbers.set(text, number);
    }
    return number;
  }

  write(writer: WireWriter): void {
    for (const times of this.#times) {
      const start = writer.begin(ANSWER.eventTimes);
      const us = writer.begin(EVENT_TIMES.us);
      for (const time of times) writer.sint64Item(time ?? 0);
      writer.end(us);
      if (times.includes(null)) writer.bytes(EVENT_TIMES.nulls, nullBits(times));
      writer.end(start);
    }
  }
}
