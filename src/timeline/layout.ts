/** What a timeline is told of its view: columns and aggregates by position, no names. */
import type { AggregateSpec } from '../aggregate/aggregate.ts';
import type { Window } from '../aggregate/window.ts';
import type { DurationUs } from '../base/time.ts';
import type { Column } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';

export interface Layout {
  /** Dtypes of the row columns: the evaluated inputs of the view's aggregates, `where` already folded in as nulls. */
  readonly columns: readonly Dtype[];
  /** Each distinct (aggregate, input column); input −1 for count(). Their partials are kept per block. */
  readonly aggregates: readonly { readonly spec: AggregateSpec; readonly input: number }[];
  /** One per feature, in the view's order: what a read returns. */
  readonly reads: readonly { readonly aggregate: number; readonly window: Window }[];
  /** Mutable sources: the later arrival of an id wins. Append-only: a repeat changes nothing (the earliest arrival stays). */
  readonly mutable: boolean;
  /** How far behind the newest known time raw rows are kept; null keeps all. */
  readonly retentionUs: DurationUs | null;
}

/**
 * Events of one entity key as columns. Unless stated otherwise sorted by (t, a, id).
 * `arrivalUs` null means a = t for every row. `columns` are in the layout's order.
 */
export interface Events {
  readonly length: number;
  readonly timeUs: Float64Array;
  readonly arrivalUs: Float64Array | null;
  /** 64 bits an event: the id itself where it is a whole number, else `hash64` of its canonical bytes. */
  readonly id: BigInt64Array;
  readonly columns: readonly Column[];
}

/** Changes to a timeline, in any order. `retract[i]` = 1 takes the event (t, id) away; its column values are ignored. */
export interface Changes extends Events {
  readonly retract: Uint8Array | null;
}
