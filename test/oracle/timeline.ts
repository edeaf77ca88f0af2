/**
 * The naive twin of the timeline: a list of deliveries, filtered and folded anew for each value. Nothing here is
 * shared with src/timeline; what is not obvious is wrong. The rules can be swapped, so that a test can break one on purpose.
 */
import type { AggregateSpec } from '../../src/aggregate/aggregate.ts';
import type { Window } from '../../src/aggregate/window.ts';
import type { Changes, Layout } from '../../src/timeline/layout.ts';
import { columnOf } from '../../src/types/column.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';

/** One delivery of an event of one key. */
export interface Delivery {
  readonly t: number;
  readonly a: number;
  readonly id: bigint;
  readonly retract: boolean;
  readonly values: readonly (Scalar | null)[];
}

export interface Rules {
  /** Whether a read at T sees an event of time t, leaving `last` aside. */
  readonly inWindow: (window: Window, t: number, readUs: number) => boolean;
  /** Order of events: by (t, a, id). */
  readonly compare: (x: Delivery, y: Delivery) => number;
  /** The value of an aggregate over inputs in event order; `input` null for count(). */
  readonly fold: (
    spec: AggregateSpec,
    input: Dtype | null,
    values: readonly (Scalar | null)[],
  ) => Scalar | null;
}

export function byTimeArrivalId(x: Delivery, y: Delivery): number {
  return x.t - y.t || x.a - y.a || (x.id < y.id ? -1 : x.id > y.id ? 1 : 0);
}

/** The events that stand, in order: of each (t, id) the winner, unless it is a retract. */
export function standing(
  mutable: boolean,
  deliveries: readonly Delivery[],
  contentOrder: (x: Delivery, y: Delivery) => number,
  compare: Rules['compare'] = byTimeArrivalId,
): Delivery[] {
  const events = Map.groupBy(deliveries, ({ t, id }) => `${t} ${id}`);
  return [...events.values()]
    .map((same) => winner(mutable, same, contentOrder))
    .filter((event) => !event.retract)
    .sort(compare);
}

function winner(
  mutable: boolean,
  same: readonly Delivery[],
  contentOrder: (x: Delivery, y: Delivery) => number,
): Delivery {
  const retracts = same.filter((delivery) => delivery.retract);
  if (!mutable && retracts.length > 0) return retracts[0]!;
  const arrivals = same.map((delivery) => delivery.a);
  const decisive = mutable ? Math.max(...arrivals) : Math.min(...arrivals);
  const left = same.filter((delivery) => delivery.a === decisive);
  return left.find((delivery) => delivery.retract) ?? left.toSorted(contentOrder)[0]!;
}

/** What an online store that applies each delivery when it arrives would hold for a read at T: a < T. */
export function arrivedBefore(deliveries: readonly Delivery[], readUs: number): Delivery[] {
  return deliveries.filter((delivery) => delivery.a < readUs);
}

/** The layout's values at T over standing events in order. */
export function valuesAt(
  layout: Layout,
  events: readonly Delivery[],
  readUs: number,
  rules: Rules,
): (Scalar | null)[] {
  return layout.reads.map(({ aggregate, window }) => {
    const { spec, input } = layout.aggregates[aggregate]!;
    let seen = events.filter((event) => rules.inWindow(window, event.t, readUs));
    if (window.last !== null) seen = seen.slice(Math.max(0, seen.length - window.last));
    return rules.fold(
      spec,
      input < 0 ? null : layout.columns[input]!,
      seen.map((event) => (input < 0 ? null : event.values[input]!)),
    );
  });
}

/** Statuses at T, given the values. */
export function statusesAt(
  layout: Layout,
  events: readonly Delivery[],
  readUs: number,
  values: readonly (Scalar | null)[],
  rules: Rules,
): string[] {
  const known = events.some((event) => event.t < readUs);
  return layout.reads.map(({ aggregate, window }, read) => {
    if (!known) return 'NOT_FOUND';
    if (values[read] !== null) return 'PRESENT';
    const seen = events.some((event) => rules.inWindow(window, event.t, readUs));
    const latest = layout.aggregates[aggregate]!.spec.fn === 'latest' && window.sizeUs !== null;
    return latest && !seen ? 'OUTSIDE_MAX_AGE' : 'NULL_VALUE';
  });
}

/** Deliveries as changes to a timeline. */
export function changesOf(layout: Layout, deliveries: readonly Delivery[]): Changes {
  return {
    length: deliveries.length,
    timeUs: Float64Array.from(deliveries, ({ t }) => t),
    arrivalUs: deliveries.every(({ t, a }) => t === a)
      ? null
      : Float64Array.from(deliveries, ({ a }) => a),
    id: BigInt64Array.from(deliveries, ({ id }) => id),
    retract: deliveries.some(({ retract }) => retract)
      ? Uint8Array.from(deliveries, ({ retract }) => (retract ? 1 : 0))
      : null,
    columns: layout.columns.map((dtype, c) =>
      columnOf(
        dtype,
        deliveries.map(({ retract, values }) => (retract ? null : values[c]!)),
      ),
    ),
  };
}
