/** The door of the aggregate room: the catalogue, the aggregates it makes, and the window predicate. */
import { nearest, SamewiseError } from '../base/errors.ts';
import { type Dtype, printDtype } from '../types/dtype.ts';
import type { Aggregate, AggregateSpec } from './aggregate.ts';
import { approxDistinct } from './approx_distinct.ts';
import { avg } from './avg.ts';
import { boolAnd } from './bool_and.ts';
import { boolOr } from './bool_or.ts';
import { count } from './count.ts';
import type { AggregateDefinition } from './definition.ts';
import { distinctCount } from './distinct_count.ts';
import { first } from './first.ts';
import { firstK } from './first_k.ts';
import { histogram } from './histogram.ts';
import { kurtosis } from './kurtosis.ts';
import { last } from './last.ts';
import { lastK } from './last_k.ts';
import { latest } from './latest.ts';
import { max } from './max.ts';
import { min } from './min.ts';
import { mode } from './mode.ts';
import { quantile } from './quantile.ts';
import { skewness } from './skewness.ts';
import { stddev } from './stddev.ts';
import { sum } from './sum.ts';
import { slidingSweep } from './sweep_sliding.ts';
import { topK } from './top_k.ts';
import { variance } from './variance.ts';

export type { Aggregate, AggregateSpec, Side } from './aggregate.ts';
export type { AggregateDefinition, InputRule, ParamDefinition } from './definition.ts';
export { LIFETIME, type Window, windowEnd, windowReach, windowStart } from './window.ts';

const DEFINITIONS: readonly AggregateDefinition[] = [
  count,
  sum,
  avg,
  min,
  max,
  variance,
  stddev,
  skewness,
  kurtosis,
  first,
  last,
  latest,
  firstK,
  lastK,
  distinctCount,
  approxDistinct,
  quantile,
  mode,
  topK,
  histogram,
  boolAnd,
  boolOr,
];

/** Every aggregate by its name, in the order of the documentation. */
export const AGGREGATES: ReadonlyMap<string, AggregateDefinition> = new Map(
  DEFINITIONS.map((definition) => [definition.fn, definition]),
);

function definitionOf(fn: string): AggregateDefinition {
  const definition = AGGREGATES.get(fn);
  if (definition !== undefined) return definition;
  const near = nearest(fn, AGGREGATES.keys());
  throw new SamewiseError('aggregate/unknown', `there is no aggregate ${JSON.stringify(fn)}`, {
    hint:
      near === undefined ? `one of ${[...AGGREGATES.keys()].join(', ')}` : `did you mean ${near}?`,
  });
}

/**
 * The specification of an aggregate with every parameter filled in.
 * Throws `aggregate/unknown`, or `aggregate/bad-param` for one that is missing, unknown or out of its limits.
 */
export function completeSpec(
  fn: string,
  params: Readonly<Record<string, number>> = {},
): AggregateSpec {
  const { params: known } = definitionOf(fn);
  for (const name of Object.keys(params)) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    throw new SamewiseError('aggregate/bad-param', `${fn} has no parameter ${name}`, {
      hint: names.length === 0 ? `${fn} takes none` : `it takes ${names.join(', ')}`,
    });
  }
  const complete: Record<string, number> = {};
  for (const [name, { doc, default: usual, rule, accepts }] of Object.entries(known)) {
    const value = Object.hasOwn(params, name) ? params[name] : usual;
    if (value === null || value === undefined) {
      throw new SamewiseError('aggregate/bad-param', `${fn} needs ${name}: ${doc}`, {
        hint: `give ${rule}`,
      });
    }
    if (typeof value !== 'number' || !accepts(value)) {
      throw new SamewiseError(
        'aggregate/bad-param',
        `${JSON.stringify(value)} is not a ${name} of ${fn}`,
        { hint: `give ${rule}` },
      );
    }
    complete[name] = value;
  }
  return { fn, params: complete };
}

/**
 * The aggregate of a specification over a column of type `input` (null: over the events themselves, as count() does).
 * It always has a `sweep`. Throws what `completeSpec` throws, or `aggregate/bad-input` for a type that the aggregate does not take.
 */
export function aggregateFor(spec: AggregateSpec, input: Dtype | null): Aggregate<any> {
  const definition = definitionOf(spec.fn);
  const { params } = completeSpec(spec.fn, spec.params);
  if (!definition.input.accepts(input)) {
    throw new SamewiseError(
      'aggregate/bad-input',
      input === null
        ? `${spec.fn} needs an input: ${definition.input.text}`
        : `${spec.fn} does not take a ${printDtype(input)}`,
      { hint: `it takes ${definition.input.text}` },
    );
  }
  const made = definition.make(params, input);
  return made.sweep === undefined ? { ...made, sweep: slidingSweep(made) } : made;
}
