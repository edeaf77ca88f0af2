/** What features of every kind may say of themselves: description, tags, default. */
import { SamewiseError } from '../base/errors.ts';
import { type Expr, type Plain, Value } from '../expr/index.ts';
import type { Feature } from '../model/index.ts';
import type { Dtype } from '../types/dtype.ts';
import { coerce, scalarToJson } from '../types/scalar.ts';

export interface Parts {
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly default: unknown;
}

/** Of a feature that says nothing of itself. */
export const NOTHING_SAID: Parts = { description: '', tags: {}, default: null };

/** What every feature may say of itself. `D` is the type of its values. */
export abstract class Describable<D extends Dtype, P extends Parts = Parts> {
  declare protected readonly valueType: D;
  protected readonly parts: P;

  constructor(parts: P) {
    this.parts = parts;
  }

  protected with(change: Partial<P>): this {
    const Same = this.constructor as new (parts: P) => this;
    return new Same({ ...this.parts, ...change });
  }

  /** A sentence for people; no part of the meaning. */
  describe(description: string): this {
    return this.with({ description } as Partial<P>);
  }

  /** Stands in for every null that nothing else stands in for: nothing in the window, an unknown entity, too old, a stored null; in training and online alike. */
  default(value: Plain<D>): this {
    return this.with({ default: value } as Partial<P>);
  }

  /** Labels for search and policies; no part of the meaning. */
  tags(tags: Readonly<Record<string, string>>): this {
    return this.with({ tags: { ...this.parts.tags, ...tags } } as Partial<P>);
  }

  protected described(dtype: D): Pick<Feature, 'description' | 'tags' | 'default'> {
    const { description, tags } = this.parts;
    return { description, tags, default: scalarToJson(coerce(this.parts.default, dtype), dtype) };
  }
}

/** An expression and its type, as plain data. */
export interface Typed {
  readonly expr: Expr;
  readonly dtype: Dtype;
}

/** The plain data of a Value; `dsl/not-a-value` for anything else, which only untyped code can pass. */
export function typed(value: Value<any>): Typed {
  if (value instanceof Value) return { expr: value.expr, dtype: value.dtype };
  throw new SamewiseError(
    'dsl/not-a-value',
    `${JSON.stringify(value)} is not a column or an expression`,
    {
      hint: 'use the columns that the callback is given: features: ({ amount }) => ({ total: sum(amount).over("7d") })',
    },
  );
}
