/**
 * Coded errors: what a person sees when something they gave us is wrong.
 *
 * A `SamewiseError` says what was wrong, where, and what to do. Everything else that is thrown
 * is a bug of ours (see `assert`) and keeps its stack trace.
 */

/** The place an error is about; every field is optional and only what is known is given. */
export interface Where {
  readonly file?: string;
  readonly line?: number;
  /** 0-based row of the input table. */
  readonly row?: number;
  readonly column?: string;
  /** Path of the field in a definition or request, such as `features.avg_amount.window`. */
  readonly field?: string;
  readonly source?: string;
  /** Of an event log, with the partition and the position in it. */
  readonly topic?: string;
  readonly partition?: string;
  readonly position?: string;
  readonly view?: string;
  readonly feature?: string;
  readonly service?: string;
  readonly entity?: string;
  /** A printed entity key, such as `customer_id=7`. */
  readonly key?: string;
}

/**
 * An error for people.
 * `code` is stable, in the form `area/what`, e.g. `expr/unknown-column`; tests and clients match on it.
 */
export class SamewiseError extends Error {
  readonly code: string;
  readonly where: Where;
  readonly hint: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { where?: Where; hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SamewiseError';
    this.code = code;
    this.where = options.where ?? {};
    this.hint = options.hint;
  }

  /** The same error with more said about its place; what is already known is kept. */
  at(where: Where): SamewiseError {
    return new SamewiseError(this.code, this.message, {
      where: { ...where, ...this.where },
      hint: this.hint,
      cause: this.cause,
    });
  }

  toJSON(): { code: string; message: string; where: Where; hint?: string } {
    return {
      code: this.code,
      message: this.message,
      where: this.where,
      ...(this.hint ? { hint: this.hint } : {}),
    };
  }
}

/** Thrown by `assert`: a bug of ours, never a user's mistake. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

/** States what must hold; a failure is a bug in Samewise. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${what}`);
}

/** Runs `body`; a coded error that leaves it says in addition where it happened. */
export function inContext<T>(where: Where, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof SamewiseError ? error.at(where) : error;
  }
}

/** "Did you mean …?": the candidate nearest to `given` by edit distance, if one is near enough. */
export function nearest(given: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(given.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(given.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substituted, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
