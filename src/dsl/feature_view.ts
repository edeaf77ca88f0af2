import type { AggregateSpec } from '../aggregate/aggregate.ts';
import { completeSpec } from '../aggregate/index.ts';
import { type DurationText, parseDuration } from '../base/duration.ts';
import { inContext, SamewiseError } from '../base/errors.ts';
import { Value } from '../expr/index.ts';
import type { Feature, FeatureView } from '../model/index.ts';
import type { BoolType, Dtype } from '../types/dtype.ts';
import { type Values, valuesOf } from './columns.ts';
import { type Columns, type DescribedOptions, describedOf, durationOf } from './described.ts';
import type { EntityHandle } from './entity.ts';
import { Aggregation, Latest, latest, type Windowed } from './feature.ts';
import { definitionOf } from './handle.ts';
import type { SourceHandle } from './source.ts';
import { type Use, useOf } from './use.ts';

/** What `features` may return under each name: a column or expression (its latest value), or an aggregate with a window. */
export type FeatureInput = Value<any> | Latest<any> | Aggregation<any, Windowed>;

/** The type of a feature's values. */
export type FeatureDtype<F> =
  F extends Value<infer D>
    ? D
    : F extends Latest<infer D>
      ? D
      : F extends Aggregation<infer D, Windowed>
        ? D
        : never;

/** Names of the columns of exactly this type. */
type ColumnsOfType<C extends Columns, D extends Dtype> = {
  [P in keyof C]: C[P] extends D ? (D extends C[P] ? P : never) : never;
}[keyof C] &
  string;

/** Key columns that the source does not have under the same name and type. */
type Unmatched<K extends Columns, C extends Columns> = {
  [P in keyof K]: P extends ColumnsOfType<C, K[P]> ? never : P;
}[keyof K];

/** Which source column holds each key column; may be left out where the names are the same. */
type Keys<K extends Columns, C extends Columns> = [Unmatched<K, C>] extends [never]
  ? { readonly keys?: { readonly [P in keyof K]?: ColumnsOfType<C, K[P]> } }
  : {
      readonly keys: { readonly [P in Unmatched<K, C>]: ColumnsOfType<C, K[P]> } & {
        readonly [P in keyof K]?: ColumnsOfType<C, K[P]>;
      };
    };

export interface FeatureViewOptions<
  K extends Columns,
  C extends Columns,
  F extends Readonly<Record<string, FeatureInput>>,
> extends DescribedOptions {
  readonly entity: EntityHandle<K>;
  readonly source: SourceHandle<C>;
  /** Only rows for which this is true belong to the view. */
  readonly where?: (columns: Values<C>) => Value<BoolType>;
  readonly features: (columns: Values<C>) => F;
  /** Latest values older than this are not seen; a feature's own `ttl` comes first. */
  readonly ttl?: DurationText;
  /** How old the newest applied event may be; no part of the meaning. */
  readonly freshness?: DurationText;
  /** How long raw events are kept online; without it all are. At least the longest window, its delay and the source's lateness. */
  readonly retention?: DurationText;
  /** How long a key stays online after its newest event; it is fetched from history when it is read later. Without it, for ever. No part of the meaning. */
  readonly onlineFor?: DurationText;
}

/** What `featureView` returns: a use of the view under its own keys, and references to its features. */
export type FeatureViewHandle<K extends Columns, F extends Columns> = Use<K, F>;

/**
 * Features of one entity computed from one source.
 *
 *     const spending = featureView({
 *       name: 'customer_spending', entity: customer, source: transactions, freshness: '5s',
 *       features: ({ amount }) => ({
 *         tx_count_1d: count().over('1d'),
 *         avg_amount_7d: avg(amount).over('7d').describe('mean amount of the last seven days'),
 *         last_5_amounts: lastK(amount, 5).over('30d'),
 *       }),
 *     });
 *
 * Throws the coded error of the first feature that does not fit, with its name; `validateCatalog` checks the rest.
 */
export function featureView<
  K extends Columns,
  C extends Columns,
  F extends Readonly<Record<string, FeatureInput>>,
>(
  options: FeatureViewOptions<K, C, F> & Keys<K, C>,
): FeatureViewHandle<K, { readonly [P in keyof F]: FeatureDtype<F[P]> }> {
  return inContext({ view: options.name }, () => {
    const entity = definitionOf(options.entity);
    const source = definitionOf(options.source);
    const columns = valuesOf(options.source.columns, `the source ${source.name}`);
    const latestSpec = completeSpec('latest');
    const key = entity.key.map(({ name }) => name);
    const mapped = (options.keys ?? {}) as Readonly<Record<string, string | undefined>>;
    const features = Object.entries(options.features(columns));
    const definition: FeatureView = {
      kind: 'featureView',
      ...describedOf(options),
      entity: entity.name,
      source: source.name,
      keys: key.map((name) => mapped[name] ?? name),
      where: options.where?.(columns).expr ?? null,
      features: features.map(([name, feature]) =>
        inContext({ feature: name }, () => featureOf(name, feature, latestSpec, options.ttl)),
      ),
      freshnessUs: durationOf(options.freshness),
      retentionUs: durationOf(options.retention),
      ...(options.onlineFor !== undefined && { onlineForUs: parseDuration(options.onlineFor) }),
    };
    const fallbacks = features.flatMap(([, feature]) => ('needs' in feature ? feature.needs : []));
    return useOf(definition, [options.entity, options.source, ...fallbacks], key);
  });
}

function featureOf(
  name: string,
  feature: unknown,
  latestSpec: AggregateSpec,
  ttl: DurationText | undefined,
): Feature {
  if (feature instanceof Aggregation) return feature.toFeature(name);
  if (feature instanceof Value) return latest(feature).toFeature(name, latestSpec, ttl);
  if (feature instanceof Latest) return feature.toFeature(name, latestSpec, ttl);
  throw new SamewiseError('dsl/not-a-feature', `${String(feature)} is not a feature`, {
    hint: 'return a column, an expression over columns, or an aggregate such as avg(amount).over("7d")',
  });
}
