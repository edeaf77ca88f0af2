/** An event log in memory: partitions, a group whose members come and go, and members who do not know yet that they are none. */
import { SamewiseError } from '../../../src/base/errors.ts';
import type {
  Consumer,
  ConsumerEvent,
  EventLog,
  LogRecord,
  NewRecord,
  PartitionEnds,
  RecordPlace,
} from '../../../src/stream/contract.ts';
import type { Process } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const NO_HEADERS: ReadonlyMap<string, Uint8Array> = new Map();

/** What stamps the records of all topics. */
export class Stamps {
  readonly #scheduler: Scheduler;
  /** Whether what comes later is always stamped later; else the clock is coarse, and goes back now and then. */
  readonly #growing: boolean;
  #lastUs = 0;
  skewUs = 0;

  constructor(scheduler: Scheduler, growing: boolean) {
    this.#scheduler = scheduler;
    this.#growing = growing;
  }

  /** Two stamps may be apart by so much more than what they are on: all that the clock ever goes back, and what it leaves out. */
  get slackMs(): number {
    return this.#growing ? 0 : (MOST_SKEW_US - LEAST_SKEW_US) / 1000 + 2;
  }

  next(): number {
    const nowUs = this.#scheduler.nowUs + this.skewUs;
    if (!this.#growing) return Math.floor(nowUs / 1000) * 1000;
    this.#lastUs = Math.max(this.#lastUs + 1, nowUs);
    return this.#lastUs;
  }
}

export const LEAST_SKEW_US = -2_000_000;
export const MOST_SKEW_US = 1_000_000;

/** Logs by topic as one, as a process reaches it. */
export function logsFor(logs: ReadonlyMap<string, SimulatedLog>, process: Process): EventLog {
  const all = new Map([...logs].map(([topic, log]) => [topic, log.for(process)]));
  const of = (topic: string) => all.get(topic)!;
  return {
    stampSlackMs: [...all.values()][0]!.stampSlackMs,
    partitions: (topic) => of(topic).partitions(topic),
    ends: (topic) => of(topic).ends(topic),
    positionsAt: (topic, timeUs) => of(topic).positionsAt(topic, timeUs),
    append: (topic, records) => of(topic).append(topic, records),
    consume: (topic, options) => of(topic).consume(topic, options),
    close: async () => {},
  };
}

export class SimulatedLog {
  readonly names: readonly string[];
  readonly records = new Map<string, LogRecord[]>();
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  #members: SimulatedConsumer[] = [];
  /** Positions leave gaps, as Kafka's do. */
  readonly #gaps: boolean;
  readonly #stamps: Stamps;

  constructor(partitions: number, scheduler: Scheduler, random: Random, stamps: Stamps) {
    this.#scheduler = scheduler;
    this.#stamps = stamps;
    this.#random = random;
    this.#gaps = random.chance(0.5);
    this.names = Array.from({ length: partitions }, (_, i) => `p${i}`);
    for (const name of this.names) this.records.set(name, []);
  }

  append(partition: string, value: Uint8Array | null, key: Uint8Array | null = null): RecordPlace {
    const records = this.records.get(partition)!;
    const last = records.at(-1)?.position ?? -1n;
    const position = last + 1n + BigInt(this.#gaps ? this.#random.below(3) : 0);
    const timestampUs = this.#stamps.next();
    records.push({ position, timestampUs, key, value, headers: NO_HEADERS });
    for (const member of this.#members) member.wake();
    return { partition, position };
  }

  end(partition: string): bigint {
    return (this.records.get(partition)!.at(-1)?.position ?? -1n) + 1n;
  }

  /** The log as a process reaches it. */
  for(process: Process): EventLog {
    const ends = () =>
      new Map<string, PartitionEnds>(
        this.names.map((name) => [name, { first: 0n, next: this.end(name) }]),
      );
    return {
      stampSlackMs: this.#stamps.slackMs,
      partitions: () => process.call(() => this.names),
      ends: () => process.call(ends),
      positionsAt: (_, timeUs) =>
        process.call(
          () => new Map(this.names.map((name) => [name, this.#positionAt(name, timeUs)])),
        ),
      append: (_, records) => process.call(() => records.map((record) => this.#place(record))),
      consume: async (_, { limits }) => {
        await process.call(() => {});
        // A member of whom nobody knows would be found out by its silence.
        const consumer = new SimulatedConsumer(this, process, limits?.records ?? 100, this.#random);
        this.#members.push(consumer);
        this.rebalance();
        return consumer;
      },
      close: async () => {},
    };
  }

  #place({ key, value }: NewRecord): RecordPlace {
    const name = key === null ? this.#random.pick(this.names) : this.nameOf(key);
    return this.append(name, value, key);
  }

  /** The partition of a key. */
  nameOf(key: Uint8Array): string {
    return this.names[key.reduce((sum, byte) => (sum * 31 + byte) % 9_973, 7) % this.names.length]!;
  }

  #positionAt(name: string, timeUs: number): bigint {
    const found = this.records.get(name)!.find(({ timestampUs }) => timestampUs >= timeUs);
    return found?.position ?? this.end(name);
  }

  /** Members who are dead or frozen get nothing; the partitions are shared anew. Those who lose some hear of it when they can. */
  rebalance(): void {
    const now = this.#scheduler.nowUs;
    this.#members = this.#members.filter(({ process, closed }) => process.alive && !closed);
    const awake = this.#members.filter(({ process }) => process.frozenUntilUs <= now);
    if (awake.length === 0) return;
    const from = this.#random.below(awake.length);
    const owners = new Map(this.names.map((name, i) => [name, awake[(from + i) % awake.length]!]));
    for (const [name, owner] of owners) owner.assign(name);
    for (const member of this.#members)
      for (const name of this.names) if (owners.get(name) !== member) member.revoke(name);
  }

  leave(consumer: SimulatedConsumer): void {
    this.#members = this.#members.filter((member) => member !== consumer);
    this.rebalance();
  }
}

class SimulatedConsumer implements Consumer {
  readonly process: Process;
  closed = false;
  readonly #log: SimulatedLog;
  readonly #limit: number;
  readonly #random: Random;
  /** What to read next, by partition; undefined until it is sought. */
  readonly #at = new Map<string, bigint | undefined>();
  #notices: ConsumerEvent[] = [];
  #waiting: (() => void) | null = null;

  constructor(log: SimulatedLog, process: Process, limit: number, random: Random) {
    this.#log = log;
    this.process = process;
    this.#limit = limit;
    this.#random = random;
  }

  assign(partition: string): void {
    if (this.#at.has(partition)) return;
    this.#at.set(partition, undefined);
    this.#notices.push({ type: 'assigned', partition });
    this.wake();
  }

  revoke(partition: string): void {
    if (!this.#at.delete(partition)) return;
    this.#notices.push({ type: 'revoked', partition });
    this.wake();
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.process.scheduler.after(this.#random.below(1_000), waiting);
  }

  async next(): Promise<ConsumerEvent | null> {
    if (this.#random.chance(this.process.faults.failBefore)) {
      await this.process.call(() => {});
      throw new SamewiseError('stream/unavailable', 'the log of the simulation cannot be reached');
    }
    return new Promise((resolve) => {
      const attempt = () => {
        const event = this.#take();
        if (event === undefined) this.#waiting = attempt;
        else this.process.deliver(() => resolve(event));
      };
      this.process.scheduler.after(this.#random.below(1_000), attempt);
    });
  }

  #take(): ConsumerEvent | null | undefined {
    if (this.closed) return null;
    const notice = this.#notices.shift();
    if (notice !== undefined) return notice;
    const random = this.#random;
    const ready = [...this.#at].filter(([p, at]) => at !== undefined && at < this.#log.end(p));
    if (ready.length === 0) return undefined;
    const [partition, at] = random.pick(ready) as [string, bigint];
    const all = this.#log.records.get(partition)!;
    let from = all.findIndex(({ position }) => position >= at);
    // Delivered once more.
    if (random.chance(this.process.faults.repeated)) from = Math.max(0, from - random.below(4));
    const records = all.slice(from, from + random.between(1, this.#limit));
    const last = records.at(-1)!.position + 1n;
    this.#at.set(partition, last > at ? last : at);
    return { type: 'records', partition, records, next: this.#log.end(partition) };
  }

  seek(partition: string, position: bigint): void {
    if (!this.#at.has(partition)) return;
    this.#at.set(partition, position);
    this.wake();
  }

  commit(): Promise<void> {
    return this.process.call(() => {});
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#log.leave(this);
    this.wake();
  }
}
