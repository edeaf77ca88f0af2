/**
 * Values as LMDB holds them: the format's version (1 byte), the checksum of all that follows (xxHash32, 4 bytes), then what
 * the value is. Integers are varints, times are float64.
 *
 *   chunk            topic's number, partition, position of the first record, how many, timestamp of the first, records
 *   record           key (its length + 1, or 0 for null; its bytes), value likewise, number of headers, (name, bytes) each
 *   partition state  topic's number, partition, first, next, greatest timestamp, bytes of all chunks
 *   topic            its number, number of partitions
 *
 * A chunk and a state repeat their own key, so that one in a wrong place is noticed. Records of a chunk have positions and
 * timestamps that grow by one. The golden file holds all of them: a change is a new version.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { SamewiseError, type Where } from '../../base/errors.ts';
import type { InstantUs } from '../../base/time.ts';
import { xxh32 } from '../../timeline/checksum.ts';
import type { LogRecord, NewRecord } from '../contract.ts';

const VERSION = 1;
const SEAL_BYTES = 5;

/** A topic; its number stands for it in keys. */
export interface Topic {
  readonly name: string;
  readonly id: number;
  readonly partitions: number;
}

/** What is known of a partition without looking at its chunks. */
export interface PartitionState {
  /** The first position that is kept. */
  readonly first: number;
  /** The one after the last. */
  readonly next: number;
  /** Greatest timestamp that was ever given; −∞ before the first. */
  readonly lastUs: InstantUs;
  /** Of the chunks that are kept. */
  readonly bytes: number;
}

export const EMPTY_PARTITION: PartitionState = { first: 0, next: 0, lastUs: -Infinity, bytes: 0 };

/** Records that lie together in one value. */
export interface Chunk {
  readonly first: number;
  readonly count: number;
  /** Of the first record; each after it has one more. */
  readonly timestampUs: InstantUs;
  /** At the first record that was not read. */
  readonly reader: ByteReader;
}

/** Puts version and checksum before the parts of a value. */
export function seal(parts: readonly Uint8Array[]): Uint8Array {
  let length = SEAL_BYTES;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = SEAL_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  const view = new DataView(out.buffer);
  view.setUint8(0, VERSION);
  view.setUint32(1, xxh32(view, SEAL_BYTES, length), true);
  return out;
}

/** A reader of what was sealed. Throws `stream/damaged` with its place. */
export function unseal(bytes: Uint8Array, where: Where): ByteReader {
  if (bytes.length < SEAL_BYTES) throw damagedValue('it is cut short', where);
  if (bytes[0] !== VERSION)
    throw damagedValue(`its format is ${bytes[0]}, this version reads ${VERSION}`, where);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(1, true) !== xxh32(view, SEAL_BYTES, bytes.length))
    throw damagedValue('its checksum does not match', where);
  return new ByteReader(bytes, SEAL_BYTES);
}

/** The error for a value that cannot be trusted; says which topic, partition and position are known. */
export function damagedValue(what: string, where: Where): SamewiseError {
  const { topic, partition, position } = where;
  const place = [
    topic === undefined ? 'the event log' : `topic ${topic}`,
    ...(partition === undefined ? [] : [`partition ${partition}`]),
    ...(position === undefined ? [] : [`position ${position}`]),
  ].join(', ');
  return new SamewiseError('stream/damaged', `a stored value is damaged (${place}): ${what}`, {
    where,
    hint: 'records before and after it can be read; what history has of it is not lost',
  });
}

/** The place of a partition, and of a position in it, as errors give it. */
export function placeOf({ name }: Topic, partition: number, position?: number | bigint): Where {
  return {
    topic: name,
    partition: String(partition),
    ...(position === undefined ? {} : { position: String(position) }),
  };
}

export function encodeNumber(value: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.varint(value);
  return seal([writer.peek()]);
}

export function decodeNumber(bytes: Uint8Array): number {
  return unseal(bytes, {}).varint();
}

export function encodeTopic({ id, partitions }: Topic): Uint8Array {
  const writer = new ByteWriter(16);
  writer.varint(id);
  writer.varint(partitions);
  return seal([writer.peek()]);
}

export function decodeTopic(name: string, bytes: Uint8Array): Topic {
  const reader = unseal(bytes, { topic: name });
  return { name, id: reader.varint(), partitions: reader.varint() };
}

export function encodeState(topic: Topic, partition: number, state: PartitionState): Uint8Array {
  const writer = new ByteWriter(48);
  writer.varint(topic.id);
  writer.varint(partition);
  writer.varint(state.first);
  writer.varint(state.next);
  writer.f64(state.lastUs);
  writer.varint(state.bytes);
  return seal([writer.peek()]);
}

export function decodeState(topic: Topic, partition: number, bytes: Uint8Array): PartitionState {
  const where = placeOf(topic, partition);
  const reader = unseal(bytes, where);
  if (reader.varint() !== topic.id || reader.varint() !== partition)
    throw damagedValue('it is that of another partition', where);
  return {
    first: reader.varint(),
    next: reader.varint(),
    lastUs: reader.f64(),
    bytes: reader.varint(),
  };
}

/** A chunk of records that `writeRecord` wrote, piece by piece. */
export function encodeChunk(
  topic: Topic,
  partition: number,
  { first, count, timestampUs }: Omit<Chunk, 'reader'>,
  pieces: readonly Uint8Array[],
): Uint8Array {
  const head = new ByteWriter(48);
  head.varint(topic.id);
  head.varint(partition);
  head.varint(first);
  head.varint(count);
  head.f64(timestampUs);
  return seal([head.peek(), ...pieces]);
}

/** `first`: what its key says. */
export function decodeChunk(
  topic: Topic,
  partition: number,
  first: number,
  bytes: Uint8Array,
): Chunk {
  const where = placeOf(topic, partition, first);
  const reader = unseal(bytes, where);
  if (reader.varint() !== topic.id || reader.varint() !== partition || reader.varint() !== first)
    throw damagedValue('it is that of another place', where);
  return { first, count: reader.varint(), timestampUs: reader.f64(), reader };
}

export function writeRecord(writer: ByteWriter, { key, value, headers }: NewRecord): void {
  writeNullable(writer, key);
  writeNullable(writer, value);
  if (headers === undefined) {
    writer.u8(0);
    return;
  }
  writer.varint(headers.size);
  for (const [name, bytes] of headers) {
    writer.string(name);
    writer.bytes(bytes);
  }
}

const NO_HEADERS: ReadonlyMap<string, Uint8Array> = new Map();

/** The next record of a chunk; its bytes are views of the chunk's. */
export function readRecord(
  reader: ByteReader,
  position: number,
  timestampUs: InstantUs,
): LogRecord {
  const key = readNullable(reader);
  const value = readNullable(reader);
  const count = reader.varint();
  let headers = NO_HEADERS;
  if (count > 0) {
    const read = new Map<string, Uint8Array>();
    for (let i = 0; i < count; i++) read.set(reader.string(), reader.bytesValue());
    headers = read;
  }
  return { position: BigInt(position), timestampUs, key, value, headers };
}

/** Passes by a record. */
export function skipRecord(reader: ByteReader): void {
  readNullable(reader);
  readNullable(reader);
  for (let left = reader.varint() * 2; left > 0; left--) reader.bytesValue();
}

function writeNullable(writer: ByteWriter, bytes: Uint8Array | null): void {
  if (bytes === null) {
    writer.u8(0);
    return;
  }
  writer.varint(bytes.length + 1);
  writer.raw(bytes);
}

function readNullable(reader: ByteReader): Uint8Array | null {
  const length = reader.varint();
  return length === 0 ? null : reader.raw(length - 1);
}
