/**
 * Change events of tables, as Debezium writes them: envelopes with what a row was and is, in JSON with or without its schema,
 * or in Avro. An insert, a snapshot's read and an update are upserts; a delete takes away the row whose id the record's key
 * names. The tombstone after a delete says nothing more, and a primary key that changed is a delete and an insert.
 */
import { SamewiseError } from '../../base/errors.ts';
import type { Source } from '../../model/definitions.ts';
import type { LogRecord } from '../contract.ts';
import { avroTypeOf, idReader, readWhole, rowReader } from './avro.ts';
import { anyReader, type Reader, recordReader } from './avro_read.ts';
import type { AvroRecord, AvroType } from './avro_schema.ts';
import type { DecodedRow, Decoder } from './contract.ts';
import { Cursor } from './cursor.ts';
import { changedValue, checkAvailable, type Meanings, meaningsOf } from './debezium_values.ts';
import { ColumnTypes, type SchemaChange, Schemas } from './framed.ts';
import {
  isObject,
  type JsonColumn,
  type JsonObject,
  jsonColumns,
  objectOf,
  own,
  readJson,
} from './json_values.ts';
import { decodeEach, textOf } from './records.ts';
import type { SchemaRegistry } from './registry.ts';

type Values = Record<string, unknown>;

/** An envelope as far as it is needed; its rows are read already. */
interface Envelope {
  readonly op: unknown;
  /** What the row is; null: nothing. */
  readonly after: () => Values | null;
  /** Its id, as the row was; undefined: it does not say. */
  readonly idBefore: () => unknown;
  readonly idOfKey: () => unknown;
}

export function debeziumDecoder(
  source: Source,
  maxBytes: number,
  registry: SchemaRegistry | null,
  onSchemaChange: (change: SchemaChange) => void,
): Decoder {
  const columns = jsonColumns(source);
  const id = columns.find(({ name }) => name === source.eventId);
  const types = new ColumnTypes(source, onSchemaChange);
  const envelopes = new Schemas(registry, (schema) =>
    envelopeReader(source, avroTypeOf(schema), types, schema.id),
  );
  const keys = new Schemas(registry, (schema) => idReader(source, avroTypeOf(schema)));
  const cursor = new Cursor();

  const idOfKey = (key: Uint8Array | null): unknown => {
    if (key === null || id === undefined) return undefined;
    if (key[0] === 0) return readWhole(cursor, key, keys.of(key))[id.name];
    return readJson(textOf(key), (value, exact) => {
      const { payload, schema } = unwrapped(value);
      return isObject(payload)
        ? idIn(id, payload, schema === null ? null : meaningsOf(schema.fields), exact)
        : undefined;
    });
  };

  const decode = ({ key, value }: LogRecord): DecodedRow | null => {
    if (value === null) return null;
    if (value[0] === 0) {
      const read = envelopes.of(value);
      if (read === null) return null;
      const envelope = readWhole(cursor, value, read);
      return rowOf(source, {
        op: envelope.op,
        after: () => {
          const after = (envelope.after ?? null) as Values | null;
          if (after !== null)
            for (const column of columns) checkAvailable(after[column.name], column.name);
          return after;
        },
        idBefore: () => id && (envelope.before as Values | null | undefined)?.[id.name],
        idOfKey: () => idOfKey(key),
      });
    }
    return readJson(textOf(value), (parsed, exact) => {
      const { payload, schema } = unwrapped(parsed);
      if (payload === null || isBookkeeping(objectOf(payload))) return null;
      const { op, before, after } = payload as JsonObject;
      const meanings = (name: string) => {
        const all = schema?.fields;
        const fields = Array.isArray(all)
          ? (all as (JsonObject | null)[]).find((field) => field?.field === name)
          : undefined;
        return fields === undefined || fields === null ? null : meaningsOf(fields.fields);
      };
      return rowOf(source, {
        op,
        after: () =>
          isObject(after) ? pickChanged(columns, after, meanings('after'), exact) : null,
        idBefore: () =>
          id && isObject(before) ? idIn(id, before, meanings('before'), exact) : undefined,
        idOfKey: () => idOfKey(key),
      });
    });
  };

  return {
    async decode(records) {
      await envelopes.ready(records.map(({ value }) => value));
      await keys.ready(records.map(({ key, value }) => (value === null ? null : key)));
      return decodeEach(source, records, maxBytes, decode);
    },
  };
}

/** What an envelope does to the source. */
function rowOf(source: Source, envelope: Envelope): DecodedRow | null {
  const { op } = envelope;
  switch (op) {
    case 'c':
    case 'r':
    case 'u': {
      if (op === 'u') checkMutable(source, 'updated');
      const values = envelope.after();
      if (values === null)
        throw new SamewiseError(
          'stream/bad-envelope',
          `a change of op ${op} does not say what the row is`,
        );
      return { op: 'upsert', values };
    }
    case 'd': {
      checkMutable(source, 'deleted');
      const id = envelope.idOfKey() ?? envelope.idBefore();
      if (id === undefined || id === null) {
        throw new SamewiseError(
          'stream/no-row-id',
          `neither the record’s key nor the row before its delete says ${source.eventId}`,
          { hint: 'make the event id a column of the primary key, or set REPLICA IDENTITY FULL' },
        );
      }
      return { op: 'retract', values: { [source.eventId!]: id } };
    }
    // A message that a program wrote into the database's log: no row.
    case 'm':
      return null;
    case 't':
      throw new SamewiseError(
        'stream/table-truncated',
        'the table was truncated, which takes away no row by name',
        {
          hint: 'materialize from the table’s new content',
        },
      );
    default:
      throw new SamewiseError(
        'stream/bad-envelope',
        op === undefined
          ? 'the value is no envelope of Debezium: it has no op'
          : `${JSON.stringify(op)} is no op of Debezium`,
        { hint: 'for rows that a transform has unwrapped, declare the format json or avro' },
      );
  }
}

function checkMutable(source: Source, what: string): void {
  if (source.mutable) return;
  throw new SamewiseError(
    'stream/not-mutable',
    `a row was ${what}, but the source is append-only`,
    {
      hint: 'declare the source mutable, with the primary key as its event id',
    },
  );
}

/** JSON with its schema is `{ schema, payload }`. */
function unwrapped(value: unknown): { payload: unknown; schema: JsonObject | null } {
  return isObject(value) && 'payload' in value && isObject(value.schema)
    ? { payload: value.payload, schema: value.schema }
    : { payload: value, schema: null };
}

/** Heartbeats, the bounds of transactions, and changes of the schema: they tell of no row. */
function isBookkeeping(payload: JsonObject): boolean {
  if (payload.op !== undefined) return false;
  const isHeartbeat = Object.keys(payload).every(
    (name) => name === 'ts_ms' || name === 'ts_us' || name === 'ts_ns',
  );
  const isTransaction = payload.status === 'BEGIN' || payload.status === 'END';
  return (
    (isHeartbeat && payload.ts_ms !== undefined) ||
    isTransaction ||
    payload.tableChanges !== undefined
  );
}

function pickChanged(
  columns: readonly JsonColumn[],
  row: JsonObject,
  meanings: Meanings | null,
  exact: boolean,
): Values {
  const values: Values = {};
  for (const column of columns) {
    const value = own(column, row);
    if (value !== undefined) values[column.name] = changedValue(column, value, meanings, exact);
  }
  return values;
}

function idIn(id: JsonColumn, row: JsonObject, meanings: Meanings | null, exact: boolean): unknown {
  const value = own(id, row);
  return value === undefined ? undefined : changedValue(id, value, meanings, exact);
}

/** Reads an envelope of Avro: its op, what the row is, and the id that it had. Null: it is bookkeeping. */
function envelopeReader(
  source: Source,
  type: AvroType,
  types: ColumnTypes,
  schemaId: number,
): Reader<Values> | null {
  const record = type.type === 'record' ? type : null;
  const field = (name: string) => record?.fields.find((one) => one.name === name)?.type;
  const op = field('op');
  const rows = rowType(field('after'));
  if (record === null || op === undefined || rows === null) {
    if (record !== null && (field('ts_ms') || field('status') || field('tableChanges')))
      return null;
    throw new SamewiseError(
      'stream/bad-envelope',
      `schema ${schemaId} is no envelope of Debezium`,
      {
        hint: 'for rows that a transform has unwrapped, declare the format json or avro',
      },
    );
  }
  const readers = new Map<string, Reader | null>(record.fields.map(({ name }) => [name, null]));
  readers.set('op', anyReader(op));
  readers.set(
    'after',
    branchReader(field('after')!, rowReader(source, rows, types, schemaId, true)),
  );
  const before = field('before');
  const rowBefore = rowType(before);
  if (rowBefore !== null) readers.set('before', branchReader(before!, idReader(source, rowBefore)));
  return recordReader(record, readers);
}

/** The record of a row that may be null. */
function rowType(type: AvroType | undefined): AvroRecord | null {
  if (type?.type === 'record') return type;
  const branches = type?.type === 'union' ? type.branches : [];
  return (branches.find((branch) => branch.type === 'record') as AvroRecord | undefined) ?? null;
}

/** Reads the record of a union by `read`, and null otherwise. */
function branchReader(type: AvroType, read: Reader): Reader {
  if (type.type !== 'union') return read;
  const indexes = anyReader({ type: 'long', meaning: null });
  return (cursor) => {
    const branch = type.branches[Number(indexes(cursor))]?.type;
    if (branch === undefined)
      throw new SamewiseError('stream/bad-avro', 'a union has no such branch');
    return branch === 'record' ? read(cursor) : null;
  };
}
