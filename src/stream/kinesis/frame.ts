/**
 * What a Kinesis record holds of one of ours. Kinesis knows a text key of 256 characters at most, and bytes; so a record with
 * a text key, a value and nothing else is put as it is, which other readers and writers of the stream expect, and anything
 * more goes into a frame of the bytes: a mark that no UTF-8 text begins with, what there is, key, headers, value.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { hash64 } from '../../base/hash.ts';
import type { LogRecord, NewRecord } from '../contract.ts';

/** What is put. */
export interface KinesisEntry {
  readonly PartitionKey: string;
  readonly Data: Uint8Array;
}

const MARK = Uint8Array.of(0xff, 0x53, 0x57, 0x31);
const HAS_KEY = 1;
const HAS_VALUE = 2;
const MAX_KEY_CHARACTERS = 256;
const NO_HEADERS: ReadonlyMap<string, Uint8Array> = new Map();

/** `spread` decides where a record without a key goes. */
export function toEntry({ key, value, headers }: NewRecord, spread: number): KinesisEntry {
  const text = key && textKey(key);
  if (text && value !== null && !headers?.size && !isFramed(value))
    return { PartitionKey: text, Data: value };
  const writer = new ByteWriter();
  writer.raw(MARK);
  writer.u8((key === null ? 0 : HAS_KEY) | (value === null ? 0 : HAS_VALUE));
  if (key !== null) writer.bytes(key);
  writer.varint(headers?.size ?? 0);
  for (const [name, content] of headers ?? []) {
    writer.string(name);
    writer.bytes(content);
  }
  if (value !== null) writer.raw(value);
  const short = text ?? (key === null ? String(spread) : hash64(key).toString(16));
  return { PartitionKey: short, Data: writer.finish() };
}

/** The text of a key that Kinesis can have as it is; null for others. */
function textKey(key: Uint8Array): string | null {
  if (key.length === 0 || key.length > 4 * MAX_KEY_CHARACTERS) return null;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(key);
    return text.length <= MAX_KEY_CHARACTERS ? text : null;
  } catch {
    return null;
  }
}

function isFramed(data: Uint8Array): boolean {
  return data.length > MARK.length && MARK.every((byte, i) => data[i] === byte);
}

/** What a record's key, value and headers were. A frame that is cut short is somebody else's bytes. */
export function fromEntry({
  PartitionKey,
  Data,
}: KinesisEntry): Pick<LogRecord, 'key' | 'value' | 'headers'> {
  const plain = { key: new TextEncoder().encode(PartitionKey), value: Data, headers: NO_HEADERS };
  if (!isFramed(Data)) return plain;
  try {
    const reader = new ByteReader(Data, MARK.length);
    const has = reader.u8();
    const key = has & HAS_KEY ? reader.bytesValue().slice() : null;
    const headers = new Map<string, Uint8Array>();
    for (let left = reader.varint(); left > 0; left--)
      headers.set(reader.string(), reader.bytesValue().slice());
    return { key, headers, value: has & HAS_VALUE ? Data.slice(reader.offset) : null };
  } catch {
    return plain;
  }
}
