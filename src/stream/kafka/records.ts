/**
 * From what a broker answers to records. Two things are not records of anybody: control batches, which end transactions,
 * and what aborted transactions wrote. The client's own filter lets some of the latter through (those of all but the last of
 * several aborted transactions, and of one whose end lies beyond the answer), so it is decided here, as Kafka's Java client does.
 */
import type { fetchV17, RecordsBatch } from '@platformatic/kafka';
import { type InstantUs, MAX_INSTANT_US } from '../../base/time.ts';
import { RECORD_BYTES, type SizedRecord } from '../delivery.ts';

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
export function readFetched(answer: fetchV17.FetchResponsePartition, from: bigint): Fetched {
  const batches = answer.records ?? [];
  const records: SizedRecord[] = [];
  let position = from;
  const aborted = (answer.abortedTransactions ?? []).toSorted(byFirstOffset);
  const aborting = new Set<bigint>();
  let begun = 0;
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    for (; begun < aborted.length && aborted[begun]!.firstOffset <= last; begun++)
      aborting.add(aborted[begun]!.producerId);
    if (batch.attributes & CONTROL) {
      if (batch.records[0]?.key?.readInt16BE(2) === ABORT) aborting.delete(batch.producerId);
    } else if (!(batch.attributes & TRANSACTIONAL && aborting.has(batch.producerId)))
      readBatch(batch, from, records);
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

function readBatch(batch: RecordsBatch, from: bigint, into: SizedRecord[]): void {
  const { firstOffset } = batch;
  const firstMs = Number(batch.firstTimestamp);
  const logUs = batch.attributes & TIMESTAMP_OF_LOG ? instantOf(Number(batch.maxTimestamp)) : null;
  for (const record of batch.records) {
    const position = firstOffset + BigInt(record.offsetDelta);
    if (position < from) continue;
    const timestampUs = logUs ?? instantOf(firstMs + Number(record.timestampDelta));
    into.push(new KafkaRecord(position, timestampUs, record));
  }
}

type ClientRecord = RecordsBatch['records'][number];

/** A record as the client read it. Most keys are never looked at: views of bytes are made when they are asked for. */
class KafkaRecord implements SizedRecord {
  readonly position: bigint;
  readonly timestampUs: InstantUs;
  readonly headers: ReadonlyMap<string, Uint8Array>;
  readonly size: number;
  readonly #key: Buffer | null;
  readonly #value: Buffer | null;

  constructor(position: bigint, timestampUs: InstantUs, { key, value, headers }: ClientRecord) {
    this.position = position;
    this.timestampUs = timestampUs;
    this.headers = headers.length === 0 ? NO_HEADERS : headersOf(headers);
    let size = RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
    for (const [name, content] of headers) size += (name?.length ?? 0) + (content?.length ?? 0);
    this.size = size;
    this.#key = key;
    this.#value = value;
  }

  get key(): Uint8Array | null {
    return bytesOf(this.#key);
  }

  get value(): Uint8Array | null {
    return bytesOf(this.#value);
  }
}

/** The same bytes; not a Buffer, whose `slice` shares memory. */
function bytesOf(buffer: Buffer | null): Uint8Array | null {
  return buffer && new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Producers may leave the time out, which is −1, or write nonsense: then it says nothing about when the log took the record. */
function instantOf(ms: number): InstantUs {
  const us = ms * 1000;
  return us >= 0 && us <= MAX_INSTANT_US ? us : 0;
}

/** Of several headers of one name the last counts, as in Kafka's clients. */
function headersOf(
  headers: readonly (readonly [Buffer | null, Buffer | null])[],
): Map<string, Uint8Array> {
  return new Map(
    headers.map(([name, value]) => [name?.toString() ?? '', bytesOf(value) ?? new Uint8Array(0)]),
  );
}
