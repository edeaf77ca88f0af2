/** The sweep of an aggregate that has no loop of its own but can take rows away: every row enters and leaves about once. */
import type { Column, ColumnBuilder } from '../types/column.ts';
import type { Aggregate } from './aggregate.ts';

/** A `sweep` of the aggregate; its one state is reused, since most entities have few rows. */
export function slidingSweep<S>(aggregate: Aggregate<S>): NonNullable<Aggregate<S>['sweep']> {
  let state: S | undefined;
  return (input, lo, hi, n, out) => {
    state ??= aggregate.create();
    sweep(aggregate, state, input, lo, hi, n, out);
  };
}

function sweep<S>(
  aggregate: Aggregate<S>,
  state: S,
  input: Column | null,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
): void {
  let left = 0;
  let right = 0;
  for (let i = 0; i < n; i++) {
    const l = lo[i]!;
    const r = hi[i]!;
    // Never true of windows that do not overlap.
    if (l - left + (r - right) < r - l) {
      // Rows go before others come, so that no state in between holds more than some window does.
      if (l > left) aggregate.remove!(state, input, left, l);
      if (r > right) aggregate.add(state, input, right, r, 'after');
    } else {
      aggregate.clear(state);
      aggregate.add(state, input, l, r, 'after');
    }
    left = l;
    right = r;
    if (aggregate.emit !== undefined) aggregate.emit(state, out);
    else out.push(aggregate.result(state));
  }
}
