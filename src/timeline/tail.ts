/** The tail of a head: what most keys do not have. Absent if there is nothing in it. */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { PageBuffer } from './page_buffer.ts';

/** An event that was retracted: what is delivered of it later changes nothing (see identity.ts). */
export interface Tombstone {
  readonly timeUs: number;
  readonly id: bigint;
  /** When the retract arrived. */
  readonly arrivalUs: number;
}

export interface Tail {
  /** Retention has dropped all rows up to and including this time, and ignores what still arrives for it; −∞: none. */
  readonly droppedUs: number;
  /** Encoded states over the dropped rows, one for each of the layout's lifetime aggregates; empty if none were dropped. */
  readonly base: readonly Uint8Array[];
  /** Sorted by (t, id). */
  readonly tombstones: readonly Tombstone[];
  /** Highest log position absorbed of each source partition: from 0, of any size. */
  readonly positions: ReadonlyMap<string, bigint>;
}

export const NO_TAIL: Tail = Object.freeze({
  droppedUs: Number.NEGATIVE_INFINITY,
  base: [],
  tombstones: [],
  positions: new Map(),
});

const writer = new ByteWriter(256);
const utf8 = new TextEncoder();
/** The names of partitions that were written last, as bytes: they are a few, and in every page. */
const names = new Map<string, Uint8Array>();
const MOST_NAMES = 1_000;

function nameBytes(partition: string): Uint8Array {
  let bytes = names.get(partition);
  if (bytes === undefined) {
    if (names.size === MOST_NAMES) names.clear();
    bytes = utf8.encode(partition);
    names.set(partition, bytes);
  }
  return bytes;
}

export function writeTail(out: PageBuffer, tail: Tail): void {
  const { droppedUs, base, tombstones, positions } = tail;
  if (droppedUs === Number.NEGATIVE_INFINITY && tombstones.length === 0 && positions.size === 0)
    return;
  writer.f64(droppedUs);
  writer.varint(base.length);
  for (const partial of base) writer.bytes(partial);
  writer.varint(tombstones.length);
  for (const { timeUs, id, arrivalUs } of tombstones) {
    writer.f64(timeUs);
    writer.i64(id);
    writer.f64(arrivalUs);
  }
  writer.varint(positions.size);
  for (const partition of [...positions.keys()].sort()) {
    writer.bytes(nameBytes(partition));
    writePosition(positions.get(partition)!);
  }
  out.raw(writer.peek());
  writer.length = 0;
}

export function readTail(bytes: Uint8Array, at: number): Tail {
  const reader = new ByteReader(bytes, at);
  const droppedUs = reader.f64();
  const base = Array.from({ length: reader.varint() }, () => reader.bytesValue().slice());
  const tombstones = Array.from({ length: reader.varint() }, () => ({
    timeUs: reader.f64(),
    id: reader.i64(),
    arrivalUs: reader.f64(),
  }));
  const positions = new Map<string, bigint>();
  for (let left = reader.varint(); left > 0; left--)
    positions.set(reader.string(), readPosition(reader));
  return { droppedUs, base, tombstones, positions };
}

/** The number of its 64-bit words, the least significant first. */
function writePosition(position: bigint): void {
  const words: bigint[] = [];
  for (let left = position; left > 0n; left >>= 64n) words.push(BigInt.asIntN(64, left));
  writer.varint(words.length);
  for (const word of words) writer.i64(word);
}

function readPosition(reader: ByteReader): bigint {
  let position = 0n;
  const words = reader.varint();
  for (let i = 0n; i < words; i++) position |= BigInt.asUintN(64, reader.i64()) << (64n * i);
  return position;
}
