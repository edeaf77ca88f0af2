/** How events fall on keys: a few strata of keys that are about equally active stand for all of them. */
import type { EntityLoad } from './load.ts';

/** Keys that are about equally active. */
export interface Stratum {
  readonly keys: number;
  /** Share of all events that one of its keys has. */
  readonly share: number;
}

/** How much further apart the ranks of neighbouring strata are. */
const GROWTH = 2;

/** Strata of `count` keys whose shares follow Zipf's law; those of all keys sum up to 1. */
export function strataOf({ count, skew }: EntityLoad): Stratum[] {
  if (skew === 0) return [{ keys: count, share: 1 / count }];
  const total = zipfSum(count, skew);
  const strata: Stratum[] = [];
  for (let from = 0; from < count; ) {
    const to = Math.min(count, Math.max(from + 1, Math.floor(from * GROWTH)));
    const part = zipfSum(to, skew) - zipfSum(from, skew);
    strata.push({ keys: to - from, share: part / total / (to - from) });
    from = to;
  }
  return strata;
}

/** Ranks whose terms are summed one by one; the sum of the others is an integral (Euler and Maclaurin's formula). */
const EXACT_RANKS = 1_000;

/** The sum of r^−s over the ranks r from 1 to n. */
function zipfSum(n: number, s: number): number {
  let sum = 0;
  const exact = Math.min(n, EXACT_RANKS);
  for (let r = 1; r <= exact; r++) sum += r ** -s;
  if (n === exact) return sum;
  const integral = s === 1 ? Math.log(n / exact) : (n ** (1 - s) - exact ** (1 - s)) / (1 - s);
  return sum + integral + (n ** -s - exact ** -s) / 2;
}

/** Above this mean Poisson's distribution is near enough to the normal one. */
const NORMAL_FROM = 400;

/** The number of events that a share `quantile` of keys with `mean` events on average has at most. */
export function poissonQuantile(mean: number, quantile: number): number {
  if (mean > NORMAL_FROM)
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normalQuantile(quantile)));
  let n = 0;
  let probability = Math.exp(-mean);
  for (let sum = probability; sum < quantile && n < 10 * NORMAL_FROM; sum += probability)
    probability *= mean / ++n;
  return n;
}

/** The inverse of the normal distribution: Winitzki's approximation of the error function, good to a few parts in a thousand. */
function normalQuantile(quantile: number): number {
  const x = 2 * quantile - 1;
  const a = 0.147;
  const log = Math.log(1 - x * x);
  const half = 2 / (Math.PI * a) + log / 2;
  return Math.SQRT2 * Math.sign(x) * Math.sqrt(Math.sqrt(half * half - log / a) - half);
}
