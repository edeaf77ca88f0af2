/**
 * Rows in order. Those that fit into memory are sorted here, by radix: DuckDB needs several times as long, since its sort is made for
 * more than that.
 */
import { assert } from '../../base/errors.ts';
import type { Batch } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { compareUtf8 } from '../../types/scalar.ts';
import { BATCH_ROWS, mapBatch, sliceBatch, wordsOf } from './columns.ts';
import { PlacedRows } from './placed_rows.ts';

/** A part of a result that is wanted in order: the next rows, or all of them in any order. */
export interface Part {
  readonly batch: Batch;
  /** The columns that all rows are still to be sorted by, ascending with nulls last; null: they are. */
  readonly sortBy: readonly string[] | null;
}

/** The rows of the parts in order. */
export async function* inOrder(parts: AsyncIterable<Part>): AsyncGenerator<Batch> {
  for await (const { batch, sortBy } of parts)
    if (sortBy === null) yield batch;
    else yield* sortedBatches(batch, sortBy);
}

function* sortedBatches(batch: Batch, by: readonly string[]): Generator<Batch> {
  const sorted = putInOrder(batch, placesOf(by.map((column) => batch.columns[column]!)));
  for (let from = 0; from < batch.length; from += BATCH_ROWS)
    yield sliceBatch(sorted, from, Math.min(batch.length, from + BATCH_ROWS));
}

/** The rows where `places` says; null: as they are. */
export function putInOrder(batch: Batch, places: Int32Array | null): Batch {
  return places === null
    ? batch
    : mapBatch(batch, batch.length, (column) => putRows(column, places));
}

/** The rows of a column where `places` says. In this order of work most of what is written stays in the processor's cache. */
function putRows(column: Column, places: Int32Array): Column {
  const placed = new PlacedRows([column.dtype], column.length);
  placed.put(places, [column]);
  return placed.finish()[0]!;
}

/** An order of rows. */
export interface Order {
  /** The columns that make it; those after them were in order already. */
  readonly by: readonly Column[];
  /** The place of each row; null: its own. */
  readonly places: Int32Array | null;
}

/** The order by some columns (see `placesOf`). Where the values that make it are those of `known`, it is that one. */
export function orderOf(columns: readonly Column[], known: Order | null): Order {
  const last = columns.findLastIndex((column) => !isInOrder(column, null));
  const by = columns.slice(0, last + 1);
  const same = by.length === known?.by.length && by.every((c, i) => areSameLongs(c, known.by[i]!));
  return same ? known : { by, places: placesOf(by) };
}

/** Told for whole numbers only, as most keys are. */
function areSameLongs(x: Column, y: Column): boolean {
  if (x.kind !== 'int64' || y.kind !== 'int64' || x.validity !== null || y.validity !== null)
    return false;
  return x.length === y.length && areSameWords(wordsOf(x.data), wordsOf(y.data));
}

function areSameWords(x: Int32Array, y: Int32Array): boolean {
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return true;
}

/**
 * The place of each row in the order of some columns, as DuckDB orders them and nulls last; rows alike in all of them stay as they
 * were. Null if all do.
 */
function placesOf(columns: readonly Column[]): Int32Array | null {
  let order: Int32Array | null = null;
  /** Not done yet: the last one of all gives places. */
  let pass: Pass | null = null;
  // The least significant column first: each sort leaves what is alike to it as the ones before have put it.
  for (const column of columns.toReversed()) {
    if (pass !== null) order = ordered(pass, order);
    pass = null;
    if (isInOrder(column, order)) continue;
    for (const next of wordsInOrder(column).flatMap(passesOf)) {
      if (pass !== null) order = ordered(pass, order);
      pass = next;
    }
  }
  if (pass !== null) return places(pass, order);
  return order === null ? null : inverse(order);
}

/** The column as words without sign whose order is that of its values, the least significant first. */
function wordsInOrder(column: Column): Uint32Array[] {
  const words = valueWords(column);
  if (column.validity !== null)
    words.push(new Uint32Array(column.validity.map((valid) => 1 - valid)));
  return words;
}

const SIGN = 0x80000000;

function valueWords(column: Column): Uint32Array[] {
  switch (column.kind) {
    case 'bool':
      return [new Uint32Array(column.data)];
    case 'int32':
    case 'date':
      return [new Uint32Array(column.data.map((value) => value ^ SIGN))];
    case 'int64':
      return longWords(wordsOf(column.data), column.length, 0);
    case 'float32':
      return floatWords(new Float64Array(column.data));
    case 'float64':
    case 'timestamp':
      return floatWords(column.data);
    case 'string':
      return [ranks(column.data, compareUtf8)];
    case 'bytes':
      return [
        ranks(
          column.data.map((value) => Buffer.from(value).toString('latin1')),
          (x, y) => (x < y ? -1 : 1),
        ),
      ];
    default:
      assert(false, `nothing is sorted by a ${column.kind}`);
  }
}

function floatWords(data: Float64Array): Uint32Array[] {
  // A negative one is the greater the smaller its bits are.
  return longWords(new Int32Array(data.buffer, data.byteOffset, 2 * data.length), data.length, -1);
}

/** Of pairs of words, the lower first; bits of negative ones are flipped where `flip` has them set. Without the high ones if all are alike. */
function longWords(pairs: Int32Array, length: number, flip: number): Uint32Array[] {
  const low = new Uint32Array(length);
  let alike = true;
  for (let row = 0; row < length; row++) {
    const top = pairs[2 * row + 1]!;
    alike &&= top === pairs[1];
    low[row] = pairs[2 * row]! ^ (top < 0 ? flip : 0);
  }
  if (alike) return [low];
  const high = new Uint32Array(length);
  for (let row = 0; row < length; row++) {
    const top = pairs[2 * row + 1]!;
    high[row] = top ^ SIGN ^ (top < 0 ? flip & ~SIGN : 0);
  }
  return [low, high];
}

/** The rank of each text among the distinct ones. */
function ranks(texts: readonly string[], compare: (x: string, y: string) => number): Uint32Array {
  const distinct = [...new Set(texts)].sort(compare);
  const rank = new Map(distinct.map((text, i) => [text, i]));
  return Uint32Array.from(texts, (text) => rank.get(text)!);
}

/** Whether the rows in `order` already ascend. Told for numbers of 64 bits only: times and ids, which are often written in order. */
function isInOrder(column: Column, order: Int32Array | null): boolean {
  if (column.validity !== null) return false;
  if (column.kind === 'int64') return longsAscend(wordsOf(column.data), order, column.length);
  if (column.kind === 'float64' || column.kind === 'timestamp')
    return floatsAscend(column.data, order);
  return false;
}

function floatsAscend(data: Float64Array, order: Int32Array | null): boolean {
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const value = data[order === null ? i : order[i]!]!;
    if (value < before) return false;
    before = value;
  }
  return true;
}

function longsAscend(words: Int32Array, order: Int32Array | null, length: number): boolean {
  let high = -SIGN;
  let low = 0;
  for (let i = 0; i < length; i++) {
    const row = order === null ? i : order[i]!;
    const nextHigh = words[2 * row + 1]!;
    const nextLow = words[2 * row]! >>> 0;
    if (nextHigh < high || (nextHigh === high && nextLow < low)) return false;
    high = nextHigh;
    low = nextLow;
  }
  return true;
}

const DIGIT_BITS = 16;
const DIGIT = 2 ** DIGIT_BITS - 1;

/** A stable sort by one digit of a word: of how far it is above the least one, the bits from `shift` on. */
interface Pass {
  readonly word: Uint32Array;
  readonly least: number;
  readonly shift: number;
  /** Where the rows of each digit start. */
  readonly starts: Int32Array;
}

/** The passes that sort by a word, the least significant digit first: none if all are alike. */
function passesOf(word: Uint32Array): Pass[] {
  let least = word[0]!;
  let most = least;
  for (let row = 1; row < word.length; row++) {
    const value = word[row]!;
    if (value < least) least = value;
    else if (value > most) most = value;
  }
  const passes: Pass[] = [];
  for (let shift = 0; shift < 32 && (most - least) >>> shift > 0; shift += DIGIT_BITS) {
    const starts = new Int32Array(Math.min(DIGIT, (most - least) >>> shift) + 2);
    for (let row = 0; row < word.length; row++)
      starts[(((word[row]! - least) >>> shift) & DIGIT) + 1]!++;
    for (let digit = 1; digit < starts.length; digit++) starts[digit]! += starts[digit - 1]!;
    passes.push({ word, least, shift, starts });
  }
  return passes;
}

/** The rows in the order of a pass, which `order` (null: as they are) had put in order before. */
function ordered({ word, least, shift, starts }: Pass, order: Int32Array | null): Int32Array {
  const out = new Int32Array(word.length);
  for (let i = 0; i < out.length; i++) {
    const row = order === null ? i : order[i]!;
    out[starts[((word[row]! - least) >>> shift) & DIGIT]!++] = row;
  }
  return out;
}

/** As `ordered`, but for each row its place. */
function places({ word, least, shift, starts }: Pass, order: Int32Array | null): Int32Array {
  const out = new Int32Array(word.length);
  for (let i = 0; i < out.length; i++) {
    const row = order === null ? i : order[i]!;
    out[row] = starts[((word[row]! - least) >>> shift) & DIGIT]!++;
  }
  return out;
}

function inverse(order: Int32Array): Int32Array {
  const out = new Int32Array(order.length);
  for (let i = 0; i < out.length; i++) out[order[i]!] = i;
  return out;
}
