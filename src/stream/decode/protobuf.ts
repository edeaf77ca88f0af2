/** Records of Protobuf, written through a schema registry: after the schema's number comes the path of the message type in its file, then the message. */
import type { Type } from 'protobufjs';
import { SamewiseError } from '../../base/errors.ts';
import type { Source } from '../../model/definitions.ts';
import { string } from '../../types/dtype.ts';
import type { LogRecord } from '../contract.ts';
import type { DecodedRow, Decoder } from './contract.ts';
import { Cursor } from './cursor.ts';
import {
  ColumnTypes,
  type FoundColumn,
  FRAME_BYTES,
  type SchemaChange,
  Schemas,
} from './framed.ts';
import { jsonTombstone } from './json.ts';
import { jsonColumns } from './json_values.ts';
import { columnReader, printField, protobufReader } from './protobuf_read.ts';
import { decodeEach, OP_FIELD, operationOf } from './records.ts';
import type { SchemaRegistry } from './registry.ts';

type Read = (cursor: Cursor) => Record<string, unknown>;

/** Message types within each other, at most. */
const MAX_PATH = 32;

export function protobufDecoder(
  source: Source,
  maxBytes: number,
  registry: SchemaRegistry | null,
  onSchemaChange: (change: SchemaChange) => void,
): Decoder {
  const types = new ColumnTypes(source, onSchemaChange);
  const schemas = new Schemas(registry, async (schema) => {
    // Its parser is loaded when a schema is there to be parsed.
    const { messagesOf, parseProtoSchema } = await import('./protobuf_schema.ts');
    const { messages } = parseProtoSchema(schema);
    return messageReaders(source, schema.id, messages, messagesOf, types);
  });
  const columns = jsonColumns(source);
  const cursor = new Cursor();
  const decode = (record: LogRecord): DecodedRow | null => {
    if (record.value === null) return jsonTombstone(source, columns, record);
    const readerAt = schemas.of(record.value);
    cursor.reset(record.value, FRAME_BYTES);
    const values = readerAt(pathAt(cursor))(cursor);
    const field = values[OP_FIELD];
    if (field !== undefined) delete values[OP_FIELD];
    return { op: operationOf(source, record, field === '' ? undefined : field, values), values };
  };
  return {
    async decode(records) {
      await schemas.ready(records.map(({ value }) => value));
      return decodeEach(source, records, maxBytes, decode);
    },
  };
}

/** The path of a message type: how many steps, and each one's index; a single 0 means the first type. Zigzag numbers all. */
function pathAt(cursor: Cursor): string {
  const steps = Number(cursor.varint()) / 2;
  if (steps === 0) return '0';
  if (!Number.isInteger(steps) || steps > MAX_PATH)
    throw new SamewiseError('stream/not-framed', 'the path of the message type cannot be read');
  let path = '';
  for (let i = 0; i < steps; i++) path += `${i === 0 ? '' : '.'}${Number(cursor.varint()) / 2}`;
  return path;
}

/** Gives the reader of the message type at a path; each is made once, or is what is wrong with it. */
function messageReaders(
  source: Source,
  schemaId: number,
  messages: readonly Type[],
  messagesOf: (type: Type) => Type[],
  types: ColumnTypes,
): (path: string) => Read {
  const made = new Map<string, Read | SamewiseError>();
  return (path) => {
    let read = made.get(path);
    if (read === undefined) {
      try {
        read = rowReader(source, schemaId, messageAt(path, messages, messagesOf), types);
      } catch (error) {
        if (!(error instanceof SamewiseError)) throw error;
        read = error;
      }
      // Only paths that lead somewhere are kept, of which there are few.
      if (!(read instanceof SamewiseError) || read.code !== 'stream/unknown-message')
        made.set(path, read);
    }
    if (read instanceof SamewiseError) throw read;
    return read;
  };
}

function messageAt(
  path: string,
  messages: readonly Type[],
  messagesOf: (type: Type) => Type[],
): Type {
  let type: Type | undefined;
  for (const index of path.split('.')) {
    type = (type === undefined ? messages : messagesOf(type))[Number(index)];
    if (type === undefined)
      throw new SamewiseError(
        'stream/unknown-message',
        `the schema has no message type at ${path}`,
      );
  }
  return type!;
}

function rowReader(source: Source, schemaId: number, type: Type, types: ColumnTypes): Read {
  const { message } = source.stream;
  const name = type.fullName.slice(1);
  if (message !== null && message !== name) {
    throw new SamewiseError('stream/other-message', `the record is a ${name}, not a ${message}`, {
      hint: 'a source reads one message type; declare another source for another type',
    });
  }
  const dtypes = new Map([
    [OP_FIELD, string],
    ...source.columns.map((c) => [c.name, c.dtype] as const),
  ]);
  const wanted = new Map<number, NonNullable<ReturnType<typeof columnReader>>>();
  const found = new Map<string, FoundColumn>();
  for (const field of type.fieldsArray) {
    const dtype = dtypes.get(field.name);
    if (dtype === undefined) continue;
    const column = columnReader(field, dtype);
    found.set(field.name, { is: printField(field), fits: column !== null });
    if (column !== null) wanted.set(field.id, column);
  }
  types.accept(schemaId, found);
  return protobufReader(wanted);
}
