/**
 * Where the records of a partition end. What a broker calls the end may lie further: behind markers, which end transactions, and
 * behind what was aborted. Who waits until a reader is at the end would wait for ever for what nobody can read.
 */
import type { PartitionEnds } from '../contract.ts';
import type { KafkaClient } from './client.ts';
import { type FetchPool, fetchRaw } from './fetch.ts';
import { topicEnds } from './offsets.ts';
import { readFetched } from './records.ts';

/** How many batches without a record are passed by, backwards: behind more of them the end that is told is too far. */
const MAX_BATCHES = 200;

interface Known {
  /** The end by the broker. */
  readonly stable: bigint;
  readonly next: bigint;
}

/** Ends of a topic's records. What was found out is remembered: it stays true for as long as the broker tells the same end. */
export class RecordEnds {
  readonly #client: KafkaClient;
  readonly #pool: FetchPool;
  /** By topic id and partition. */
  readonly #known = new Map<string, Known>();

  constructor(client: KafkaClient, pool: FetchPool) {
    this.#client = client;
    this.#pool = pool;
  }

  async of(topic: string): Promise<Map<string, PartitionEnds>> {
    const ends = await topicEnds(this.#client, topic);
    const exact = [...ends].map(async ([partition, { first, next }]) => {
      const end = await this.#endOf(topic, Number(partition), first, next);
      return [partition, { first, next: end }] as const;
    });
    return new Map(await Promise.all(exact));
  }

  async #endOf(topic: string, partition: number, first: bigint, stable: bigint): Promise<bigint> {
    if (stable <= first) return stable;
    const metadata = await this.#client.metadata({ topics: [topic] });
    const { id, partitions } = metadata.topics.get(topic)!;
    const key = `${id} ${partition}`;
    const known = this.#known.get(key);
    if (known?.stable === stable) return known.next;
    const node = partitions[partition]!.leader;
    let next = stable;
    for (let left = MAX_BATCHES; next > first && left > 0; left--) {
      const found = await this.#lastBefore(node, id, partition, next);
      if (found.record !== null) {
        next = found.record + 1n;
        break;
      }
      next = found.first;
    }
    if (next < first) next = first;
    this.#known.set(key, { stable, next });
    return next;
  }

  /** Looks at the batch that holds the position before `end`: its last record before `end`, null if it has none, and where it begins. */
  async #lastBefore(
    node: number,
    topicId: string,
    partition: number,
    end: bigint,
  ): Promise<{ record: bigint | null; first: bigint }> {
    const position = end - 1n;
    const [answer] = await fetchRaw(this.#client, this.#pool, {
      node,
      // One batch comes whole, whatever the limit.
      maxBytes: 1,
      topics: [
        {
          topicId,
          partitions: [
            {
              partition,
              currentLeaderEpoch: -1,
              fetchOffset: position,
              lastFetchedEpoch: -1,
              partitionMaxBytes: 1,
            },
          ],
        },
      ],
    });
    const batch = answer?.batches?.[0];
    // Where compaction has left nothing, the next batch comes.
    if (answer === undefined || batch === undefined || batch.firstOffset > position)
      return { record: null, first: position };
    const { records } = readFetched(answer, batch.firstOffset);
    const record = records.findLast((one) => one.position < end)?.position ?? null;
    return { record, first: batch.firstOffset };
  }
}
