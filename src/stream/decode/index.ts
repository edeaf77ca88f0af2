/** From the bytes of records and of pushed bodies to rows. */
import type { Source } from '../../model/definitions.ts';
import { avroDecoder } from './avro.ts';
import type { Decoder } from './contract.ts';
import { debeziumDecoder } from './debezium.ts';
import type { SchemaChange } from './framed.ts';
import { jsonDecoder } from './json.ts';
import { MAX_RECORD_BYTES } from './limits.ts';
import { protobufDecoder } from './protobuf.ts';
import type { SchemaRegistry } from './registry.ts';

export { rowsOfBody } from './body.ts';
export type { Decoded, DecodedColumns, DecodedRow, Decoder } from './contract.ts';
export type { ColumnChange, SchemaChange } from './framed.ts';
export { type BodyLimits, MAX_BODY_ROWS, MAX_RECORD_BYTES } from './limits.ts';
export { OP_FIELD, OP_HEADER } from './records.ts';
export { type RegistryOptions, type SchemaRegistry, schemaRegistry } from './registry.ts';

/** What decoding needs beside the source. */
export interface DecoderOptions {
  /** Where the schemas of Avro and Protobuf are; null: there is none. */
  readonly registry?: SchemaRegistry | null;
  /** Told once for each schema from which the source can no longer be read. */
  readonly onSchemaChange?: (change: SchemaChange) => void;
  /** A record whose value has more bytes is `stream/oversize`; 1 MiB by default. */
  readonly maxBytes?: number;
}

/** The decoder of a source's records, by its stream's format. */
export function decoderFor(source: Source, options: DecoderOptions = {}): Decoder {
  const maxBytes = options.maxBytes ?? MAX_RECORD_BYTES;
  const { registry = null, onSchemaChange = () => {} } = options;
  switch (source.stream.format) {
    case 'json':
      return jsonDecoder(source, maxBytes);
    case 'avro':
      return avroDecoder(source, maxBytes, registry, onSchemaChange);
    case 'debezium':
      return debeziumDecoder(source, maxBytes, registry, onSchemaChange);
    case 'protobuf':
      return protobufDecoder(source, maxBytes, registry, onSchemaChange);
  }
}
