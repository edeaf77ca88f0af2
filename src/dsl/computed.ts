import type { Value } from '../expr/index.ts';
import type { OnDemandFeature } from '../model/index.ts';
import type { Dtype } from '../types/dtype.ts';
import { Describable, NOTHING_SAID, type Parts, type Typed, typed } from './describable.ts';

interface ComputedParts extends Parts {
  readonly value: Typed;
}

/** A feature of an on-demand view that says more of itself than its expression. */
export class Computed<D extends Dtype> extends Describable<D, ComputedParts> {
  declare protected readonly isComputed: true;

  /** The plain feature. */
  toFeature(name: string): OnDemandFeature {
    const { expr, dtype } = this.parts.value;
    return { name, ...this.described(dtype as D), dtype, expr };
  }
}

/**
 * An expression as a feature of an on-demand view, to describe it or give it a default:
 * `computed(request.amount.div(spending.avg_amount_7d)).default(1).describe('1 is as usual')`.
 */
export function computed<D extends Dtype>(value: Value<D>): Computed<D> {
  return new Computed<D>({ ...NOTHING_SAID, value: typed(value) });
}
