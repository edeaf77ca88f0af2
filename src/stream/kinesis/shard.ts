/** Where in a shard things are. Kinesis tells neither the first nor the last number of what it keeps: one has to read. */
import {
  type InstantUs,
  US_PER_DAY,
  US_PER_HOUR,
  US_PER_MINUTE,
  US_PER_SECOND,
} from '../../base/time.ts';
import type { LogRecord, PartitionEnds } from '../contract.ts';
import type { KinesisApi, Shard, Start } from './api.ts';

const MANY = 10_000;
/** How far back the last record is looked for, nearest first: usually it is near. */
const LOOK_BACK_US = [10 * US_PER_SECOND, 10 * US_PER_MINUTE, 6 * US_PER_HOUR, US_PER_DAY];

/** The records from `start` on, in portions, until none is there yet. */
async function* readOn(
  api: KinesisApi,
  topic: string,
  shard: Shard,
  start: Start,
  most: number,
): AsyncGenerator<readonly LogRecord[]> {
  let iterator = await api.iterator(topic, shard.id, start);
  while (iterator !== null) {
    const read = await api.read(topic, iterator, most);
    if (read.records.length > 0) yield read.records;
    if (!read.behind && read.records.length < most) return;
    iterator = read.iterator;
  }
}

/** The first record from `start` on; null: there is none yet. */
export async function firstFrom(
  api: KinesisApi,
  topic: string,
  shard: Shard,
  start: Start,
): Promise<LogRecord | null> {
  for await (const records of readOn(api, topic, shard, start, 1)) return records[0]!;
  return null;
}

export async function shardEnds(
  api: KinesisApi,
  topic: string,
  shard: Shard,
  nowUs: InstantUs,
): Promise<PartitionEnds> {
  const oldest = await firstFrom(api, topic, shard, { from: 'oldest' });
  if (oldest === null) return { first: shard.start, next: shard.start };
  const starts: Start[] = LOOK_BACK_US.map((us) => ({ from: 'time', timeUs: nowUs - us }));
  let last = oldest.position;
  for (const start of [...starts, { from: 'oldest' } as const]) {
    for await (const records of readOn(api, topic, shard, start, MANY))
      last = records.at(-1)!.position;
    if (last > oldest.position) break;
  }
  return { first: oldest.position, next: last + 1n };
}

/**
 * Whether a shard can be read from `position` on: `gone`, where older records than it keeps would be missing, for all that
 * can be known; `ahead`, where nothing can be yet.
 */
export async function judge(
  api: KinesisApi,
  topic: string,
  shard: Shard,
  position: bigint,
  nowUs: InstantUs,
): Promise<{ verdict: 'sound' | 'gone' | 'ahead'; ends: PartitionEnds | null }> {
  if (position <= shard.start) return { verdict: 'sound', ends: null };
  // Mostly a reader goes on behind the last record that it has read, or at a record.
  const before = await firstFrom(api, topic, shard, { from: 'position', position: position - 1n });
  if (before?.position === position - 1n || before?.position === position)
    return { verdict: 'sound', ends: null };
  const ends = await shardEnds(api, topic, shard, nowUs);
  if (position < ends.first) return { verdict: 'gone', ends };
  return { verdict: position > ends.next ? 'ahead' : 'sound', ends };
}
