/**
 * Appends to Kafka: one request at a time, into which all that was asked for meanwhile goes. So many small appends cost few
 * requests, and the producer's sequence numbers, by which a broker knows a repeated request, never come out of order.
 */
import type { Producer } from '@platformatic/kafka';
import { SamewiseError } from '../../base/errors.ts';
import type { NewRecord, RecordPlace } from '../contract.ts';
import { type KafkaSettings, makeProducer } from './client.ts';
import { persist } from './errors.ts';

/** Brokers refuse a batch, which is what one request holds of a partition, above 1 MiB unless told. */
const MAX_BATCH_BYTES = 512 * 1024;
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** What a record costs besides its key and value. */
const RECORD_BYTES = 64;

interface Append {
  readonly topic: string;
  readonly records: readonly NewRecord[];
  /** By record. */
  readonly partitions: readonly number[];
  readonly places: RecordPlace[];
  readonly resolve: (places: RecordPlace[]) => void;
  readonly reject: (error: unknown) => void;
  /** Not together with others, as it may be what they failed by. */
  alone: boolean;
  failed: boolean;
}

/** One record on its way. */
interface Sent {
  readonly append: Append;
  readonly index: number;
}

export class Appender {
  readonly #settings: KafkaSettings;
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>;
  readonly #queue: Append[] = [];
  #running: Promise<void> | null = null;

  constructor(settings: KafkaSettings) {
    this.#settings = settings;
    this.#producer = makeProducer(settings);
  }

  /** Resolves when all records are durable; gives their places. */
  append(
    topic: string,
    records: readonly NewRecord[],
    partitions: readonly number[],
  ): Promise<RecordPlace[]> {
    return new Promise((resolve, reject) => {
      const state = { places: [], alone: false, failed: false };
      this.#queue.push({ topic, records, partitions, resolve, reject, ...state });
      this.#running ??= this.#run().finally(() => {
        this.#running = null;
      });
    });
  }

  /** When what was asked for has been sent, or has failed. */
  async close(): Promise<void> {
    await this.#running;
    await this.#producer.close(true).catch(() => {});
  }

  async #run(): Promise<void> {
    // Appends of this turn come together.
    await null;
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const batches = this.#next(head);
      try {
        await this.#send(head.topic, batches);
      } catch (error) {
        this.#failed(batches, error);
      }
      for (const { append } of [...batches.values()].flat()) this.#finish(append);
    }
  }

  /** What the next request holds, by partition: as much as fits of the oldest append and of others to its topic. */
  #next(head: Append): Map<number, Sent[]> {
    const batches = new Map<number, Sent[]>();
    const bytes = new Map<number, number>();
    let all = 0;
    const together = head.alone ? [head] : this.#queue;
    for (const append of together) {
      if (append.topic !== head.topic || (append.alone && append !== head)) continue;
      for (let index = append.places.length; index < append.records.length; index++) {
        const partition = append.partitions[index]!;
        const size = sizeOf(append.records[index]!);
        const own = (bytes.get(partition) ?? 0) + size;
        all += size;
        if (all > size && (own > MAX_BATCH_BYTES || all > MAX_REQUEST_BYTES)) return batches;
        bytes.set(partition, own);
        const batch = batches.get(partition);
        if (batch === undefined) batches.set(partition, [{ append, index }]);
        else batch.push({ append, index });
      }
    }
    return batches;
  }

  async #send(topic: string, batches: ReadonlyMap<number, readonly Sent[]>): Promise<void> {
    // Made anew for each attempt: the client writes into them.
    const messages = () =>
      [...batches].flatMap(([partition, sent]) =>
        sent.map(({ append, index }) => messageOf(topic, partition, append.records[index]!)),
      );
    const { offsets } = await persist(this.#settings.patience, { topic }, () =>
      this.#producer.send({ messages: messages() }),
    );
    for (const { partition, offset } of offsets!)
      batches.get(partition)!.forEach(({ append, index }, i) => {
        append.places[index] = { partition: String(partition), position: offset + BigInt(i) };
      });
  }

  /** Whether one of several is at fault is found out by sending each alone. */
  #failed(batches: ReadonlyMap<number, readonly Sent[]>, error: unknown): void {
    const appends = new Set([...batches.values()].flat().map(({ append }) => append));
    const away = error instanceof SamewiseError && error.code === 'stream/unreachable';
    const together = appends.size > 1 && !away;
    for (const append of appends) {
      if (together) append.alone = true;
      else {
        append.failed = true;
        append.reject(error);
      }
    }
  }

  #finish(append: Append): void {
    const done = append.places.length === append.records.length;
    const at = this.#queue.indexOf(append);
    if (at < 0 || !(done || append.failed)) return;
    this.#queue.splice(at, 1);
    append.resolve(append.places);
  }
}

function sizeOf({ key, value }: NewRecord): number {
  return RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
}

function messageOf(topic: string, partition: number, { key, value, headers }: NewRecord) {
  const entries = [...(headers ?? [])].map(
    ([name, content]) => [Buffer.from(name), bufferOf(content)!] as const,
  );
  return {
    topic,
    partition,
    // The client writes null as it should, though its types know only undefined.
    key: bufferOf(key) as Buffer,
    value: bufferOf(value) as Buffer,
    headers: new Map(entries),
  };
}

function bufferOf(bytes: Uint8Array | null): Buffer | null {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
