/** Records, and ways to read a log, that the suite of event logs and the tests of its adapters share. */
import assert from 'node:assert/strict';
import type {
  Consumer,
  ConsumerEvent,
  EventLog,
  LogRecord,
  NewRecord,
} from '../../src/stream/contract.ts';

const utf8 = new TextEncoder();

/** A record of text. */
export function record(key: string | null, value: string | null = key): NewRecord {
  return {
    key: key === null ? null : utf8.encode(key),
    value: value === null ? null : utf8.encode(value),
  };
}

/** A record's value as text. */
export function textOf({ value }: { readonly value: Uint8Array | null }): string | null {
  return value === null ? null : new TextDecoder().decode(value);
}

/** What a record carries, without its place. */
export function contentOf({ key, value, headers }: NewRecord | LogRecord): unknown[] {
  const hex = (bytes: Uint8Array | null) => bytes?.toHex() ?? null;
  return [hex(key), hex(value), ...[...(headers ?? [])].map(([name, v]) => [name, v.toHex()])];
}

/** The next event, or a failure after so long. */
export async function nextWithin(consumer: Consumer, ms: number): Promise<ConsumerEvent | null> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no event within ${ms} ms`)), ms);
  });
  return Promise.race([consumer.next(), late]).finally(() => clearTimeout(timer));
}

/** Reads until `enough` of what was read; begins each partition where `from` says. Gives the records by partition. */
export async function readUntil(
  consumer: Consumer,
  enough: (read: Map<string, LogRecord[]>) => boolean,
  options: {
    readonly from?: (partition: string) => bigint;
    readonly ms?: number;
    readonly onEvent?: (event: ConsumerEvent) => void;
  } = {},
): Promise<Map<string, LogRecord[]>> {
  const { from = () => 0n, ms = 30_000, onEvent } = options;
  const read = new Map<string, LogRecord[]>();
  while (!enough(read)) {
    const event = await nextWithin(consumer, ms);
    assert.ok(event !== null, 'the consumer was closed');
    onEvent?.(event);
    if (event.type === 'assigned') consumer.seek(event.partition, from(event.partition));
    else if (event.type === 'records') {
      const records = read.get(event.partition);
      if (records === undefined) read.set(event.partition, [...event.records]);
      else records.push(...event.records);
    }
  }
  return read;
}

export function countOf(read: ReadonlyMap<string, readonly unknown[]>): number {
  let count = 0;
  for (const records of read.values()) count += records.length;
  return count;
}

/** Everything that a topic keeps, by partition, read as a group of its own. */
export async function readAll(
  log: EventLog,
  topic: string,
  group: string,
  limits?: { records: number; bytes: number },
): Promise<Map<string, LogRecord[]>> {
  const ends = await log.ends(topic);
  const consumer = await log.consume(topic, { group, ...(limits ? { limits } : {}) });
  const left = new Set([...ends].filter(([, { first, next }]) => next > first).map(([p]) => p));
  const read = await readUntil(
    consumer,
    (so) => {
      for (const p of left)
        if ((so.get(p)?.at(-1)?.position ?? -1n) >= ends.get(p)!.next - 1n) left.delete(p);
      return left.size === 0;
    },
    { from: (partition) => ends.get(partition)!.first },
  );
  await consumer.close();
  return read;
}
