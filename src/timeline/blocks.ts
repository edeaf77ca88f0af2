/**
 * Making blocks: rows into leaves, entries into index blocks, each sized in bytes. Rows of one time never lie in two
 * blocks, so that the time alone says where an event is; such a run may make a block larger than the limit.
 */

import { ByteReader } from '../base/bytes.ts';
import { SamewiseError } from '../base/errors.ts';
import { checksumOf, encodeIndex, encodeLeaf } from './codec.ts';
import { absorbEncoded, type Entry, encodePartial, entryBytes } from './entries.ts';
import type { Events } from './layout.ts';
import type { Prepared } from './prepare.ts';
import type { RowSizes } from './row_sizes.ts';

export interface Limits {
  /** Bytes of a leaf: what an LMDB overflow page holds. */
  readonly pageBytes: number;
  /** Bytes of an index block. Fewer mean fewer partials to add at a window's edge, but more blocks on the way there. */
  readonly indexBytes: number;
  /** However wide rows and partials are, a block holds at least so many. */
  readonly minRows: number;
  readonly minEntries: number;
}

export const LIMITS: Limits = Object.freeze({
  pageBytes: 4080,
  indexBytes: 1200,
  minRows: 16,
  minEntries: 8,
});

/** Above this share of the limit the open rows (and lists of entries in the head) are sealed, by whole blocks. */
const SEAL_ABOVE = 1.25;

/** The blocks that one change makes and drops. */
export class BlockMaker {
  readonly #prepared: Prepared;
  readonly #limits: Limits;
  readonly put = new Map<number, Uint8Array>();
  readonly drop: number[] = [];
  nextBlock: number;

  constructor(prepared: Prepared, limits: Limits, nextBlock: number) {
    this.#prepared = prepared;
    this.#limits = limits;
    this.nextBlock = nextBlock;
  }

  /** Rows for a leaf after their header and directory. */
  get #room(): number {
    return this.#limits.pageBytes - 32 - 12 * this.#prepared.layout.columns.length;
  }

  /** Makes leaves of the rows lo…hi until few enough are left to stay open; returns where those begin. */
  seal(events: Events, sizes: RowSizes, lo: number, hi: number, root: Entry[]): number {
    let from = lo;
    while (hi - from > this.#limits.minRows && sizes(from, hi) > SEAL_ABOVE * this.#room) {
      const end = this.#cut(events, sizes, from, hi, this.#room);
      if (end === hi) break;
      root.push(this.#leaf(events, from, end));
      from = end;
    }
    return from;
  }

  /** Leaves of about equal size for rows that replace a leaf: none, one or more. */
  leaves(events: Events, sizes: RowSizes): Entry[] {
    const total = sizes(0, events.length);
    const share = total / Math.ceil(total / this.#room);
    const made: Entry[] = [];
    for (let lo = 0; lo < events.length; ) {
      const end = this.#cut(events, sizes, lo, events.length, Math.max(share, 1));
      made.push(this.#leaf(events, lo, end));
      lo = end;
    }
    return made;
  }

  /** The end of the largest run of rows from `lo` that fits, at a change of time; at least one time. */
  #cut(events: Events, sizes: RowSizes, lo: number, hi: number, limit: number): number {
    const { timeUs } = events;
    let end = lo;
    for (let high = hi; end < high; ) {
      const middle = (end + high + 1) >> 1;
      // Half a row of slack, so that equal shares do not leave one row over.
      if (sizes(lo, middle) <= limit + 0.5) end = middle;
      else high = middle - 1;
    }
    end = Math.min(hi, Math.max(end, lo + this.#limits.minRows));
    if (end === hi || timeUs[end] !== timeUs[end - 1]) return end;
    let back = end - 1;
    while (back > lo && timeUs[back - 1] === timeUs[end]) back--;
    if (back > lo) return back;
    while (end < hi && timeUs[end] === timeUs[lo]) end++;
    return end;
  }

  #leaf(events: Events, lo: number, hi: number): Entry {
    const { aggregates, inputs, scratch } = this.#prepared;
    const number = this.nextBlock++;
    const page = encodeLeaf(this.#prepared, number, events, lo, hi);
    this.put.set(number, page);
    const partials = aggregates.map((aggregate, a) =>
      partialOf(() => {
        aggregate.clear(scratch[a]);
        const input = inputs[a]!;
        aggregate.add(scratch[a], input < 0 ? null : events.columns[input]!, lo, hi, 'after');
        return encodePartial(aggregate, scratch[a]);
      }),
    );
    return {
      level: 0,
      number,
      checksum: checksumOf(page),
      count: hi - lo,
      minUs: events.timeUs[lo]!,
      maxUs: events.timeUs[hi - 1]!,
      partials,
    };
  }

  /** Index blocks of about equal size for entries that replace an index block: none, one or more. */
  indexes(entries: readonly Entry[]): Entry[] {
    const total = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    const share = total / Math.ceil(total / (SEAL_ABOVE * this.#limits.indexBytes));
    const made: Entry[] = [];
    for (let lo = 0; lo < entries.length; ) {
      let end = this.#fill(entries, lo, share + 0.5);
      if (entries.length - end < this.#limits.minEntries) end = entries.length;
      made.push(this.#index(entries.slice(lo, end)));
      lo = end;
    }
    return made;
  }

  /**
   * Puts the oldest entries of each level into an index block of the level above, while there are too many of them in
   * the head. The newest stay there, so that a read of recent time opens few blocks.
   */
  pack(root: readonly Entry[]): Entry[] {
    let packed = [...root];
    for (let level = 0; level <= (packed[0]?.level ?? -1); level++) {
      const list = packed.filter((entry) => entry.level === level);
      const above: Entry[] = [];
      let bytes = list.reduce((sum, entry) => sum + entryBytes(entry), 0);
      let at = 0;
      while (
        list.length - at > this.#limits.minEntries &&
        bytes > SEAL_ABOVE * this.#limits.indexBytes
      ) {
        const end = this.#fill(list, at, this.#limits.indexBytes);
        for (let i = at; i < end; i++) bytes -= entryBytes(list[i]!);
        above.push(this.#index(list.slice(at, end)));
        at = end;
      }
      if (at > 0)
        packed = [
          ...packed.filter((entry) => entry.level > level),
          ...above,
          ...list.slice(at),
          ...packed.filter((entry) => entry.level < level),
        ];
    }
    return packed;
  }

  #fill(entries: readonly Entry[], lo: number, limit: number): number {
    let end = lo;
    for (let bytes = 0; end < entries.length; end++) {
      bytes += entryBytes(entries[end]!);
      if (bytes > limit && end - lo >= this.#limits.minEntries) break;
    }
    return end;
  }

  #index(entries: readonly Entry[]): Entry {
    const { aggregates, scratch } = this.#prepared;
    const number = this.nextBlock++;
    const page = encodeIndex(this.#prepared, number, entries);
    this.put.set(number, page);
    const partials = aggregates.map((aggregate, a) =>
      partialOf(() => {
        aggregate.clear(scratch[a]);
        for (const entry of entries) {
          const partial = entry.partials[a]!;
          if (partial === null) return null;
          absorbEncoded(aggregate, scratch[a], new ByteReader(partial), 'after');
        }
        return encodePartial(aggregate, scratch[a]);
      }),
    );
    return {
      level: entries[0]!.level + 1,
      number,
      checksum: checksumOf(page),
      count: entries.reduce((sum, entry) => sum + entry.count, 0),
      minUs: entries[0]!.minUs,
      maxUs: entries.at(-1)!.maxUs,
      partials,
    };
  }

  /** A block that no longer counts. One made by this very change was never stored. */
  discard(number: number): void {
    if (!this.put.delete(number)) this.drop.push(number);
  }
}

/** A state beyond an aggregate's own limits is not kept: only a read of so many rows may fail by it. */
function partialOf(make: () => Uint8Array | null): Uint8Array | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof SamewiseError) return null;
    throw error;
  }
}
