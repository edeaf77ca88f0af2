/**
 * Entries: what the head or an index block knows of each block below it, in time order, with the partial of every
 * aggregate over the block's rows. A partial above PARTIAL_LIMIT bytes is not kept: a read goes down instead.
 *
 * A section of n entries for A aggregates: u32 n, u32 zero, earliest times (float64), latest times (float64), block numbers,
 * checksums, running counts of rows (u32 each), levels (u8, padded to 4), for each aggregate where its
 * partials begin (u32, from the section's start), lengths of partials (u16, aggregate by aggregate; 65535: not kept), partials.
 */
import type { Aggregate, Side } from '../aggregate/aggregate.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { PageBytes } from './column_codec.ts';
import type { PageBuffer } from './page_buffer.ts';

/** The most bytes of one partial in an entry. */
export const PARTIAL_LIMIT = 1024;
const NOT_KEPT = 0xffff;

export interface Entry {
  /** 0 for a leaf; an index block is one level above its entries. */
  readonly level: number;
  readonly number: number;
  /** The block's own checksum: another block under its number is noticed. */
  readonly checksum: number;
  /** Rows below. */
  readonly count: number;
  readonly minUs: number;
  readonly maxUs: number;
  /** Encoded state of each aggregate over the rows below; null: not kept. */
  readonly partials: readonly (Uint8Array | null)[];
}

/** About how many bytes an entry takes. */
export function entryBytes(entry: Entry): number {
  let bytes = 29;
  for (const partial of entry.partials) bytes += 2 + (partial === null ? 0 : partial.length);
  return bytes;
}

export function writeEntries(out: PageBuffer, entries: readonly Entry[], aggregates: number): void {
  const n = entries.length;
  const start = out.zeros(sectionStarts(n, aggregates).partials);
  const places = sectionStarts(n, aggregates);
  out.view.setUint32(start, n, true);
  let running = 0;
  entries.forEach((entry, i) => {
    running += entry.count;
    out.view.setFloat64(start + places.min + 8 * i, entry.minUs, true);
    out.view.setFloat64(start + places.max + 8 * i, entry.maxUs, true);
    out.view.setUint32(start + places.number + 4 * i, entry.number, true);
    out.view.setUint32(start + places.checksum + 4 * i, entry.checksum, true);
    out.view.setUint32(start + places.running + 4 * i, running, true);
    out.bytes[start + places.level + i] = entry.level;
  });
  for (let a = 0; a < aggregates; a++) {
    out.view.setUint32(start + places.starts + 4 * a, out.length - start, true);
    for (let i = 0; i < n; i++) {
      const partial = entries[i]!.partials[a]!;
      const length = partial === null ? NOT_KEPT : partial.length;
      out.view.setUint16(start + places.lengths + 2 * (a * n + i), length, true);
      if (partial !== null) out.raw(partial);
    }
  }
  out.align();
}

function sectionStarts(n: number, aggregates: number) {
  const min = 8;
  const max = min + 8 * n;
  const number = max + 8 * n;
  const checksum = number + 4 * n;
  const running = checksum + 4 * n;
  const level = running + 4 * n;
  const starts = Math.ceil((level + n) / 4) * 4;
  const lengths = starts + 4 * aggregates;
  return {
    min,
    max,
    number,
    checksum,
    running,
    level,
    starts,
    lengths,
    partials: lengths + 2 * aggregates * n,
  };
}

/** A section of entries in a page, read in place. */
export class EntriesView {
  readonly length: number;
  readonly #view: DataView;
  readonly #at: number;
  readonly #aggregates: number;
  readonly #bytes: Uint8Array;
  #reader: ByteReader | null = null;

  constructor(page: PageBytes, at: number, aggregates: number) {
    this.#view = page.view;
    this.#at = at;
    this.#aggregates = aggregates;
    this.#bytes = page.bytes;
    this.length = page.view.getUint32(at, true);
  }

  minUs(i: number): number {
    return this.#view.getFloat64(this.#at + 8 + 8 * i, true);
  }
  maxUs(i: number): number {
    return this.#view.getFloat64(this.#at + 8 + 8 * (this.length + i), true);
  }
  number(i: number): number {
    return this.#view.getUint32(this.#at + 8 + 16 * this.length + 4 * i, true);
  }
  checksum(i: number): number {
    return this.#view.getUint32(this.#at + 8 + 20 * this.length + 4 * i, true);
  }
  /** Rows in the entries before entry i. */
  rowsBefore(i: number): number {
    return i === 0 ? 0 : this.#view.getUint32(this.#at + 8 + 24 * this.length + 4 * (i - 1), true);
  }
  level(i: number): number {
    return this.#view.getUint8(this.#at + 8 + 28 * this.length + i);
  }
  get rows(): number {
    return this.rowsBefore(this.length);
  }

  /** The first entry whose latest row is not before `us`; `length` if there is none. */
  firstReaching(us: number): number {
    let lo = 0;
    let hi = this.length;
    while (lo < hi) {
      const middle = (lo + hi) >> 1;
      if (this.maxUs(middle) < us) lo = middle + 1;
      else hi = middle;
    }
    return lo;
  }

  /** The entry that holds the row of rank `rank` (0-based, below `rows`). */
  holding(rank: number): number {
    let lo = 0;
    let hi = this.length - 1;
    while (lo < hi) {
      const middle = (lo + hi) >> 1;
      if (this.rowsBefore(middle + 1) <= rank) lo = middle + 1;
      else hi = middle;
    }
    return lo;
  }

  /**
   * Adds the partials of entries lo…hi of one aggregate to `state`, the last first if they lie before what it holds.
   * Calls `descend(entry)` in their turn for those that are not kept.
   */
  absorb(
    aggregate: Aggregate,
    which: number,
    state: unknown,
    lo: number,
    hi: number,
    descend: (entry: number) => void,
  ): void {
    const n = this.length;
    const starts = this.#at + 8 + 28 * n + Math.ceil(n / 4) * 4;
    const lengths = starts + 4 * this.#aggregates + 2 * which * n;
    let at = this.#at + this.#view.getUint32(starts + 4 * which, true);
    for (let i = 0; i < hi; i++) {
      const length = this.#view.getUint16(lengths + 2 * i, true);
      if (length !== NOT_KEPT) at += length;
    }
    for (let i = hi - 1; i >= lo; i--) {
      const length = this.#view.getUint16(lengths + 2 * i, true);
      if (length === NOT_KEPT) descend(i);
      else {
        at -= length;
        absorbEncoded(aggregate, state, this.#readerAt(at), 'before');
      }
    }
  }

  /** A reader of the page at `offset`, the same one each time. */
  #readerAt(offset: number): ByteReader {
    this.#reader ??= new ByteReader(this.#bytes);
    this.#reader.offset = offset;
    return this.#reader;
  }

  /** All entries, sharing nothing with the page. */
  entries(): Entry[] {
    const n = this.length;
    const starts = this.#at + 8 + 28 * n + Math.ceil(n / 4) * 4;
    const partials: (Uint8Array | null)[][] = Array.from({ length: n }, () => []);
    for (let a = 0; a < this.#aggregates; a++) {
      const reader = this.#readerAt(this.#at + this.#view.getUint32(starts + 4 * a, true));
      for (let i = 0; i < n; i++) {
        const length = this.#view.getUint16(starts + 4 * this.#aggregates + 2 * (a * n + i), true);
        partials[i]!.push(length === NOT_KEPT ? null : reader.raw(length).slice());
      }
    }
    return partials.map((own, i) => ({
      level: this.level(i),
      number: this.number(i),
      checksum: this.checksum(i),
      count: this.rowsBefore(i + 1) - this.rowsBefore(i),
      minUs: this.minUs(i),
      maxUs: this.maxUs(i),
      partials: own,
    }));
  }
}

/** Adds an encoded state, by the aggregate's fast path where it has one. */
export function absorbEncoded(
  aggregate: Aggregate,
  state: unknown,
  reader: ByteReader,
  side: Side,
): void {
  if (aggregate.absorbEncoded !== undefined) aggregate.absorbEncoded(state, reader, side);
  else aggregate.absorb(state, aggregate.decode(reader), side);
}

const writer = new ByteWriter(4096);

/** A state's bytes for an entry: null if there are too many. */
export function encodePartial(aggregate: Aggregate, state: unknown): Uint8Array | null {
  const bytes = encodeState(aggregate, state);
  return bytes.length > PARTIAL_LIMIT ? null : bytes;
}

export function encodeState(aggregate: Aggregate, state: unknown): Uint8Array {
  aggregate.encode(state, writer);
  return writer.finish();
}
