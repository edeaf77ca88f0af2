/** What is read of a timeline for a look-up: its features, and where a chain needs to know, whether there is any event. */
import { completeSpec } from '../aggregate/index.ts';
import { LIFETIME } from '../aggregate/window.ts';
import { type Layout, readTimeline } from '../timeline/index.ts';
import { type Dtype, int64 } from '../types/dtype.ts';
import type { Lookup } from './service_plan.ts';
import type { ViewProgram } from './view_program.ts';

/** Stands among positions of features for the number of the entity's events before T. */
const EVENTS = -1;

/** Positions of what a sweep is to give for a look-up, in the order of its columns: its features, then perhaps the number of events. */
export function sweptFeatures({ features, tellsFound }: Lookup): readonly number[] {
  return tellsFound ? [...features, EVENTS] : features;
}

/** The types of these columns. */
export function sweptDtypes({ dtypes, tellsFound }: Lookup): readonly Dtype[] {
  return tellsFound ? [...dtypes, int64] : dtypes;
}

/** The view's layout with the reads of what `sweptFeatures` names; for sweeps, not for pages. */
export function sweptLayout({ layout }: ViewProgram, features: readonly number[]): Layout {
  const { aggregates, reads } = layout;
  const count = { spec: completeSpec('count'), input: -1 };
  return {
    ...layout,
    aggregates: features.includes(EVENTS) ? [...aggregates, count] : aggregates,
    reads: features.map((feature) =>
      feature === EVENTS ? { aggregate: aggregates.length, window: LIFETIME } : reads[feature]!,
    ),
  };
}

/** Whether a feature has a value where there is no event, as counts do. */
export function isNeverNull({ layout }: ViewProgram, feature: number): boolean {
  return readTimeline(layout, undefined, () => undefined, 0, [feature]).values[0] !== null;
}
