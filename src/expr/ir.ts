/**
 * Expressions as plain data. What the builder makes, the registry keeps, and every engine hands to the one
 * evaluator. A node holds no behaviour: meaning lives in the function catalogue (`functions/`), by name.
 */
import type { Dtype } from '../types/dtype.ts';

export type Expr = ColumnRef | Literal | Call | Case | JsCall;

/** A column of the row at hand. In on-demand views the name is qualified: `request.amount`, `spending.avg_7d`. */
export interface ColumnRef {
  readonly kind: 'column';
  readonly name: string;
}

/** A constant; `value` is in the form of `scalarToJson`, so an int64 is a string of digits. */
export interface Literal {
  readonly kind: 'literal';
  readonly dtype: Dtype;
  readonly value: unknown;
}

/** A function of the catalogue. `params` are constants that belong to the function's meaning (bucket edges, a pattern, a unit). */
export interface Call {
  readonly kind: 'call';
  readonly fn: string;
  readonly args: readonly Expr[];
  readonly params?: Readonly<Record<string, unknown>>;
}

/** The first branch whose condition is true; a condition that is null counts as false. */
export interface Case {
  readonly kind: 'case';
  readonly branches: readonly { readonly when: Expr; readonly then: Expr }[];
  readonly otherwise: Expr | null;
}

/** A user's pure TypeScript function, carried as JavaScript source that stands on its own. */
export interface JsCall {
  readonly kind: 'js';
  readonly name: string;
  /** An expression whose value is a function of one object (inputs by name); free names are only allow-listed globals. */
  readonly source: string;
  /** SHA-256 of `source`: part of the definition's fingerprint. */
  readonly hash: string;
  readonly inputs: readonly { readonly name: string; readonly dtype: Dtype; readonly expr: Expr }[];
  readonly output: Dtype;
}
