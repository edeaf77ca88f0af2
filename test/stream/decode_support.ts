/** Sources, records and random rows for the tests of decoding. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { DEFAULT_STREAM, type Source, type StreamLocation } from '../../src/model/index.ts';
import type { LogRecord } from '../../src/stream/contract.ts';
import type { Decoded, DecodedRow } from '../../src/stream/decode/contract.ts';
import type { SchemaRegistry } from '../../src/stream/decode/registry.ts';
import type { Schema } from '../../src/types/batch.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import { coerce, type Scalar, sameScalar, scalarToJsonText } from '../../src/types/scalar.ts';
import { anyDtype, nullableOf } from '../types/arbitraries.ts';

export function sourceOf(
  columns: Schema,
  options: Partial<Omit<Source, 'stream'>> & { readonly stream?: Partial<StreamLocation> } = {},
): Source {
  return {
    kind: 'source',
    name: 'events',
    description: '',
    owner: '',
    tags: {},
    columns,
    eventTime: 'at',
    eventId: null,
    lookups: [],
    arrivalTime: null,
    op: null,
    mutable: false,
    latenessUs: 0,
    batch: null,
    ...options,
    stream: { ...DEFAULT_STREAM, ...options.stream },
  };
}

const utf8 = new TextEncoder();

export function bytesOf(content: string | Uint8Array | null): Uint8Array | null {
  return typeof content === 'string' ? utf8.encode(content) : content;
}

export function recordOf(
  value: string | Uint8Array | null,
  options: {
    readonly key?: string | Uint8Array;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): LogRecord {
  return {
    position: 7n,
    timestampUs: 0,
    key: bytesOf(options.key ?? null),
    value: bytesOf(value),
    headers: new Map(
      Object.entries(options.headers ?? {}).map(([name, text]) => [name, utf8.encode(text)]),
    ),
  };
}

/** The row that a record was decoded to. */
export function rowOf(decoded: Decoded): DecodedRow {
  if (decoded instanceof SamewiseError) throw decoded;
  assert.ok(decoded !== null, 'a row, not nothing');
  return decoded;
}

/** The code of the error that a record was decoded to, with its column. */
export function codeOf(decoded: Decoded): string {
  assert.ok(decoded instanceof SamewiseError, `an error, not ${JSON.stringify(decoded)}`);
  return decoded.where.column === undefined
    ? decoded.code
    : `${decoded.code} ${decoded.where.column}`;
}

export type Row = Readonly<Record<string, Scalar | null>>;

/** Names that every object has are names of columns as well. */
const NAMES = ['a', 'at', 'constructor', 'toString', 'valueOf', 'b_2', 'id'];

/** Random columns, of which `supported` are, and rows of them. */
export function tables(
  supported: (dtype: Dtype) => boolean = () => true,
): fc.Arbitrary<{ columns: Schema; rows: Row[] }> {
  return fc
    .uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 })
    .chain((names) =>
      fc.tuple(
        ...names.map((name) => anyDtype.filter(supported).map((dtype) => ({ name, dtype }))),
      ),
    )
    .chain((columns) =>
      fc.record({
        columns: fc.constant(columns),
        rows: fc.array(
          fc.record(
            Object.fromEntries(columns.map(({ name, dtype }) => [name, nullableOf(dtype)])),
            { noNullPrototype: true },
          ),
          { maxLength: 5 },
        ),
      }),
    );
}

/** That values decoded are, coerced, the row that was encoded. */
export function assertSameRow(
  columns: Schema,
  values: Readonly<Record<string, unknown>>,
  row: Row,
): void {
  for (const { name, dtype } of columns) {
    const value = coerce(values[name], dtype, { column: name });
    assert.ok(
      sameScalar(value, row[name]!),
      `${name}: ${scalarToJsonText(value, dtype)} is not ${scalarToJsonText(row[name]!, dtype)}`,
    );
  }
}

export function jsonTextOf(columns: Schema, row: Row): string {
  const fields = columns.map(
    ({ name, dtype }) => `${JSON.stringify(name)}:${scalarToJsonText(row[name]!, dtype)}`,
  );
  return `{${fields.join(',')}}`;
}

/** A value as it is written through a schema registry. */
export function framed(id: number, value: Uint8Array): Uint8Array {
  return new Uint8Array([0, id >>> 24, id >>> 16, id >>> 8, id, ...value]);
}

/** A registry of these schemas, numbered from 1. */
export function registryOf(
  schemas: readonly (object | string)[],
  type: 'AVRO' | 'PROTOBUF' = 'AVRO',
): SchemaRegistry {
  return {
    async schema(id) {
      const schema = schemas[id - 1];
      if (schema === undefined) return null;
      const text = typeof schema === 'string' ? schema : JSON.stringify(schema);
      return { id, type, text, references: [] };
    },
  };
}
