/** The door of the aggregates. */
import type { Dtype } from '../types/dtype.ts';
import type { Aggregate, AggregateSpec } from './aggregate.ts';
import { standIn } from './stand_in.ts';

export type { Aggregate, AggregateSpec, Side } from './aggregate.ts';
export * from './window.ts';

/** The aggregate of a spec for an input dtype. */
export function aggregateFor(spec: AggregateSpec, input: Dtype | null): Aggregate<any> {
  return standIn(spec, input);
}

/** A spec with its defaults filled in. */
export function completeSpec(
  fn: string,
  params: Readonly<Record<string, number>> = {},
): AggregateSpec {
  return { fn, params };
}
