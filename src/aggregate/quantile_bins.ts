/**
 * The bins of a quantile: intervals whose ends differ by at most a factor (1 + error) / (1 − error), so that one value in
 * a bin stands for all of it within the relative error. The logarithm is a cubic in the significand (C. Masson,
 * J. E. Rim, H. K. Lee: DDSketch, VLDB 2019, its cubically interpolated mapping), worked out from the float's own bits:
 * the same bin on every machine. A bin has one whole number, in the order of the values.
 */
import { exponentOf, powerOfTwo } from './float_bits.ts';

/** Numbers of the bins of positive values lie around it, of negative ones around its opposite. */
const MIDDLE = 2 ** 45;
const INFINITE = 2 ** 50;

const A = 6 / 35;
const B = -3 / 5;
const C = 10 / 7;

export interface Bins {
  /** The number of the bin that holds x. */
  of(x: number): number;
  /** A value within the relative error of all values in the bin. */
  middleOf(bin: number): number;
}

export function binsFor(error: number): Bins {
  // ln((1 + e) / (1 − e)) = 2·(e + e³/3 + e⁵/5 + …)
  let series = 0;
  for (let k = 1, power = error; k < 64; k += 2, power *= error * error) series += power / k;
  // The cubic rises by at least C a unit of ln x. A little finer, for rounding at the edges.
  const scale = (1 + 1e-9) / (2 * series * C);

  const indexOf = (x: number): number => {
    const normal = x >= 2 ** -1022;
    const y = normal ? x : x * 2 ** 54;
    const exponent = exponentOf(y);
    const s = y * powerOfTwo(-exponent) - 1;
    return Math.floor((exponent - (normal ? 0 : 54) + ((A * s + B) * s + C) * s) * scale);
  };
  return {
    of(x) {
      if (x === 0) return 0;
      if (x === Number.POSITIVE_INFINITY) return INFINITE;
      if (x === Number.NEGATIVE_INFINITY) return -INFINITE;
      return x > 0 ? MIDDLE + indexOf(x) : -(MIDDLE + indexOf(-x));
    },
    middleOf(bin) {
      if (bin === 0) return 0;
      if (Math.abs(bin) === INFINITE) return bin > 0 ? Infinity : -Infinity;
      const index = Math.abs(bin) - MIDDLE;
      const value = between(index / scale, (index + 1) / scale);
      return bin > 0 ? value : -value;
    },
  };
}

/** The value equally far, relatively, from both ends of a bin, which are given as their logarithms. */
function between(low: number, high: number): number {
  const exponent = Math.floor(low);
  const from = 1 + significandOf(low - exponent);
  const whole = Math.floor(high) - exponent;
  const to = (1 + significandOf(high - exponent - whole)) * (whole === 0 ? 1 : 2);
  const value = (2 * from * to) / (from + to);
  // In two steps, since the power alone may be out of range.
  const half = exponent >> 1;
  const scaled = value * powerOfTwo(half) * powerOfTwo(exponent - half);
  return Math.min(scaled, Number.MAX_VALUE);
}

/** The s from 0 to 1 whose cubic is `target`, by bisection. */
function significandOf(target: number): number {
  let low = 0;
  let high = 1;
  for (let step = 0; step < 53; step++) {
    const s = (low + high) / 2;
    if (((A * s + B) * s + C) * s < target) low = s;
    else high = s;
  }
  return high;
}
