/** The protocols' real clients, and what a client does to make columns of values and values of columns. */
import { create } from '@bufbuild/protobuf';
import { createClient, type Transport } from '@connectrpc/connect';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { parseDate, parseInstant } from '../../../src/base/time.ts';
import { FeatureService } from '../../../src/serving/grpc/gen/samewise/v1/features_pb.ts';
import {
  type Column,
  ColumnSchema,
  Kind,
  Status,
} from '../../../src/serving/grpc/gen/samewise/v1/values_pb.ts';
import { type Dtype, parseDtype } from '../../../src/types/dtype.ts';
import type { Scalar } from '../../../src/types/scalar.ts';

/** Every way to call, over both versions of HTTP, in both formats. */
export function transports(baseUrl: string): Record<string, Transport> {
  const h1 = { baseUrl, httpVersion: '1.1' } as const;
  const h2 = { baseUrl, httpVersion: '2' } as const;
  const json = { useBinaryFormat: false };
  return {
    grpc: createGrpcTransport({ baseUrl }),
    'grpc, compressed': createGrpcTransport({ baseUrl, ...COMPRESSED }),
    'grpc, JSON': createGrpcTransport({ baseUrl, ...json }),
    'grpc-web, HTTP/1.1': createGrpcWebTransport(h1),
    'grpc-web, HTTP/2': createGrpcWebTransport(h2),
    'connect, HTTP/1.1': createConnectTransport({ ...h1, useBinaryFormat: true }),
    'connect, HTTP/2': createConnectTransport({ ...h2, useBinaryFormat: true }),
    'connect, GET': createConnectTransport({ ...h1, useHttpGet: true }),
    'connect, JSON': createConnectTransport({ ...h1, ...json }),
  };
}
const COMPRESSED = { compressMinBytes: 0, sendCompression: compressionGzip };

export const featureClient = (transport: Transport) => createClient(FeatureService, transport);

/** Rows of JSON values as columns; of an entity that lacks a field, all lack it. */
export function columnsOf(
  rows: readonly Readonly<Record<string, unknown>>[],
  types: Readonly<Record<string, string>>,
): Column[] {
  return Object.keys(rows[0]!).map((name) =>
    columnOf(
      name,
      rows.map((row) => row[name] ?? null),
      parseDtype(types[name] ?? 'string'),
    ),
  );
}

/** JSON values as a column. What is not of the type is sent as what it is. */
function columnOf(name: string, values: readonly unknown[], dtype: Dtype): Column {
  const nulls = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, row) => {
    if (value === null) nulls[row >> 3]! |= 1 << (row & 7);
  });
  const column = create(ColumnSchema, { name, nulls });
  const fill = <T>(empty: T, of: (value: any) => T) =>
    values.map((value) => (value === null ? empty : of(value)));
  const known = values.find((value) => value !== null);
  if (dtype.kind === 'int64' && typeof known === 'string' && !/^-?\d+$/.test(known))
    column.strings = fill('', String);
  else if (dtype.kind === 'int64' && values.some((value) => !Number.isInteger(Number(value))))
    column.doubles = fill(0, Number);
  else
    switch (dtype.kind) {
      case 'bool':
        column.bools = fill(false, Boolean);
        break;
      case 'int32':
        column.ints = fill(0, Number);
        break;
      case 'date':
        column.ints = fill(0, parseDate);
        break;
      case 'int64':
        column.longs = fill(0n, BigInt);
        break;
      case 'timestamp':
        column.longs = fill(0n, (text) => BigInt(parseInstant(text)));
        break;
      case 'float32':
        column.floats = fill(0, Number);
        break;
      case 'float64':
        column.doubles = fill(0, Number);
        break;
      case 'bytes':
        column.blobs = fill(new Uint8Array(), (text) => Uint8Array.fromBase64(text));
        break;
      default:
        column.strings = fill('', String);
    }
  return column;
}

/** The type of a column, as definitions print it. */
export function typeOf({ kind, size, items }: Column): string {
  if (kind === Kind.LIST) return `list(${typeOf(items!)})`;
  if (kind === Kind.VECTOR) return `vector(${size})`;
  return Object.entries(Kind)
    .find(([, each]) => each === kind)![0]
    .toLowerCase();
}

/** The values of a column. */
export function valuesOf(column: Column): (Scalar | null)[] {
  const { nulls, lengths, items, floats, size } = column;
  const values = (): Scalar[] => {
    switch (column.kind) {
      case Kind.BOOL:
        return column.bools;
      case Kind.INT32:
      case Kind.DATE:
        return column.ints;
      case Kind.INT64:
        return column.longs;
      case Kind.TIMESTAMP:
        return column.longs.map(Number);
      case Kind.FLOAT32:
        return floats;
      case Kind.FLOAT64:
        return column.doubles;
      case Kind.STRING:
        return column.strings;
      case Kind.BYTES:
        return column.blobs;
      case Kind.LIST: {
        const all = valuesOf(items!);
        let at = 0;
        return lengths.map((length) => all.slice(at, (at += length)));
      }
      case Kind.VECTOR:
        return Array.from({ length: floats.length / size }, (_, row) =>
          Float32Array.from(floats.slice(row * size, (row + 1) * size)),
        );
      default:
        throw new Error(`kind ${column.kind}`);
    }
  };
  return values().map((value, row) => ((nulls[row >> 3]! >> (row & 7)) & 1 ? null : value));
}

/** The statuses of a column of so many rows, as REST calls them. */
export function statusesOf({ statuses }: Column, rows: number): string[] {
  const names = new Map<number, string>(
    Object.entries(Status).map(([name, number]) => [number, name]),
  );
  return Array.from({ length: rows }, (_, row) =>
    statuses.length === 0 ? 'PRESENT' : names.get(statuses[statuses.length === 1 ? 0 : row]!)!,
  );
}
