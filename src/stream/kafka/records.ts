/**
 * From what a broker answers to records. Two things are not records of anybody: control batches, which end transactions,
 * and what aborted transactions wrote. Which these are is decided here, as Kafka's Java client does.
 */
import { type InstantUs, MAX_INSTANT_US } from '../../base/time.ts';
import type { PlacedValue } from '../contract.ts';
import { RECORD_BYTES, type SizedRecord } from '../delivery.ts';
import type { FetchedPartition, RawBatch } from './fetch.ts';

const TIMESTAMP_OF_LOG = 1 << 3;
const TRANSACTIONAL = 1 << 4;
const CONTROL = 1 << 5;
/** Type of the control record that ends an aborted transaction. */
const ABORT = 0;

const NO_HEADERS: ReadonlyMap<string, Uint8Array> = new Map();

/** What of a partition's answer there is to read. */
export interface Fetched {
  readonly records: readonly SizedRecord[];
  /** Where to go on: behind all that the answer held, records or not. */
  readonly position: bigint;
  /** End of what can be read: open transactions, and what is no record of anybody, lie behind it. */
  readonly next: bigint;
}

/** Reads an answer to a fetch that began at `from`, which may lie within a batch. */
export function readFetched(answer: FetchedPartition, from: bigint): Fetched {
  const records: SizedRecord[] = [];
  let position = from;
  const aborted = answer.abortedTransactions.toSorted(byFirstOffset);
  const aborting = new Set<bigint>();
  let begun = 0;
  for (const batch of answer.batches ?? []) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    for (; begun < aborted.length && aborted[begun]!.firstOffset <= last; begun++)
      aborting.add(aborted[begun]!.producerId);
    if (batch.attributes & CONTROL) {
      if (endsWith(batch) === ABORT) aborting.delete(batch.producerId);
    } else if (!(batch.attributes & TRANSACTIONAL && aborting.has(batch.producerId)))
      readRecords(batch, from, records);
    if (last >= position) position = last + 1n;
  }
  const end = answer.lastStableOffset;
  // Behind the last record may lie no record at all: then nothing is left to read, though the log goes on.
  const next = position === end && records.length > 0 ? records.at(-1)!.position + 1n : end;
  return { records, position, next };
}

function byFirstOffset(a: { firstOffset: bigint }, b: { firstOffset: bigint }): number {
  return a.firstOffset < b.firstOffset ? -1 : 1;
}

/** The type of a control batch's record: how the transaction ended. */
function endsWith(batch: RawBatch): number | null {
  const records: KafkaRecord[] = [];
  readRecords(batch, batch.firstOffset, records);
  const key = records[0]?.key;
  // Its version comes first.
  return key ? (key[2]! << 8) | key[3]! : null;
}

/** Reads the records of a batch from position `from` on. */
function readRecords(batch: RawBatch, from: bigint, into: SizedRecord[]): void {
  const { bytes, count, firstOffset, firstTimestampMs } = batch;
  const ofLog = batch.attributes & TIMESTAMP_OF_LOG;
  const logUs = ofLog ? instantOf(batch.maxTimestampMs) : 0;
  const passed = from > firstOffset ? Number(from - firstOffset) : 0;
  const cursor = new Cursor(bytes, batch.start);
  for (let i = 0; i < count; i++) {
    const size = cursor.varint();
    const end = cursor.at + size;
    // Attributes, of which there are none.
    cursor.at++;
    const ms = firstTimestampMs + cursor.varint();
    const delta = cursor.varint();
    if (delta >= passed) {
      const keyLength = cursor.varint();
      const keyAt = cursor.at;
      if (keyLength > 0) cursor.at += keyLength;
      const valueLength = cursor.varint();
      const valueAt = cursor.at;
      if (valueLength > 0) cursor.at += valueLength;
      const headers = cursor.varint();
      into.push(
        new KafkaRecord(
          firstOffset,
          delta,
          ofLog ? logUs : instantOf(ms),
          bytes,
          keyAt,
          keyLength,
          valueAt,
          valueLength,
          headers === 0 ? NO_HEADERS : readHeaders(cursor, headers),
          end - keyAt,
        ),
      );
    }
    cursor.at = end;
  }
}

/** Of several headers of one name the last counts, as in Kafka's clients. */
function readHeaders(cursor: Cursor, count: number): Map<string, Uint8Array> {
  const headers = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const name = cursor.take() ?? new Uint8Array(0);
    headers.set(Buffer.from(name).toString(), cursor.take() ?? new Uint8Array(0));
  }
  return headers;
}

/** A place in the bytes of a batch. */
class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** A signed number, as Kafka writes it: zigzag, seven bits a byte, the least first. */
  varint(): number {
    const { bytes } = this;
    const first = bytes[this.at++]!;
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    // Times may have more bits than fit into 32.
    for (let scale = 0x80; ; scale *= 0x80) {
      const byte = bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Bytes of a length that comes before them; null: there are none. */
  take(): Uint8Array | null {
    const length = this.varint();
    const found = viewOf(this.bytes, this.at, length);
    if (length > 0) this.at += length;
    return found;
  }
}

/** A record where the broker's answer has it. Most keys are never looked at: views of bytes are made when they are asked for. */
class KafkaRecord implements SizedRecord, PlacedValue {
  readonly timestampUs: InstantUs;
  readonly headers: ReadonlyMap<string, Uint8Array>;
  readonly size: number;
  readonly bytes: Buffer;
  readonly from: number;
  readonly #first: bigint;
  readonly #delta: number;
  readonly #keyAt: number;
  readonly #keyLength: number;
  readonly #valueLength: number;

  constructor(
    first: bigint,
    delta: number,
    timestampUs: InstantUs,
    bytes: Buffer,
    keyAt: number,
    keyLength: number,
    valueAt: number,
    valueLength: number,
    headers: ReadonlyMap<string, Uint8Array>,
    size: number,
  ) {
    this.timestampUs = timestampUs;
    this.headers = headers;
    this.size = RECORD_BYTES + size;
    this.bytes = bytes;
    this.from = valueAt;
    this.#first = first;
    this.#delta = delta;
    this.#keyAt = keyAt;
    this.#keyLength = keyLength;
    this.#valueLength = valueLength;
  }

  get position(): bigint {
    return this.#first + BigInt(this.#delta);
  }

  get key(): Uint8Array | null {
    return viewOf(this.bytes, this.#keyAt, this.#keyLength);
  }

  get value(): Uint8Array | null {
    return viewOf(this.bytes, this.from, this.#valueLength);
  }

  get placed(): PlacedValue | null {
    return this.#valueLength < 0 ? null : this;
  }

  get to(): number {
    return this.from + this.#valueLength;
  }
}

/** The same bytes; not a Buffer, whose `slice` shares memory. A length of −1 stands for nothing. */
function viewOf(bytes: Buffer, at: number, length: number): Uint8Array | null {
  return length < 0 ? null : new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
}

/** Producers may leave the time out, which is −1, or write nonsense: then it says nothing about when the log took the record. */
function instantOf(ms: number): InstantUs {
  const us = ms * 1000;
  return us >= 0 && us <= MAX_INSTANT_US ? us : 0;
}
