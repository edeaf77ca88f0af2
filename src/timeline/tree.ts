/**
 * The rows of a timeline by their ranks, over the head's entries, its open rows and the blocks, which are opened when
 * they are needed and at most once.
 */
import { type HeadView, openBlock } from './codec.ts';
import { EntriesView } from './entries.ts';
import type { OpenedPages } from './opened.ts';
import type { Prepared } from './prepare.ts';
import type { RowsView } from './rows_codec.ts';

/**
 * Gives a block's bytes, which must stay as they are until the read returns; undefined if it is not at hand. The checksum is that of the block
 * that the index names: for who keeps blocks, since numbers of a key that was deleted and made again come back.
 */
export type BlockSource = (number: number, checksum: number) => Uint8Array | undefined;

export class Tree {
  readonly #prepared: Prepared;
  readonly #root: EntriesView | null;
  readonly #open: RowsView;
  readonly #block: BlockSource;
  readonly #before: OpenedPages | undefined;
  #opened: Map<number, RowsView | EntriesView | null> | null = null;
  /** Rows in blocks; the open rows have the ranks from here on. */
  readonly sealed: number;
  /** Blocks that were needed and not at hand. Where there are any, ranks and states are meaningless. */
  readonly missing: number[] = [];
  /** Set by `rank`: the time of the newest row before it, −∞ if there is none. */
  previousUs = Number.NEGATIVE_INFINITY;
  /** Set by `rank`: the time of the first row that is not before it, ∞ if there is none. */
  nextUs = Number.POSITIVE_INFINITY;

  constructor(
    prepared: Prepared,
    { root, open }: HeadView,
    block: BlockSource,
    before?: OpenedPages,
  ) {
    this.#prepared = prepared;
    this.#root = root;
    this.#open = open;
    this.#block = block;
    this.#before = before;
    this.sealed = root === null ? 0 : root.rows;
  }

  /** The first rank from `rank` on where a block of the root begins; any rank of an open row. */
  blockFrom(rank: number): number {
    if (rank >= this.sealed) return rank;
    const root = this.#root!;
    const entry = root.holding(rank);
    const begins = root.rowsBefore(entry);
    return begins === rank ? rank : root.rowsBefore(entry + 1);
  }

  /** How many rows happened before `us`. */
  rank(us: number): number {
    const root = this.#root;
    const open = this.#open;
    this.previousUs = Number.NEGATIVE_INFINITY;
    if (root === null || us > root.maxUs(root.length - 1)) {
      if (root !== null) this.previousUs = root.maxUs(root.length - 1);
      const rows = open.countBefore(us);
      if (rows > 0) this.previousUs = open.timeUs(rows - 1);
      this.nextUs = rows < open.length ? open.timeUs(rows) : Number.POSITIVE_INFINITY;
      return this.sealed + rows;
    }
    let rank = 0;
    for (let node: EntriesView = root; ; ) {
      const i = node.firstReaching(us);
      rank += node.rowsBefore(i);
      if (i > 0) this.previousUs = node.maxUs(i - 1);
      this.nextUs = node.minUs(i);
      if (this.nextUs >= us) return rank;
      const below = this.#below(node, i);
      if (below === null) return rank;
      if (below instanceof EntriesView) node = below;
      else {
        const rows = below.countBefore(us);
        this.previousUs = below.timeUs(rows - 1);
        this.nextUs = below.timeUs(rows);
        return rank + rows;
      }
    }
  }

  /** Adds the rows of ranks lo…hi to the states of the aggregates `active`, before what they hold. */
  add(lo: number, hi: number, active: readonly number[], states: readonly unknown[]): void {
    const { sealed } = this;
    const { aggregates, countsRows } = this.#prepared;
    const folded: number[] = [];
    for (let k = 0; k < active.length; k++) {
      const a = active[k]!;
      // How many rows there are, their ranks tell.
      if (countsRows[a]) aggregates[a]!.add(states[a], null, lo, hi, 'before');
      else folded.push(a);
    }
    if (folded.length === 0) return;
    if (hi > sealed)
      this.#addRows(this.#open, Math.max(lo, sealed) - sealed, hi - sealed, folded, states);
    if (lo < sealed) this.#addEntries(this.#root!, lo, Math.min(hi, sealed), folded, states);
  }

  #addRows(
    rows: RowsView,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const { aggregates, inputs, layout } = this.#prepared;
    for (let k = 0; k < active.length; k++) {
      const a = active[k]!;
      const input = inputs[a]!;
      // Of many rows latest takes one: their text need not be decoded for it.
      if (aggregates[a]!.fn === 'latest' && layout.columns[input]!.kind === 'string' && hi > lo)
        aggregates[a]!.add(states[a], rows.cell(input, hi - 1), 0, 1, 'before');
      else aggregates[a]!.add(states[a], input < 0 ? null : rows.column(input), lo, hi, 'before');
    }
  }

  /** Ranks lo…hi count from the node's first row; they are not empty. */
  #addEntries(
    node: EntriesView,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const { aggregates } = this.#prepared;
    const first = node.holding(lo);
    const last = node.holding(hi - 1);
    const firstFrom = node.rowsBefore(first);
    const lastTo = node.rowsBefore(last + 1);
    // Entries that lie inside as a whole.
    const from = lo > firstFrom ? first + 1 : first;
    const to = hi < lastTo ? last : last + 1;
    if (to <= last && last >= from)
      this.#descend(node, last, 0, hi - node.rowsBefore(last), active, states);
    for (let k = 0; from < to && k < active.length; k++) {
      const a = active[k]!;
      node.absorb(aggregates[a]!, a, states[a], from, to, (i) =>
        this.#descend(node, i, 0, node.rowsBefore(i + 1) - node.rowsBefore(i), [a], states),
      );
    }
    if (from > first) {
      const end = Math.min(hi, node.rowsBefore(first + 1)) - firstFrom;
      this.#addFrom(node, first, lo - firstFrom, end, active, states);
    }
  }

  /** Adds rows lo…hi of an entry: as its partial less the rows before lo, where those are fewer. */
  #addFrom(
    node: EntriesView,
    entry: number,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const { aggregates, inputs } = this.#prepared;
    const all = node.rowsBefore(entry + 1) - node.rowsBefore(entry);
    const below = this.#below(node, entry);
    if (below === null) return;
    if (below instanceof EntriesView) return this.#addEntries(below, lo, hi, active, states);
    if (hi < all || lo > hi - lo) return this.#addRows(below, lo, hi, active, states);
    for (const a of active) {
      const aggregate = aggregates[a]!;
      const input = inputs[a]!;
      const column = input < 0 ? null : below.column(input);
      let kept = aggregate.remove !== undefined;
      if (kept)
        node.absorb(aggregate, a, states[a], entry, entry + 1, () => {
          kept = false;
        });
      if (kept) aggregate.remove!(states[a], column, 0, lo);
      else aggregate.add(states[a], column, lo, hi, 'before');
    }
  }

  #descend(
    node: EntriesView,
    entry: number,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const below = this.#below(node, entry);
    if (below === null) return;
    if (below instanceof EntriesView) this.#addEntries(below, lo, hi, active, states);
    else this.#addRows(below, lo, hi, active, states);
  }

  /** The block below an entry; null if it is not at hand, which is then noted. */
  #below(node: EntriesView, entry: number): RowsView | EntriesView | null {
    const number = node.number(entry);
    let found = this.#opened?.get(number);
    if (found === undefined) {
      const checksum = node.checksum(entry);
      const page = this.#block(number, checksum);
      if (page === undefined) {
        this.missing.push(number);
        found = null;
      } else
        found = openBlock(this.#prepared, page, number, checksum, node.level(entry), this.#before);
      this.#opened ??= new Map();
      this.#opened.set(number, found);
    }
    return found;
  }
}
