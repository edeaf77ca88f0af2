/** Kinesis in memory, of one stream, as Amazon describes it where the imitation that tests run does not: shards that end, limits, expiry, trimming. */
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis';
import { hash64 } from '../../src/base/hash.ts';

interface Shard {
  readonly id: string;
  readonly parents: readonly string[];
  /** Hashes from here on, up to the next open shard's. */
  readonly from: bigint;
  readonly to: bigint;
  readonly start: bigint;
  end: bigint | null;
  records: { number: bigint; key: string; data: Uint8Array; at: Date }[];
}

const HASHES = 2n ** 64n;

/** Every how many calls, or entries, something goes wrong. */
export interface Trouble {
  readonly throttleEvery?: number;
  readonly failEntryEvery?: number;
  readonly expireEvery?: number;
}

export class FakeKinesis {
  trouble: Trouble = {};
  readonly #shards: Shard[] = [];
  /** Far above what a double holds, as Amazon's are. */
  #number = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898n;
  #calls = 0;
  #entries = 0;
  #reads = 0;

  constructor(shards: number) {
    for (let i = 0n; i < shards; i++)
      this.#add([], (HASHES * i) / BigInt(shards), (HASHES * (i + 1n)) / BigInt(shards));
  }

  split(id: string): void {
    const { from, to } = this.#close(id);
    this.#add([id], from, (from + to) / 2n);
    this.#add([id], (from + to) / 2n, to);
  }

  merge(a: string, b: string): void {
    this.#add([a, b], this.#close(a).from, this.#close(b).to);
  }

  /** Forgets the oldest records of each shard. */
  trim(count: number): void {
    for (const shard of this.#shards) shard.records.splice(0, count);
  }

  /** As the SDK's client, whose overloads are not repeated here. */
  send: any = async (command: unknown): Promise<unknown> => {
    await null;
    const { throttleEvery } = this.trouble;
    if (throttleEvery && ++this.#calls % throttleEvery === 0)
      throw named('ProvisionedThroughputExceededException');
    if (command instanceof ListShardsCommand)
      return { Shards: this.#shards.map((shard) => this.#describe(shard)) };
    if (command instanceof GetShardIteratorCommand) return this.#iterator(command.input);
    if (command instanceof GetRecordsCommand) return this.#read(command.input);
    if (command instanceof PutRecordsCommand) return this.#put(command.input);
    throw new Error('a call that is not imitated');
  };

  #add(parents: readonly string[], from: bigint, to: bigint): void {
    const id = `shardId-${String(this.#shards.length).padStart(12, '0')}`;
    this.#shards.push({ id, parents, from, to, start: this.#next(), end: null, records: [] });
  }

  #close(id: string): Shard {
    const shard = this.#of(id);
    shard.end = this.#next();
    return shard;
  }

  #of(id: string): Shard {
    return this.#shards.find((shard) => shard.id === id)!;
  }

  #next(): bigint {
    this.#number += 2n ** 40n;
    return this.#number;
  }

  #describe({ id, parents, start, end }: Shard) {
    const EndingSequenceNumber = end === null ? undefined : String(end);
    return {
      ShardId: id,
      ParentShardId: parents[0],
      AdjacentParentShardId: parents[1],
      SequenceNumberRange: { StartingSequenceNumber: String(start), EndingSequenceNumber },
    };
  }

  #iterator(input: GetShardIteratorCommand['input']) {
    const { records, start, end } = this.#of(input.ShardId!);
    let from = 0n;
    if (input.ShardIteratorType === 'AT_SEQUENCE_NUMBER') {
      from = BigInt(input.StartingSequenceNumber!);
      if (from < start || (end !== null && from > end)) throw named('InvalidArgumentException');
    } else if (input.ShardIteratorType === 'AT_TIMESTAMP') {
      const found = records.find(({ at }) => at >= input.Timestamp!);
      from = found?.number ?? this.#number + 1n;
    }
    return { ShardIterator: `${input.ShardId} ${from}` };
  }

  #read({ ShardIterator, Limit }: GetRecordsCommand['input']) {
    const { expireEvery } = this.trouble;
    if (expireEvery && ++this.#reads % expireEvery === 0) throw named('ExpiredIteratorException');
    const [id, from] = ShardIterator!.split(' ') as [string, string];
    const { records, end } = this.#of(id);
    const left = records.filter(({ number }) => number >= BigInt(from));
    const given = left.slice(0, Limit);
    const next = given.length > 0 ? given.at(-1)!.number + 1n : BigInt(from);
    const over = end !== null && given.length === left.length;
    return {
      Records: given.map(({ number, key, data, at }) => ({
        SequenceNumber: String(number),
        PartitionKey: key,
        Data: data,
        ApproximateArrivalTimestamp: at,
      })),
      NextShardIterator: over ? undefined : `${id} ${next}`,
      MillisBehindLatest: given.length < left.length ? 1 : 0,
    };
  }

  #put({ Records }: PutRecordsCommand['input']) {
    const { failEntryEvery } = this.trouble;
    const answers = Records!.map(({ PartitionKey, Data }) => {
      if (failEntryEvery && ++this.#entries % failEntryEvery === 0)
        return { ErrorCode: 'ProvisionedThroughputExceededException' };
      const hash = BigInt.asUintN(64, hash64(new TextEncoder().encode(PartitionKey)));
      const shard = this.#shards.find((s) => s.end === null && s.from <= hash && hash < s.to)!;
      const number = this.#next();
      shard.records.push({ number, key: PartitionKey!, data: Data!, at: new Date() });
      return { ShardId: shard.id, SequenceNumber: String(number) };
    });
    return { Records: answers };
  }
}

function named(name: string): Error {
  return Object.assign(new Error(name), { name, $metadata: {} });
}
