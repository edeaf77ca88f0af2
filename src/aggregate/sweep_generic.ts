/**
 * The sweep of an aggregate that has no loop of its own. Windows that hardly overlap are folded anew. Otherwise rows
 * slide out where the aggregate can take them away; where it cannot, states over aligned blocks of 64 rows, of 64
 * such blocks and so on are kept, and a window is what they cover plus its two ragged ends: never quadratic.
 */
import type { Column, ColumnBuilder } from '../types/column.ts';
import type { Aggregate } from './aggregate.ts';

const BLOCK = 64;
/** Rows folded anew for every row that lies under the windows: up to here, blocks are not worth their merging. */
const FEW = 8;

export function sweepGeneric<S>(
  aggregate: Aggregate<S>,
  input: Column | null,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
): void {
  if (n === 0) return;
  if (aggregate.remove !== undefined) slide(aggregate, input, lo, hi, n, out);
  else if (foldedAnew(lo, hi, n) <= FEW * (hi[n - 1]! - lo[0]!))
    fold(aggregate, input, lo, hi, n, out);
  else new Blocks(aggregate, input, lo[0]!).sweep(lo, hi, n, out);
}

function emit<S>(aggregate: Aggregate<S>, state: S, out: ColumnBuilder): void {
  if (aggregate.emit !== undefined) aggregate.emit(state, out);
  else out.push(aggregate.result(state));
}

/** Rows that `fold` adds. */
function foldedAnew(lo: Int32Array, hi: Int32Array, n: number): number {
  let rows = hi[0]! - lo[0]!;
  for (let i = 1; i < n; i++) rows += hi[i]! - (lo[i] === lo[i - 1] ? hi[i - 1]! : lo[i]!);
  return rows;
}

function fold<S>(
  aggregate: Aggregate<S>,
  input: Column | null,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
): void {
  const state = aggregate.create();
  for (let i = 0; i < n; i++) {
    if (i > 0 && lo[i] === lo[i - 1]) aggregate.add(state, input, hi[i - 1]!, hi[i]!, 'after');
    else {
      aggregate.clear(state);
      aggregate.add(state, input, lo[i]!, hi[i]!, 'after');
    }
    emit(aggregate, state, out);
  }
}

function slide<S>(
  aggregate: Aggregate<S>,
  input: Column | null,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
): void {
  const state = aggregate.create();
  let left = 0;
  let right = 0;
  for (let i = 0; i < n; i++) {
    const l = lo[i]!;
    const r = hi[i]!;
    if (l < right && l - left + (r - right) < r - l) {
      // Rows go before others come, so that no state in between holds more than some window does.
      if (l > left) aggregate.remove!(state, input, left, l);
      if (r > right) aggregate.add(state, input, right, r, 'after');
    } else {
      aggregate.clear(state);
      aggregate.add(state, input, l, r, 'after');
    }
    left = l;
    right = r;
    emit(aggregate, state, out);
  }
}

/** States over aligned blocks of rows, counted from the first row of the first window, made when they are first needed. */
class Blocks<S> {
  readonly #aggregate: Aggregate<S>;
  readonly #input: Column | null;
  readonly #origin: number;
  /** By level, then by the block's number; a block of level v has BLOCK^(v+1) rows. */
  readonly #states: Map<number, S>[] = [];

  constructor(aggregate: Aggregate<S>, input: Column | null, origin: number) {
    this.#aggregate = aggregate;
    this.#input = input;
    this.#origin = origin;
  }

  sweep(lo: Int32Array, hi: Int32Array, n: number, out: ColumnBuilder): void {
    const aggregate = this.#aggregate;
    const state = aggregate.create();
    for (let i = 0; i < n; i++) {
      aggregate.clear(state);
      this.#gather(state, lo[i]! - this.#origin, hi[i]! - this.#origin);
      emit(aggregate, state, out);
      if (i > 0) this.#forget(lo[i - 1]! - this.#origin, lo[i]! - this.#origin);
    }
  }

  /** Adds rows from…to, by the largest blocks that fit, from left to right. */
  #gather(state: S, from: number, to: number): void {
    const aggregate = this.#aggregate;
    for (let at = from; at < to; ) {
      let size = 1;
      let level = -1;
      while (at % (size * BLOCK) === 0 && at + size * BLOCK <= to) {
        size *= BLOCK;
        level++;
      }
      if (level >= 0) {
        aggregate.absorb(state, this.#block(level, at / size), 'after');
        at += size;
      } else {
        const end = Math.min(to, at - (at % BLOCK) + BLOCK);
        aggregate.add(state, this.#input, this.#origin + at, this.#origin + end, 'after');
        at = end;
      }
    }
  }

  #block(level: number, number: number): S {
    const states = (this.#states[level] ??= new Map());
    let state = states.get(number);
    if (state === undefined) {
      state = this.#aggregate.create();
      if (level === 0) {
        const from = this.#origin + number * BLOCK;
        this.#aggregate.add(state, this.#input, from, from + BLOCK, 'after');
      } else
        for (let child = number * BLOCK; child < (number + 1) * BLOCK; child++)
          this.#aggregate.absorb(state, this.#block(level - 1, child), 'after');
      states.set(number, state);
    }
    return state;
  }

  /** Drops the blocks that begin before `now` and did not before `then`: no later window holds them. */
  #forget(then: number, now: number): void {
    let size = BLOCK;
    for (const states of this.#states) {
      for (let block = Math.floor(then / size); block * size < now; block++) states.delete(block);
      size *= BLOCK;
    }
  }
}
