/**
 * The contract of an aggregate: a commutative-where-possible, always associative fold over the rows of one
 * input column in event order. One aggregate a file; this file is all that the timeline and the sweep know of them.
 *
 * The value depends only on which rows were seen and on their order by (t, a, id): never on the order in
 * which states were combined or on how the rows were split.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';

/** What a definition says of an aggregate: plain data, part of its fingerprint. */
export interface AggregateSpec {
  /** Name in the catalogue: count, sum, avg, …, latest. */
  readonly fn: string;
  /** Constants such as k, q, error, limit; complete (defaults filled in), so that the fingerprint holds them. */
  readonly params: Readonly<Record<string, number>>;
}

/** Where the rows or the state that are added lie, relative to what the state already holds. */
export type Side = 'before' | 'after';

export interface Aggregate<S = unknown> {
  readonly fn: string;
  /** Dtype of the result. */
  readonly output: Dtype;
  /** Aggregates that name the same family here differ in `result` and `emit` alone; over one input they can share one state. */
  readonly family?: string;
  /** A new, empty state. */
  create(): S;
  /** Empties a state for reuse. */
  clear(state: S): void;
  /**
   * Adds rows lo (inclusive) to hi (exclusive) of `input`, all of which lie on `side` of what was added so far.
   * Null rows are skipped (except by `latest` and by count without input, for which `input` is null).
   */
  add(state: S, input: Column | null, lo: number, hi: number, side: Side): void;
  /** Takes rows away that were added before; only where the aggregate can do so exactly. Lets the sweep slide. */
  remove?(state: S, input: Column | null, lo: number, hi: number): void;
  /** Adds another state, whose rows all lie on `side`; `other` is left as it was and shares nothing with `state` after. */
  absorb(state: S, other: S, side: Side): void;
  /** The value: what the empty fold gives (0, [], null) if nothing was added. Does not change the state. */
  result(state: S): Scalar | null;
  /** Appends the value to a column of dtype `output`; the same value as `result`, without a scalar in between. */
  emit?(state: S, out: ColumnBuilder): void;
  /** The state in a canonical form: the same rows give the same bytes. */
  encode(state: S, writer: ByteWriter): void;
  decode(reader: ByteReader): S;
  /** Fast path: `absorb(state, decode(reader), side)` without the object in between. */
  absorbEncoded?(state: S, reader: ByteReader, side: Side): void;
  /**
   * Fast path of the offline sweep: for i in 0…n−1 appends to `out` the value of rows lo[i] to hi[i].
   * lo and hi are each non-decreasing. Must give the bits that create/add/result give.
   */
  sweep?(input: Column | null, lo: Int32Array, hi: Int32Array, n: number, out: ColumnBuilder): void;
}
