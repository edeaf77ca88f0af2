/**
 * Event ids: 64 bits for each row of a source. A whole number, an instant or a date is its own id; text and bytes are
 * hashed; a source without an id column hashes the row's content, so that identical rows are one event.
 * Ids lie in pages: what is hashed here may never change without a new version of the IR.
 */
import { SamewiseError } from '../base/errors.ts';
import { murmur3Words } from '../base/hash.ts';
import type { Batch } from '../types/batch.ts';
import type { Column } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Source } from './definitions.ts';

/** Whether a column of this type may be an event id: those whose equality is exact and that are not just true or false. */
export function canBeEventId(dtype: Dtype): boolean {
  return ['int32', 'int64', 'timestamp', 'date', 'string', 'bytes'].includes(dtype.kind);
}

/**
 * The columns of a source that make an event's id. Without an id column that is the whole content but for arrival and op
 * (a repeat arrives later, and a retract must find the event it takes away), by name, so that the order in which columns
 * are declared means nothing.
 */
export function eventIdColumns(source: Source): string[] {
  if (source.eventId !== null) return [source.eventId];
  return source.columns
    .map(({ name }) => name)
    .filter((name) => name !== source.arrivalTime && name !== source.op)
    .sort((a, b) => (a < b ? -1 : 1));
}

/**
 * The ids of a batch that holds `eventIdColumns(source)` in the source's types.
 * Throws `model/null-event-id` with the row if an id column holds a null.
 */
export function eventIds(source: Source, batch: Batch): BigInt64Array {
  const given = source.eventId === null ? null : batch.columns[source.eventId]!;
  if (given?.kind === 'int64' && given.validity === null) return given.data;
  const ids = new BigInt64Array(batch.length);
  const halves = new Int32Array(ids.buffer);
  if (source.eventId === null) {
    const columns = eventIdColumns(source).map((name) => batch.columns[name]!);
    for (let row = 0; row < batch.length; row++) {
      scratchLength = 0;
      for (const column of columns) writeCell(column, row);
      hashScratch(halves, row);
    }
    return ids;
  }
  const column = batch.columns[source.eventId]!;
  const nullRow = column.validity?.indexOf(0) ?? -1;
  if (nullRow >= 0) {
    throw new SamewiseError('model/null-event-id', 'the event id is null', {
      where: { source: source.name, column: source.eventId, row: nullRow },
      hint: 'filter such rows out, or leave eventId out to tell events apart by their content',
    });
  }
  switch (column.kind) {
    case 'int64':
      ids.set(column.data);
      break;
    case 'int32':
    case 'date':
    case 'timestamp':
      for (let row = 0; row < batch.length; row++) {
        const value = column.data[row]!;
        halves[2 * row] = value;
        halves[2 * row + 1] = Math.floor(value / 4294967296);
      }
      break;
    case 'string':
      for (let row = 0; row < batch.length; row++) {
        scratchLength = 0;
        writeText(column.data[row]!);
        hashScratch(halves, row);
      }
      break;
    case 'bytes':
      for (let row = 0; row < batch.length; row++) {
        scratchLength = 0;
        writeBytes(column.data[row]!);
        hashScratch(halves, row);
      }
      break;
    default:
      throw new SamewiseError('model/bad-event-id', `a ${column.kind} cannot be an event id`, {
        where: { source: source.name, column: source.eventId },
      });
  }
  return ids;
}

// One row's canonical bytes, reused from row to row: an allocation per row would cost more than the hash.
let scratch = new Uint8Array(1024);
let scratchView = new DataView(scratch.buffer);
let scratchLength = 0;
const utf8 = new TextEncoder();

function room(count: number): number {
  const at = scratchLength;
  scratchLength += count;
  if (scratchLength > scratch.length) {
    const grown = new Uint8Array(Math.max(scratchLength, scratch.length * 2));
    grown.set(scratch.subarray(0, at));
    scratch = grown;
    scratchView = new DataView(scratch.buffer);
  }
  return at;
}

function hashScratch(halves: Int32Array, row: number): void {
  const [hi, lo] = murmur3Words(scratch.subarray(0, scratchLength));
  halves[2 * row] = lo;
  halves[2 * row + 1] = hi;
}

/**
 * A byte that says null or not, then the value; variable lengths come first, so no two rows share their bytes.
 * Floats are written + 0, because −0 is 0.
 */
function writeCell(column: Column, row: number): void {
  const isNull = column.validity !== null && column.validity[row] === 0;
  scratch[room(1)] = isNull ? 0 : 1;
  if (isNull) return;
  switch (column.kind) {
    case 'bool':
      scratch[room(1)] = column.data[row]!;
      break;
    case 'int32':
    case 'date':
      scratchView.setInt32(room(4), column.data[row]!, true);
      break;
    case 'int64':
      scratchView.setBigInt64(room(8), column.data[row]!, true);
      break;
    case 'float32':
      scratchView.setFloat32(room(4), column.data[row]! + 0, true);
      break;
    case 'float64':
    case 'timestamp':
      scratchView.setFloat64(room(8), column.data[row]! + 0, true);
      break;
    case 'string': {
      const at = room(4);
      writeText(column.data[row]!);
      scratchView.setUint32(at, scratchLength - at - 4, true);
      break;
    }
    case 'bytes':
      scratchView.setUint32(room(4), column.data[row]!.length, true);
      writeBytes(column.data[row]!);
      break;
    case 'list': {
      const from = column.offsets[row]!;
      const to = column.offsets[row + 1]!;
      scratchView.setUint32(room(4), to - from, true);
      for (let i = from; i < to; i++) writeCell(column.data, i);
      break;
    }
    case 'vector': {
      const { size } = column.dtype;
      for (let i = row * size; i < (row + 1) * size; i++)
        scratchView.setFloat32(room(4), column.data[i]! + 0, true);
      break;
    }
  }
}

function writeBytes(bytes: Uint8Array): void {
  const at = room(bytes.length);
  scratch.set(bytes, at);
}

/** UTF-8; ASCII, which most ids are, without a call into the engine. */
function writeText(text: string): void {
  const at = room(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 128) {
      scratchLength = at;
      return writeBytes(utf8.encode(text));
    }
    scratch[at + i] = unit;
  }
}
