/** How scalars are written into an aggregate's encoded state: one way for one value. */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';

/** An integer up to 2^52 in size as a varint: 0, −1, 1, −2, … */
export function writeSigned(writer: ByteWriter, value: number): void {
  writer.varint(value < 0 ? -2 * value - 1 : 2 * value);
}

export function readSigned(reader: ByteReader): number {
  const code = reader.varint();
  return code % 2 === 0 ? code / 2 : -(code + 1) / 2;
}

export function writeScalar(writer: ByteWriter, value: Scalar, dtype: Dtype): void {
  switch (dtype.kind) {
    case 'bool':
      return writer.u8(value === true ? 1 : 0);
    case 'int32':
    case 'date':
      return writer.i32(value as number);
    case 'int64':
      return writer.i64(value as bigint);
    case 'float32':
    case 'float64':
    case 'timestamp':
      return writer.f64((value as number) + 0);
    case 'string':
      return writer.string(value as string);
    case 'bytes':
      return writer.bytes(value as Uint8Array);
    case 'list': {
      const items = value as readonly (Scalar | null)[];
      writer.varint(items.length);
      for (const item of items) writeNullable(writer, item, dtype.of);
      return;
    }
    case 'vector':
      for (const x of value as Float32Array) writer.f64(x + 0);
  }
}

export function readScalar(reader: ByteReader, dtype: Dtype): Scalar {
  switch (dtype.kind) {
    case 'bool':
      return reader.u8() === 1;
    case 'int32':
    case 'date':
      return reader.i32();
    case 'int64':
      return reader.i64();
    case 'float32':
    case 'float64':
    case 'timestamp':
      return reader.f64();
    case 'string':
      return reader.string();
    case 'bytes':
      return reader.bytesValue().slice();
    case 'list':
      return Array.from({ length: reader.varint() }, () => readNullable(reader, dtype.of));
    case 'vector':
      return Float32Array.from({ length: dtype.size }, () => reader.f64());
  }
}

/** A byte that says whether there is a value, and the value. */
export function writeNullable(writer: ByteWriter, value: Scalar | null, dtype: Dtype): void {
  writer.u8(value === null ? 0 : 1);
  if (value !== null) writeScalar(writer, value, dtype);
}

export function readNullable(reader: ByteReader, dtype: Dtype): Scalar | null {
  return reader.u8() === 0 ? null : readScalar(reader, dtype);
}
