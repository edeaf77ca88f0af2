/** Where the partitions of a topic begin and end. */
import { ListOffsetTimestamps } from '@platformatic/kafka';
import type { PartitionEnds } from '../contract.ts';
import type { KafkaClient } from './client.ts';

/** By partition, from 0: the offset that the broker gives for a timestamp; −1 where there is none. */
export async function offsetsAt(
  client: KafkaClient,
  topic: string,
  timestamp: bigint,
): Promise<readonly bigint[]> {
  const offsets = await client.listOffsets({ topics: [topic], timestamp });
  return offsets.get(topic) ?? [];
}

/** The end is that of what can be read: open transactions lie behind it. */
export async function topicEnds(
  client: KafkaClient,
  topic: string,
): Promise<Map<string, PartitionEnds>> {
  const first = await offsetsAt(client, topic, ListOffsetTimestamps.EARLIEST);
  const next = await offsetsAt(client, topic, ListOffsetTimestamps.LATEST);
  return new Map(
    next.map((end, partition) => [String(partition), { first: first[partition] ?? 0n, next: end }]),
  );
}
