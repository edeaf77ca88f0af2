/** Records of Avro, written through a schema registry: columns are the fields of their names. */

import { SamewiseError } from '../../base/errors.ts';
import type { Source } from '../../model/definitions.ts';
import { string } from '../../types/dtype.ts';
import type { LogRecord } from '../contract.ts';
import { avroReader, type Reader, recordReader } from './avro_read.ts';
import {
  type AvroNames,
  type AvroRecord,
  type AvroType,
  parseAvroSchema,
  printAvro,
} from './avro_schema.ts';
import type { DecodedRow, Decoder } from './contract.ts';
import { Cursor } from './cursor.ts';
import { ColumnTypes, FRAME_BYTES, type SchemaChange, Schemas } from './framed.ts';
import { jsonTombstone } from './json.ts';
import { jsonColumns } from './json_values.ts';
import { decodeEach, OP_FIELD, operationOf } from './records.ts';
import type { RegisteredSchema, SchemaRegistry } from './registry.ts';

type Values = Record<string, unknown>;

export function avroDecoder(
  source: Source,
  maxBytes: number,
  registry: SchemaRegistry | null,
  onSchemaChange: (change: SchemaChange) => void,
): Decoder {
  const types = new ColumnTypes(source, onSchemaChange);
  const rows = new Schemas(registry, (schema) => {
    const record = recordOf(schema);
    return rowReader(source, record, types, schema.id);
  });
  const keys = new Schemas(registry, (schema) => idReader(source, avroTypeOf(schema)));
  const columns = jsonColumns(source);
  const cursor = new Cursor();
  const decode = (record: LogRecord): DecodedRow | null => {
    if (record.value === null) {
      if (!source.mutable || record.key?.[0] !== 0) return jsonTombstone(source, columns, record);
      const id = readWhole(cursor, record.key, keys.of(record.key))[source.eventId!];
      return id === undefined || id === null
        ? null
        : { op: 'retract', values: { [source.eventId!]: id } };
    }
    const values = readWhole(cursor, record.value, rows.of(record.value));
    const field = values[OP_FIELD];
    if (field !== undefined) delete values[OP_FIELD];
    return { op: operationOf(source, record, field, values), values };
  };
  return {
    async decode(records) {
      await rows.ready(records.map(({ value }) => value));
      if (source.mutable)
        await keys.ready(records.map(({ key, value }) => (value === null ? key : null)));
      return decodeEach(source, records, maxBytes, decode);
    },
  };
}

/** Reads a framed value to its end. */
export function readWhole(cursor: Cursor, framed: Uint8Array, read: Reader<Values>): Values {
  cursor.reset(framed, FRAME_BYTES);
  const values = read(cursor);
  if (cursor.at !== cursor.end)
    throw new SamewiseError('stream/bad-avro', 'the record goes on after its last value');
  return values;
}

/** The type of a registered schema. Throws `stream/bad-schema`. */
export function avroTypeOf(schema: RegisteredSchema): AvroType {
  if (schema.type !== 'AVRO')
    throw new SamewiseError(
      'stream/bad-schema',
      `schema ${schema.id} is of ${schema.type}, not Avro`,
    );
  const names: AvroNames = new Map();
  for (const { text } of schema.references) parseAvroSchema(text, names);
  return parseAvroSchema(schema.text, names);
}

function recordOf(schema: RegisteredSchema): AvroRecord {
  const type = avroTypeOf(schema);
  if (type.type === 'record') return type;
  throw new SamewiseError(
    'stream/bad-schema',
    `schema ${schema.id} is ${printAvro(type)}, not a record`,
  );
}

/** Reads the source's columns of a record; all that are needed must be there and fit. `textNumbers` as for `avroReader`. */
export function rowReader(
  source: Source,
  record: AvroRecord,
  types: ColumnTypes,
  schemaId: number,
  textNumbers = false,
): Reader<Values> {
  const readers = columnReaders(source, record, textNumbers);
  types.accept(
    schemaId,
    new Map(
      record.fields.map(({ name, type }) => [
        name,
        { is: printAvro(type), fits: (readers.get(name) ?? null) !== null },
      ]),
    ),
  );
  return recordReader(record, readers);
}

/** By field: how it is read; null: it is not wanted, or does not fit. */
export function columnReaders(
  source: Source,
  record: AvroRecord,
  textNumbers: boolean,
): Map<string, Reader | null> {
  const dtypes = new Map(source.columns.map(({ name, dtype }) => [name, dtype]));
  if (!dtypes.has(OP_FIELD)) dtypes.set(OP_FIELD, string);
  return new Map(
    record.fields.map(({ name, type }) => {
      const dtype = dtypes.get(name);
      return [name, dtype === undefined ? null : avroReader(type, dtype, textNumbers)];
    }),
  );
}

/** Reads a key: the id's column if it has one, and nothing else. */
export function idReader(source: Source, type: AvroType): Reader<Values> {
  if (type.type !== 'record')
    return recordReader(
      { type: 'record', name: '', fields: [{ name: '', type }], meaning: null },
      new Map([['', null]]),
    );
  const readers = columnReaders(source, type, true);
  return recordReader(
    type,
    new Map([...readers].map(([name, read]) => [name, name === source.eventId ? read : null])),
  );
}
