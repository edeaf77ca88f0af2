/**
 * A consumer of a Kinesis stream: it renews its leases, and reads each shard that it has in a loop of its own, from the
 * positions that its reader gives and while there is room. A shard that continues others waits until they were read to their
 * end, so that the records of a key keep their order when a stream is split or merged.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { SamewiseError } from '../../base/errors.ts';
import type { Consumer, ConsumerEvent, ConsumerLimits } from '../contract.ts';
import { type Cursor, Delivery } from '../delivery.ts';
import { HEARTBEAT_MS } from '../embedded/group.ts';
import type { KinesisApi, Shard } from './api.ts';
import type { Leases } from './leases.ts';
import { judge } from './shard.ts';

const RETRY_MS = 500;
/** Shards are listed again after so many renewals, and when one has ended. */
const LIST_EVERY = 10;

/** What a consumer needs of its log. */
export interface ConsumerSetup {
  readonly api: KinesisApi;
  readonly clock: Clock;
  readonly topic: string;
  readonly leases: Leases;
  readonly limits: Partial<ConsumerLimits>;
  /** Pause between reads of a shard that has nothing new: all readers of a shard have five reads a second. */
  readonly pollMs: number;
}

export class KinesisConsumer implements Consumer {
  readonly #setup: ConsumerSetup;
  readonly #delivery: Delivery;
  readonly #stop = new AbortController();
  #shards = new Map<string, Shard>();
  /** Closed shards that this consumer has read to their end. */
  readonly #ended = new Set<string>();
  #drained: ReadonlySet<string> = new Set();
  /** Shards that the reader was told to let go of: given back with the next renewal. */
  #released = new Set<string>();
  readonly #loops = new Map<Cursor, Promise<void>>();
  #renewals = 0;
  #beat: Promise<void> = Promise.resolve();
  #wakes: (() => void)[] = [];

  static async open(setup: ConsumerSetup): Promise<KinesisConsumer> {
    const consumer = new KinesisConsumer(setup);
    await consumer.#renew();
    consumer.#beat = consumer.#keepRenewing();
    return consumer;
  }

  private constructor(setup: ConsumerSetup) {
    this.#setup = setup;
    this.#delivery = new Delivery(setup.limits);
    this.#delivery.onChange(() => this.#changed());
  }

  next(): Promise<ConsumerEvent | null> {
    return this.#delivery.next();
  }

  seek(partition: string, position: bigint): void {
    this.#ended.delete(partition);
    this.#delivery.seek(partition, position);
  }

  /** Kinesis has no tools that would ask: checkpoints tell how far a reader is. */
  async commit(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#delivery.closed) return;
    this.#delivery.close();
    this.#stop.abort();
    await Promise.all([this.#beat, ...this.#loops.values()]);
    await this.#setup.leases.leave().catch(() => {});
  }

  async #keepRenewing(): Promise<void> {
    for (;;) {
      await this.#pause(HEARTBEAT_MS);
      if (this.#delivery.closed) return;
      try {
        await this.#renew();
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  async #renew(): Promise<void> {
    const { api, clock, leases, topic } = this.#setup;
    const told = [...this.#ended].filter((id) => !this.#delivery.holds(id));
    if (this.#renewals++ % LIST_EVERY === 0 || told.some((id) => !this.#drained.has(id)))
      this.#shards = new Map((await api.shards(topic)).map((shard) => [shard.id, shard]));
    const { own, leaving, drained } = await leases.renew(
      [...this.#shards.keys()],
      this.#released,
      new Set(told),
      clock.nowUs(),
    );
    if (this.#delivery.closed) return;
    this.#drained = drained;
    this.#released = new Set(leaving);
    const assigned = new Set(this.#delivery.assigned);
    for (const id of assigned) if (!own.has(id)) this.#delivery.revoke(id);
    for (const id of own) if (!assigned.has(id)) this.#delivery.assign(id);
    this.#changed();
  }

  #changed(): void {
    for (const wake of this.#wakes.splice(0)) wake();
    if (this.#delivery.closed) return;
    for (const cursor of this.#delivery.cursors())
      if (!this.#loops.has(cursor) && !this.#ended.has(cursor.partition))
        this.#loops.set(
          cursor,
          this.#loop(cursor).finally(() => {
            this.#loops.delete(cursor);
            // What came while it ended.
            this.#changed();
          }),
        );
  }

  /** Reads a shard while it is this consumer's. */
  async #loop(cursor: Cursor): Promise<void> {
    for (;;) {
      const { turn, position } = cursor;
      if (!this.#delivery.wants(cursor) || position === null) return;
      const shard = this.#shards.get(cursor.partition);
      if (shard === undefined || !this.#mayBegin(shard)) {
        await this.#change();
        continue;
      }
      try {
        if (await this.#read(shard, cursor, turn, position)) return;
      } catch (error) {
        if (isExpired(error)) continue;
        this.#failed(error);
        await this.#pause(RETRY_MS);
      }
    }
  }

  /** What it continues is drained, or so old that nothing of it is kept. */
  #mayBegin({ parents }: Shard): boolean {
    return parents.every((id) => this.#drained.has(id) || !this.#shards.has(id));
  }

  /** Reads from a position until another turn begins; true: the shard has ended, or cannot be read there. */
  async #read(shard: Shard, cursor: Cursor, turn: number, from: bigint): Promise<boolean> {
    const { api, clock, topic, pollMs } = this.#setup;
    const { verdict, ends } = await judge(api, topic, shard, from, clock.nowUs());
    if (verdict !== 'sound') {
      this.#delivery.refuse(cursor, turn, refusal(verdict, topic, shard, from, ends!.first));
      return cursor.turn === turn;
    }
    let iterator = await this.#begin(shard, from);
    while (iterator !== null) {
      if (!this.#delivery.wants(cursor) || cursor.turn !== turn) return false;
      if (this.#delivery.roomBytes === 0) {
        await this.#change();
        continue;
      }
      const read = await api.read(topic, iterator, this.#delivery.roomRecords);
      const records = read.records.filter(({ position }) => position >= from);
      const last = records.at(-1);
      // How many lie behind cannot be known: some, or none.
      if (last !== undefined)
        this.#delivery.deliver(
          cursor,
          turn,
          records,
          last.position + 1n,
          last.position + (read.behind ? 2n : 1n),
        );
      const more = read.behind || read.records.length > 0;
      const closed = this.#shards.get(shard.id)?.closed ?? true;
      iterator = closed && !more ? null : read.iterator;
      if (iterator !== null && !more) await this.#pause(pollMs);
    }
    if (cursor.turn !== turn) return false;
    this.#ended.add(shard.id);
    return true;
  }

  async #begin(shard: Shard, from: bigint): Promise<string | null> {
    const { api, topic } = this.#setup;
    const oldest = () => api.iterator(topic, shard.id, { from: 'oldest' });
    if (from <= shard.start) return oldest();
    // Behind the last record that was read there may be none yet: so at that one.
    const position = from - 1n;
    return (await api.iterator(topic, shard.id, { from: 'position', position })) ?? oldest();
  }

  #failed(error: unknown): void {
    if (this.#delivery.closed) return;
    if (!(error instanceof SamewiseError)) throw error;
    this.#delivery.fail(error);
  }

  /** Until something has changed for who waits. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#delivery.closed) resolve();
      else this.#wakes.push(resolve);
    });
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}

/** Nothing is wrong: it was held back for too long. */
function isExpired(error: unknown): boolean {
  return error instanceof SamewiseError && error.code === 'stream/iterator-expired';
}

function refusal(
  verdict: 'gone' | 'ahead',
  topic: string,
  { id }: Shard,
  position: bigint,
  first: bigint,
): SamewiseError {
  const where = { topic, partition: id, position: String(position) };
  if (verdict === 'gone')
    return new SamewiseError(
      'stream/position-gone',
      `Kinesis stream ${topic} keeps shard ${id} from position ${first} on: what was between ${position} and it, if anything, is gone`,
      { where, hint: 'what history has of it is not lost; read on from the first that is kept' },
    );
  return new SamewiseError(
    'stream/position-ahead',
    `Kinesis stream ${topic} has nothing in shard ${id} near position ${position} yet`,
    { where, hint: 'the checkpoint is that of another stream: rewind' },
  );
}
