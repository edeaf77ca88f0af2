/**
 * What a feature view's `features` callback returns: aggregates with a window, and latest values. Every method returns a
 * new object; nothing is changed.
 */

import type { AggregateSpec } from '../aggregate/aggregate.ts';
import { aggregateFor } from '../aggregate/index.ts';
import { LIFETIME, type Window } from '../aggregate/window.ts';
import { type DurationText, parseDuration } from '../base/duration.ts';
import { SamewiseError } from '../base/errors.ts';
import type { DurationUs } from '../base/time.ts';
import type { Expr, Value } from '../expr/index.ts';
import type { Feature, WhenStale } from '../model/index.ts';
import { type BoolType, bool, type Dtype } from '../types/dtype.ts';
import { Describable, NOTHING_SAID, type Parts, type Typed, typed } from './describable.ts';
import { durationOf } from './described.ts';
import type { Handle } from './handle.ts';
import { type FeatureRef, memberOf } from './use.ts';

/** A calendar unit that a window can start with (UTC; weeks start on Monday). */
export type SinceUnit = NonNullable<Window['sinceStartOf']>;

interface StoredParts extends Parts {
  readonly freshnessUs: DurationUs | null;
  readonly whenStale: WhenStale | null;
  readonly fallbacks: readonly FeatureRef<any>[];
}

/** Of a feature that nothing stands in for and that promises nothing. */
const PLAIN = { ...NOTHING_SAID, freshnessUs: null, whenStale: null, fallbacks: [] };

/** A feature that is kept, so that it can be missing or out of date. */
abstract class Stored<D extends Dtype, P extends StoredParts> extends Describable<D, P> {
  /** How old the newest applied event may be; the view's freshness without. No part of the meaning. */
  freshness(within: DurationText): this {
    return this.with({ freshnessUs: parseDuration(within) } as Partial<P>);
  }

  /**
   * What is answered while the promise of freshness is broken: the value with a mark (`serve`, unless told), nothing
   * (`null`: what stands in for a missing value does), or an error (`fail`). No part of the meaning.
   */
  whenStale(policy: 'serve' | WhenStale): this {
    return this.with({ whenStale: policy === 'serve' ? null : policy } as Partial<P>);
  }

  /**
   * Features of other views that stand in, the first that is present, where this one is not; a default comes after them.
   * Their keys are key columns of this view's entity or features looked up by those:
   * `avg(amount).over('7d').orElse(segmentSpending.via({ segment: profile.features.segment }).features.avg_amount_7d)`.
   * What stands in for a fallback itself does not count: all levels are named here. In training and online alike.
   */
  orElse(...fallbacks: readonly FeatureRef<NoInfer<D>>[]): this {
    const all: StoredParts['fallbacks'] = [...this.parts.fallbacks, ...fallbacks];
    return this.with({ fallbacks: all } as Partial<StoredParts> as Partial<P>);
  }

  /** What the feature's fallbacks are features of. */
  get needs(): readonly Handle[] {
    return this.parts.fallbacks.map((ref) => memberOf(ref).needs);
  }

  /** The parts of a plain feature that are absent where nothing was said. */
  protected stored(): Pick<Feature, 'freshnessUs' | 'fallbacks' | 'whenStale'> {
    const { freshnessUs, whenStale, fallbacks } = this.parts;
    return {
      freshnessUs,
      ...(whenStale !== null && { whenStale }),
      ...(fallbacks.length > 0 && {
        fallbacks: fallbacks.map((ref) => ({
          member: { ...memberOf(ref).member, as: null },
          feature: ref.feature,
        })),
      }),
    };
  }
}

interface AggregateParts extends StoredParts {
  readonly spec: () => AggregateSpec;
  readonly input: Typed | null;
  readonly window: Window;
  readonly windowed: boolean;
}

/** Of an aggregate that a view takes. */
export type Windowed = 'has a window';
/** Of an aggregate that a view does not take yet. */
export type Unwindowed =
  'needs a window: .over("7d"), .lifetime(), .sinceStartOf("day") or .overLast(10)';

/**
 * An aggregate on its way to a feature. It needs a window before a view takes it: `over`, `lifetime`, `sinceStartOf` or
 * `overLast`. `W` tells whether it has one, in words that the compiler shows.
 */
export class Aggregation<D extends Dtype, W extends Windowed | Unwindowed> extends Stored<
  D,
  AggregateParts
> {
  declare protected readonly state: W;

  /** Only rows for which `condition` is true. Several conditions must all hold. `overLast(n)` counts rows before it. */
  where(condition: Value<BoolType>): this {
    const { input } = this.parts;
    const then: Expr = input?.expr ?? { kind: 'literal', dtype: bool, value: true };
    const expr: Expr = {
      kind: 'case',
      branches: [{ when: typed(condition).expr, then }],
      otherwise: null,
    };
    return this.with({ input: { expr, dtype: input?.dtype ?? bool } });
  }

  /** Events of the last `size` before the read time T: T − size ≤ t < T. */
  over(size: DurationText): Aggregation<D, Windowed> {
    return this.window({ sizeUs: parseDuration(size) });
  }

  /** All events before T. */
  lifetime(): Aggregation<D, Windowed> {
    return this.window({ sizeUs: null });
  }

  /** Events since the start of T's day, week, … (UTC). */
  sinceStartOf(unit: SinceUnit): Aggregation<D, Windowed> {
    return this.window({ sinceStartOf: unit });
  }

  /** The `n` newest events of the view before T; within `over(…)` where both are given. */
  overLast(n: number): Aggregation<D, Windowed> {
    return this.window({ last: n });
  }

  /** Looks from T − by instead of T: for what is known only later, such as whether a payment was fraud. */
  delay(by: DurationText): this {
    return this.withWindow({ delayUs: parseDuration(by) });
  }

  /** T is first floored to a multiple of `step`; window and delay must be multiples of it. */
  hop(step: DurationText): this {
    return this.withWindow({ hopUs: parseDuration(step) });
  }

  private withWindow(change: Partial<Window>): this {
    return this.with({ window: { ...this.parts.window, ...change } });
  }

  private window(change: Partial<Window>): Aggregation<D, Windowed> {
    const window = { ...this.parts.window, ...change };
    return new Aggregation<D, Windowed>({ ...this.parts, window, windowed: true });
  }

  /** The plain feature. Throws `dsl/no-window`, or the coded error of the aggregate's type check. */
  toFeature(name: string): Feature {
    const { spec, input, window, windowed } = this.parts;
    const aggregate = spec();
    if (!windowed) {
      throw new SamewiseError('dsl/no-window', `${aggregate.fn} has no window`, {
        hint: 'add .over("7d"), .sinceStartOf("day"), .overLast(10), or .lifetime() for all events',
      });
    }
    const dtype = aggregateFor(aggregate, input?.dtype ?? null).output as D;
    return {
      name,
      ...this.described(dtype),
      dtype,
      aggregate,
      input: input?.expr ?? null,
      window,
      ...this.stored(),
    };
  }
}

interface LatestParts extends StoredParts {
  readonly value: Typed;
  readonly ttlUs: DurationUs | null;
}

/** The value of the entity's newest event. */
export class Latest<D extends Dtype> extends Stored<D, LatestParts> {
  declare protected readonly isLatest: true;

  /** Events older than T − within are not seen. */
  ttl(within: DurationText): this {
    return this.with({ ttlUs: parseDuration(within) });
  }

  /** The plain feature; `viewTtl` holds where it names none of its own. */
  toFeature(name: string, latest: AggregateSpec, viewTtl: DurationText | undefined): Feature {
    const { value, ttlUs } = this.parts;
    const dtype = value.dtype as D;
    return {
      name,
      ...this.described(dtype),
      dtype,
      aggregate: latest,
      input: value.expr,
      window: { ...LIFETIME, sizeUs: ttlUs ?? durationOf(viewTtl) },
      ...this.stored(),
    };
  }
}

/** An aggregate of `input` (null: of the rows themselves), yet without a window. */
export function aggregation<D extends Dtype>(
  spec: () => AggregateSpec,
  input: Value<any> | null,
): Aggregation<D, Unwindowed> {
  return new Aggregation<D, Unwindowed>({
    ...PLAIN,
    spec,
    input: input === null ? null : typed(input),
    window: LIFETIME,
    windowed: false,
  });
}

/**
 * The value of the newest event, null if it is null there. A plain column in `features` is the same; this form can say
 * more of itself: `latest(city).ttl('30d').describe('where the customer lives')`.
 */
export function latest<D extends Dtype>(value: Value<D>): Latest<D> {
  return new Latest<D>({
    ...PLAIN,
    value: typed(value),
    ttlUs: null,
  });
}
