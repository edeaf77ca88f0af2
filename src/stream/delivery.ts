/**
 * The reader's side of a consumer whose adapter reads ahead: what was read waits here, within limits, until it is asked for.
 * The adapter assigns and revokes partitions, fetches those that have a position while there is room, and delivers; this
 * keeps the order that `ConsumerEvent` promises and forgets what a `seek` or a revocation has overtaken.
 */
import { assert, type SamewiseError } from '../base/errors.ts';
import type { ConsumerEvent, ConsumerLimits, LogRecord } from './contract.ts';

const DEFAULT_LIMITS: ConsumerLimits = { records: 5_000, bytes: 4 * 1024 * 1024 };

/** What a record costs besides its key and value. */
export const RECORD_BYTES = 100;

/** A record whose adapter may know how many bytes it holds in all, as `deliver` counts them. */
export interface SizedRecord extends LogRecord {
  readonly size?: number;
}

/** An assigned partition: one object from assignment to revocation. */
export interface Cursor {
  readonly partition: string;
  /** What to fetch next; null: not known yet, or not to be fetched for it failed. */
  readonly position: bigint | null;
  /** Grows by each `seek`: what was asked for in an earlier turn is not wanted any more. */
  readonly turn: number;
}

type State = { -readonly [K in keyof Cursor]: Cursor[K] } & {
  /** Whether the reader has heard of the assignment: what it said before was about another one. */
  told: boolean;
  failure: SamewiseError | null;
};

interface Held {
  readonly event: ConsumerEvent;
  readonly bytes: number;
}

export class Delivery {
  readonly #limits: ConsumerLimits;
  readonly #cursors = new Map<string, State>();
  #held: Held[] = [];
  #heldRecords = 0;
  #heldBytes = 0;
  #error: SamewiseError | null = null;
  #closed = false;
  #waiting: (() => void) | null = null;
  #onChange: () => void = () => {};

  constructor(limits: Partial<ConsumerLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Calls `listener` when there may be more to fetch: a `seek`, room again, or the end. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes that may be fetched now; 0 while too much is held. */
  get roomBytes(): number {
    if (this.#heldRecords >= this.#limits.records) return 0;
    return Math.max(0, this.#limits.bytes - this.#heldBytes);
  }

  /** Records that may be fetched now, at least one: what bytes allow decides. */
  get roomRecords(): number {
    return Math.max(1, this.#limits.records - this.#heldRecords);
  }

  get assigned(): readonly string[] {
    return [...this.#cursors.keys()];
  }

  /** Partitions that can be fetched. */
  cursors(): readonly Cursor[] {
    return [...this.#cursors.values()].filter(({ position }) => position !== null);
  }

  /** Whether the cursor is one of an assignment that lasts. */
  wants(cursor: Cursor): boolean {
    return !this.#closed && this.#cursors.get(cursor.partition) === cursor;
  }

  /** Whether the reader has still to be given something of a partition. */
  holds(partition: string): boolean {
    return this.#held.some(({ event }) => event.partition === partition);
  }

  assign(partition: string): void {
    assert(!this.#cursors.has(partition), 'a partition is assigned once');
    this.#cursors.set(partition, {
      partition,
      position: null,
      turn: 0,
      told: false,
      failure: null,
    });
    this.#hold({ type: 'assigned', partition }, 0);
  }

  revoke(partition: string): void {
    const state = this.#cursors.get(partition);
    if (state === undefined) return;
    this.#forget(state);
    this.#cursors.delete(partition);
    this.#hold({ type: 'revoked', partition }, 0);
  }

  /** Takes what was fetched for `turn` of a cursor; the next fetch begins at `position`. What is not wanted any more is dropped. */
  deliver(
    cursor: Cursor,
    turn: number,
    records: readonly SizedRecord[],
    position: bigint,
    next: bigint,
  ): void {
    if (cursor.turn !== turn || this.#cursors.get(cursor.partition) !== cursor) return;
    (cursor as State).position = position;
    const { partition } = cursor;
    let from = 0;
    let bytes = 0;
    for (let i = 0; i < records.length; i++) {
      bytes += records[i]!.size ?? bytesOf(records[i]!);
      const full = i + 1 - from >= this.#limits.records || bytes >= this.#limits.bytes;
      if (!full && i + 1 < records.length) continue;
      const slice = from === 0 && i + 1 === records.length ? records : records.slice(from, i + 1);
      this.#hold({ type: 'records', partition, records: slice, next }, bytes);
      from = i + 1;
      bytes = 0;
    }
  }

  /** The partition cannot be read at its position: `next` throws this until there is another `seek`. */
  refuse(cursor: Cursor, turn: number, error: SamewiseError): void {
    if (cursor.turn !== turn) return;
    const state = cursor as State;
    state.position = null;
    state.failure = error;
    this.#wake();
  }

  /** Something is wrong for now: `next` throws it once, and delivers on when it has passed. */
  fail(error: SamewiseError): void {
    this.#error = error;
    this.#wake();
  }

  async next(): Promise<ConsumerEvent | null> {
    assert(this.#waiting === null, 'one call of next at a time');
    for (;;) {
      if (this.#closed) return null;
      const held = this.#held.shift();
      if (held !== undefined) return this.#give(this.#joined(held));
      for (const { failure } of this.#cursors.values()) if (failure !== null) throw failure;
      if (this.#error !== null) {
        const error = this.#error;
        this.#error = null;
        throw error;
      }
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  seek(partition: string, position: bigint): void {
    const state = this.#cursors.get(partition);
    if (!state?.told) return;
    this.#forget(state);
    state.position = position;
    state.turn++;
    state.failure = null;
    this.#onChange();
  }

  close(): void {
    this.#closed = true;
    this.#held = [];
    this.#wake();
    this.#onChange();
  }

  /** What is held next, together with more of its partition within the limits: small answers add up while the reader is busy. */
  #joined({ event, bytes }: Held): Held {
    if (event.type !== 'records') return { event, bytes };
    const { partition } = event;
    const joined = new Set<Held>();
    let { length } = event.records;
    let sum = bytes;
    for (const held of this.#held) {
      const more = held.event;
      if (more.partition !== partition) continue;
      if (more.type !== 'records' || length + more.records.length > this.#limits.records) break;
      if (sum + held.bytes > this.#limits.bytes) break;
      length += more.records.length;
      sum += held.bytes;
      joined.add(held);
    }
    if (joined.size === 0) return { event, bytes };
    this.#held = this.#held.filter((held) => !joined.has(held));
    const events = [event, ...[...joined].map((held) => held.event as typeof event)];
    const records = events.flatMap((one) => one.records);
    return { event: { ...event, records, next: events.at(-1)!.next }, bytes: sum };
  }

  #give({ event, bytes }: Held): ConsumerEvent {
    if (event.type === 'assigned') {
      const state = this.#cursors.get(event.partition);
      if (state !== undefined) state.told = true;
    } else if (event.type === 'records') {
      this.#heldRecords -= event.records.length;
      this.#heldBytes -= bytes;
      this.#onChange();
    }
    return event;
  }

  #hold(event: ConsumerEvent, bytes: number): void {
    this.#held.push({ event, bytes });
    this.#heldBytes += bytes;
    if (event.type === 'records') this.#heldRecords += event.records.length;
    this.#wake();
  }

  /** Drops records that are held of a partition. */
  #forget({ partition }: State): void {
    this.#held = this.#held.filter(({ event, bytes }) => {
      if (event.type !== 'records' || event.partition !== partition) return true;
      this.#heldRecords -= event.records.length;
      this.#heldBytes -= bytes;
      return false;
    });
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = null;
  }
}

function bytesOf({ key, value, headers }: LogRecord): number {
  let bytes = RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  if (headers.size > 0)
    for (const [name, content] of headers) bytes += name.length + content.length;
  return bytes;
}
