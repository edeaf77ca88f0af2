/** The catalogue: every function an expression may call, by name. */
import * as arithmetic from './arithmetic.ts';
import * as cast from './cast.ts';
import * as compare from './compare.ts';
import * as conditional from './conditional.ts';
import * as encodings from './encodings.ts';
import type { ExprFunction } from './function.ts';
import * as lists from './lists.ts';
import * as logic from './logic.ts';
import * as numbers from './numbers.ts';
import * as strings from './strings.ts';
import * as time from './time.ts';
import * as vectors from './vectors.ts';

const DOMAINS: readonly Readonly<Record<string, unknown>>[] = [
  arithmetic,
  compare,
  logic,
  conditional,
  cast,
  strings,
  time,
  numbers,
  encodings,
  vectors,
  lists,
];

/** Name → function, with its signature and one-line doc. */
export const FUNCTIONS: ReadonlyMap<string, ExprFunction> = new Map(
  DOMAINS.flatMap((domain) => Object.values(domain))
    .filter(
      (value): value is ExprFunction =>
        typeof value === 'object' && value !== null && 'bind' in value,
    )
    .map((fn) => [fn.name, fn]),
);
