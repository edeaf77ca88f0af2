/** What the catalogue says of an aggregate: plain words for the language's errors and for the docs, and its maker. */
import type { Dtype } from '../types/dtype.ts';
import { isNumeric, isOrdered } from '../types/dtype.ts';
import type { Aggregate } from './aggregate.ts';

export interface ParamDefinition {
  readonly doc: string;
  /** Taken where none is given; null: it must be given. */
  readonly default: number | null;
  /** What `accepts` asks, in words: "a whole number from 1 to 1,000". */
  readonly rule: string;
  readonly accepts: (value: number) => boolean;
}

export interface InputRule {
  /** In words: "a number". */
  readonly text: string;
  /** `null` stands for no input. */
  readonly accepts: (input: Dtype | null) => boolean;
}

export interface AggregateDefinition {
  readonly fn: string;
  /** One sentence: what the value is, and what it is where there is nothing to aggregate. */
  readonly doc: string;
  readonly params: Readonly<Record<string, ParamDefinition>>;
  readonly input: InputRule;
  /** The result's dtype in words: "the input's type". */
  readonly outputText: string;
  /** `params` are complete and accepted, as is `input`. */
  readonly make: (params: Readonly<Record<string, number>>, input: Dtype | null) => Aggregate<any>;
}

export const ANY_INPUT: InputRule = { text: 'any column', accepts: (input) => input !== null };
export const OPTIONAL_INPUT: InputRule = { text: 'any column, or none', accepts: () => true };
export const NUMERIC_INPUT: InputRule = {
  text: 'a number (int32, int64, float32 or float64)',
  accepts: (input) => input !== null && isNumeric(input),
};
export const ORDERED_INPUT: InputRule = {
  text: 'a column of any type with an order (not list or vector)',
  accepts: (input) => input !== null && isOrdered(input),
};
export const BOOL_INPUT: InputRule = {
  text: 'a bool',
  accepts: (input) => input !== null && input.kind === 'bool',
};

/** A parameter that is a whole number within limits. */
export function wholeParam(
  doc: string,
  least: number,
  most: number,
  usual: number | null,
): ParamDefinition {
  return {
    doc,
    default: usual,
    rule: `a whole number from ${least} to ${most.toLocaleString('en-US')}`,
    accepts: (value) => Number.isInteger(value) && value >= least && value <= most,
  };
}
