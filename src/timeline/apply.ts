/**
 * Applying changes to a timeline: in any order, in batches of any size, again and again. What a read then gives
 * depends only on the set of changes (see identity.ts), never on the way they came.
 *
 * Changes later than every block go to the open rows in the head; others rewrite the leaf they fall into and the index
 * blocks above it, each under a new number (copy on write).
 */
import { BlockMaker, LIMITS, type Limits } from './blocks.ts';
import {
  encodeHead,
  type HeadView,
  isEvicted,
  openAnyHead,
  openBlock,
  rootBytes,
} from './codec.ts';
import { EntriesView, type Entry } from './entries.ts';
import { precedence } from './identity.ts';
import type { Changes, Events, Layout } from './layout.ts';
import { mergeRows, type Winners, winnersOf } from './merge.ts';
import { type Prepared, prepare } from './prepare.ts';
import { dropOldRows, dropRows } from './retention.ts';
import { rowSizes } from './row_sizes.ts';
import { noEvents } from './rows.ts';
import { NO_TAIL, type Tail, type Tombstone } from './tail.ts';

/** A timeline as the online store has it. `head` absent: no events yet. Every block that the head names is there. */
export interface Stored {
  readonly head?: Uint8Array;
  /** The bytes of a block, which stay as they are until the call returns. */
  block(number: number): Uint8Array | undefined;
}

/** What to write: head and blocks together, then the dropped blocks are no longer named by anything. */
export interface Update {
  readonly head: Uint8Array;
  readonly putBlocks: Map<number, Uint8Array>;
  readonly dropBlocks: number[];
}

/**
 * The timeline after `changes`; null if they change nothing. `positions` are the log positions that the
 * changes reach, by source partition: the greatest is kept in the head (see `readPositions`).
 * Throws `timeline/damaged-page` or `timeline/unknown-format` before anything is made.
 */
export function applyChanges(
  layout: Layout,
  stored: Stored,
  changes: Changes,
  positions: ReadonlyMap<string, bigint> = new Map(),
  limits: Limits = LIMITS,
): Update | null {
  return new Applying(prepare(layout), stored, changes, limits).run(positions);
}

/** The highest log position absorbed of each source partition. */
export function readPositions(
  layout: Layout,
  head: Uint8Array | undefined,
): ReadonlyMap<string, bigint> {
  return head === undefined ? new Map() : openAnyHead(prepare(layout), head).tail.positions;
}

/** What a head says besides events: what was retracted or dropped, and how far it has come. */
export function tailOf(layout: Layout, head: Uint8Array): Tail {
  return openAnyHead(prepare(layout), head).tail;
}

/** The number that a head's next block gets; 1 for a key without a head. */
export function nextBlock(layout: Layout, head: Uint8Array | undefined): number {
  return head === undefined ? 1 : openAnyHead(prepare(layout), head).nextBlock;
}

class Applying {
  readonly #prepared: Prepared;
  readonly #stored: Stored;
  readonly #head: HeadView | null;
  /** The key's other events are in history: what is applied joins them when its page is built again. */
  readonly #evicted: boolean;
  readonly #maker: BlockMaker;
  readonly #winners: Winners;
  /** Tombstones by event; null until one is looked for or made. */
  #graves: Map<string, Tombstone> | null = null;
  #buried = false;

  constructor(prepared: Prepared, stored: Stored, changes: Changes, limits: Limits) {
    this.#prepared = prepared;
    this.#stored = stored;
    this.#evicted = stored.head !== undefined && isEvicted(stored.head);
    this.#head = stored.head === undefined ? null : openAnyHead(prepared, stored.head);
    this.#maker = new BlockMaker(prepared, limits, this.#head?.nextBlock ?? 1);
    const winners = winnersOf(prepared.layout.mutable, changes);
    this.#winners = { ...winners, rows: this.#admitted(winners) };
  }

  /** The changes that neither retention nor a tombstone turns away. */
  #admitted({ changes, arrivalUs, rows }: Winners): Winners['rows'] {
    const tail = this.#head?.tail ?? NO_TAIL;
    if (tail.droppedUs === Number.NEGATIVE_INFINITY && tail.tombstones.length === 0) return rows;
    const graves = this.#gravesNow();
    return Array.from(rows).filter((change) => {
      if (changes.timeUs[change]! <= tail.droppedUs) return false;
      const name = graveName(changes.timeUs[change]!, changes.id[change]!);
      const grave = graves.get(name);
      if (grave === undefined) return true;
      const retract = changes.retract === null ? 0 : changes.retract[change]!;
      const { mutable } = this.#prepared.layout;
      if (precedence(mutable, arrivalUs[change]!, retract, grave.arrivalUs, 1) <= 0) return false;
      this.#buried = true;
      if (retract === 1) graves.set(name, { ...grave, arrivalUs: arrivalUs[change]! });
      else graves.delete(name);
      return retract === 0;
    });
  }

  #gravesNow(): Map<string, Tombstone> {
    if (this.#graves === null) {
      this.#graves = new Map();
      for (const grave of this.#head?.tail.tombstones ?? [])
        this.#graves.set(graveName(grave.timeUs, grave.id), grave);
    }
    return this.#graves;
  }

  #bury = (change: number): void => {
    const { changes, arrivalUs } = this.#winners;
    const timeUs = changes.timeUs[change]!;
    const id = changes.id[change]!;
    this.#gravesNow().set(graveName(timeUs, id), { timeUs, id, arrivalUs: arrivalUs[change]! });
    this.#buried = true;
  };

  run(positions: ReadonlyMap<string, bigint>): Update | null {
    const { mutable, columns } = this.#prepared.layout;
    const { rows, changes } = this.#winners;
    const view = this.#head?.root ?? null;
    const sealedUs = view === null ? Number.NEGATIVE_INFINITY : view.maxUs(view.length - 1);
    let late = 0;
    while (late < rows.length && changes.timeUs[rows[late]!]! <= sealedUs) late++;

    /** Null: the entries are those of the head, as they are. */
    let root = late === 0 ? null : this.#rewrite(view!.entries(), 0, late);
    const open = this.#head?.open.events() ?? noEvents(columns);
    const merged = mergeRows(mutable, open, this.#winners, late, rows.length, this.#bury);
    const moved = this.#reach(positions);
    if (root === null && merged === null && !this.#buried && moved === null) return null;

    let tail = this.#tail(moved);
    const events = merged ?? open;
    let kept = 0;
    ({ root, tail, kept } = this.#retain(root, tail, events));
    const sealed: Entry[] = [];
    const sizes = rowSizes(events, kept, events.length);
    const from = this.#maker.seal(events, sizes, kept, events.length, sealed);
    if (sealed.length > 0) root = [...(root ?? view?.entries() ?? []), ...sealed];
    if (root !== null) root = this.#maker.pack(root);
    return {
      head: encodeHead(
        this.#prepared,
        this.#maker.nextBlock,
        root ?? (this.#stored.head === undefined ? [] : rootBytes(this.#stored.head)),
        events,
        from,
        events.length,
        tail,
        this.#evicted,
      ),
      putBlocks: this.#maker.put,
      dropBlocks: this.#maker.drop,
    };
  }

  /** The head's positions after these; null if they are no further. */
  #reach(positions: ReadonlyMap<string, bigint>): Tail['positions'] | null {
    const known = (this.#head?.tail ?? NO_TAIL).positions;
    let moved: Map<string, bigint> | null = null;
    for (const [partition, position] of positions) {
      const before = known.get(partition);
      if (before !== undefined && before >= position) continue;
      moved ??= new Map(known);
      moved.set(partition, position);
    }
    return moved;
  }

  #tail(positions: Tail['positions'] | null): Tail {
    const tail = this.#head?.tail ?? NO_TAIL;
    if (!this.#buried && positions === null) return tail;
    const tombstones = this.#buried
      ? [...this.#gravesNow().values()].sort(
          (x, y) => x.timeUs - y.timeUs || (x.id < y.id ? -1 : x.id > y.id ? 1 : 0),
        )
      : tail.tombstones;
    return { ...tail, tombstones, positions: positions ?? tail.positions };
  }

  /** The entries after changes from…to, all of which lie at or before the last of them; null if they are the same. */
  #rewrite(entries: readonly Entry[], from: number, to: number): Entry[] | null {
    const { rows, changes } = this.#winners;
    const out: Entry[] = [];
    let changed = false;
    let lo = from;
    for (const entry of entries) {
      let hi = lo;
      while (hi < to && changes.timeUs[rows[hi]!]! <= entry.maxUs) hi++;
      const instead = lo === hi ? null : this.#rewriteBlock(entry, lo, hi);
      if (instead === null) out.push(entry);
      else {
        this.#maker.discard(entry.number);
        out.push(...instead);
        changed = true;
      }
      lo = hi;
    }
    return changed ? out : null;
  }

  #rewriteBlock(entry: Entry, from: number, to: number): Entry[] | null {
    const block = this.#open(entry);
    if (block instanceof EntriesView) {
      const entries = this.#rewrite(block.entries(), from, to);
      return entries === null ? null : this.#maker.indexes(entries);
    }
    const { mutable } = this.#prepared.layout;
    const events = mergeRows(mutable, block.events(), this.#winners, from, to, this.#bury);
    return events === null ? null : this.#maker.leaves(events, rowSizes(events, 0, events.length));
  }

  /** Lets go of blocks that are too old as a whole; without blocks, of the open rows that are. */
  #retain(
    root: Entry[] | null,
    tail: Tail,
    open: Events,
  ): { root: Entry[] | null; tail: Tail; kept: number } {
    const { retentionUs } = this.#prepared.layout;
    const view = this.#head?.root ?? null;
    const same = { root, tail, kept: 0 };
    // Of an evicted key nobody knows here what is to be dropped.
    if (retentionUs === null || this.#evicted) return same;
    const blocks = root === null ? (view?.length ?? 0) : root.length;
    if (blocks === 0) return { root, ...dropOldRows(this.#prepared, tail, open, 0, open.length) };
    const newestUs =
      open.length > 0
        ? open.timeUs[open.length - 1]!
        : root === null
          ? view!.maxUs(blocks - 1)
          : root[blocks - 1]!.maxUs;
    const horizonUs = newestUs - retentionUs;
    if ((root === null ? view!.maxUs(0) : root[0]!.maxUs) >= horizonUs) return same;
    const left = [...(root ?? view!.entries())];
    let shorter = tail;
    while (left.length > 0 && left[0]!.maxUs < horizonUs)
      shorter = this.#dropBlock(left.shift()!, shorter);
    return { root: left, tail: shorter, kept: 0 };
  }

  #dropBlock(entry: Entry, tail: Tail): Tail {
    const block = this.#open(entry);
    this.#maker.discard(entry.number);
    if (block instanceof EntriesView)
      return block.entries().reduce((shorter, child) => this.#dropBlock(child, shorter), tail);
    return dropRows(this.#prepared, tail, block.events(), 0, block.length);
  }

  #open(entry: Entry) {
    const { number, checksum, level } = entry;
    const page = this.#maker.put.get(number) ?? this.#stored.block(number);
    return openBlock(this.#prepared, page, number, checksum, level);
  }
}

function graveName(timeUs: number, id: bigint): string {
  return `${timeUs} ${id}`;
}
