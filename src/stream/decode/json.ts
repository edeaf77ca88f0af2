/** Records whose value is a JSON object: the columns are its fields, whole numbers are exact, other fields are passed by. */
import type { Source } from '../../model/definitions.ts';
import type { LogRecord } from '../contract.ts';
import type { DecodedRow, Decoder } from './contract.ts';
import { plainReader } from './json_columns.ts';
import {
  columnValue,
  isObject,
  type JsonColumn,
  jsonColumns,
  objectOf,
  own,
  pick,
  readJson,
} from './json_values.ts';
import { decodeEach, OP_FIELD, operationOf, textOf } from './records.ts';

/** Bytes before a JSON value that was written through a schema registry: 0 and the schema's id. */
const FRAME_BYTES = 5;

export function jsonDecoder(source: Source, maxBytes: number): Decoder {
  const columns = jsonColumns(source);
  const decode = (record: LogRecord): DecodedRow | null => {
    if (record.value === null) return jsonTombstone(source, columns, record);
    return readJson(textOf(unframed(record.value)), (value, exact) => {
      const object = objectOf(value);
      const values = pick(columns, object, exact);
      return { op: operationOf(source, record, object[OP_FIELD], values), values };
    });
  };
  const decodeAll = (records: readonly LogRecord[]) =>
    decodeEach(source, records, maxBytes, decode);
  const all: Decoder = { decode: async (records) => decodeAll(records) };
  const plain = plainReader(source, maxBytes);
  if (plain === null) return all;
  return {
    ...all,
    columns: async (records) => {
      const { columns, left } = plain(records);
      const decoded = decodeAll(left.map((i) => records[i]!));
      return { columns, others: new Map(left.map((i, k) => [i, decoded[k]!])) };
    },
  };
}

/** A text never begins with a zero byte. */
function unframed(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0 ? bytes.subarray(FRAME_BYTES) : bytes;
}

/**
 * What a record without a value says: of a mutable source, that the row is gone whose id the key names (a JSON object
 * with the id's column). Otherwise nothing.
 */
export function jsonTombstone(
  source: Source,
  columns: readonly JsonColumn[],
  record: LogRecord,
): DecodedRow | null {
  const id = columns.find(({ name }) => name === source.eventId);
  if (!source.mutable || id === undefined || record.key === null) return null;
  // A key that is anything else names no id.
  if (unframed(record.key)[0] !== 0x7b) return null;
  return readJson(textOf(unframed(record.key)), (key, exact) => {
    const value = isObject(key) ? own(id, key) : undefined;
    if (value === undefined || value === null) return null;
    return { op: 'retract', values: { [id.name]: columnValue(id, value, exact) } };
  });
}
