import { inContext, SamewiseError } from '../base/errors.ts';
import { Value } from '../expr/index.ts';
import type { OnDemandFeature, OnDemandView } from '../model/index.ts';
import type { Dtype } from '../types/dtype.ts';
import { strict, type Values, valuesOf } from './columns.ts';
import { Computed, computed } from './computed.ts';
import { type Columns, type DescribedOptions, describedOf, schemaOf } from './described.ts';
import { definitionOf } from './handle.ts';
import {
  type AnyUse,
  type ComputedUse,
  type FeaturesOf,
  memberOf,
  type RequestOf,
  useOf,
} from './use.ts';

/** What `features` of an on-demand view may return under each name. */
export type ComputedInput = Value<any> | Computed<any>;

type ComputedDtype<F> = F extends Value<infer D> ? D : F extends Computed<infer D> ? D : never;

/** What an on-demand view's callback is given: the request's columns, and the features of each used view by its alias. */
export type OnDemandInputs<R extends Columns, U extends Readonly<Record<string, AnyUse>>> = {
  readonly request: Values<R>;
} & { readonly [A in keyof U]: Values<FeaturesOf<U[A]>> };

export interface OnDemandViewOptions<
  R extends Columns,
  U extends Readonly<Record<string, AnyUse>>,
  F extends Readonly<Record<string, ComputedInput>>,
> extends DescribedOptions {
  /** Columns that the request brings along when serving, and the label row when training. */
  readonly request?: R;
  /** Views by alias: feature views, uses of them, other on-demand views. */
  readonly uses?: U;
  readonly features: (inputs: OnDemandInputs<R, U>) => F;
}

/**
 * Features computed at read time from request data and other features, by the same program in serving and training.
 *
 *     const context = onDemandView({
 *       name: 'amount_context', request: { amount: float64 }, uses: { spending },
 *       features: ({ request, spending }) => ({ amount_to_mean: request.amount.div(spending.avg_amount_7d) }),
 *     });
 */
export function onDemandView<
  F extends Readonly<Record<string, ComputedInput>>,
  R extends Columns = Record<never, never>,
  U extends Readonly<Record<string, AnyUse>> = Record<never, never>,
>(
  options: OnDemandViewOptions<R, U, F>,
): ComputedUse<
  { readonly [P in keyof F]: ComputedDtype<F[P]> },
  R & RequestOf<readonly U[keyof U][]>
> {
  return inContext({ view: options.name }, () => {
    const request = options.request ?? {};
    const used = Object.entries(options.uses ?? {}).map(
      ([alias, use]) => [alias, memberOf(use), use] as const,
    );
    const inputs: Record<string, unknown> = {};
    for (const [alias, { member }, use] of used) {
      const view = definitionOf(use);
      const types: Record<string, Dtype> = {};
      for (const { name, dtype } of view.features)
        if (member.features?.includes(name) ?? true) types[name] = dtype;
      inputs[alias] = valuesOf(types, `the view ${view.name}`, `${alias}.`);
    }
    inputs.request = valuesOf(request, 'the request', 'request.');
    const features = options.features(
      strict(inputs, (alias) => {
        throw new SamewiseError(
          'model/unknown-view',
          `nothing is used as ${JSON.stringify(alias)}`,
          {
            hint: `name it in uses: { ${alias}: … }`,
          },
        );
      }) as OnDemandInputs<R, U>,
    );
    const definition: OnDemandView = {
      kind: 'onDemandView',
      ...describedOf(options),
      request: schemaOf(request),
      uses: Object.fromEntries(used.map(([alias, { member }]) => [alias, member])),
      features: Object.entries(features).map(([name, feature]) =>
        inContext({ feature: name }, () => featureOf(name, feature)),
      ),
    };
    return useOf(
      definition,
      used.map(([, { needs }]) => needs),
      [],
    );
  });
}

function featureOf(name: string, feature: unknown): OnDemandFeature {
  if (feature instanceof Computed) return feature.toFeature(name);
  if (feature instanceof Value) return computed(feature).toFeature(name);
  throw new SamewiseError('dsl/not-a-feature', `${String(feature)} is not a feature`, {
    hint: 'return an expression over the request and the used views; aggregates belong in a featureView',
  });
}
