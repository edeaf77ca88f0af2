/** coalesce, nullif, least, greatest: functions that pick one of their arguments. */
import { type Column, isNull } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { comparator, expectComparable } from './compare.ts';
import { type ExprFunction, expectCount, mismatch, ORDERED } from './function.ts';
import { choose } from './kernels.ts';
import { unifyArgs, widen } from './promote.ts';

export const coalesce: ExprFunction = {
  name: 'coalesce',
  signature: 'coalesce(a: T, b: T, …) → T',
  doc: 'The first argument that is not null.',
  type: (args) => {
    expectCount('coalesce', args, 1, Number.POSITIVE_INFINITY);
    return unifyArgs('coalesce', args);
  },
  reaches: (args, position, row) => args.slice(0, position).every((a) => isNull(a, row)),
  bind: (_args, _params, output) => (args, length) => {
    const columns = args.map((column) => widen(column, output));
    const pick = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      let at = 0;
      while (at < columns.length - 1 && isNull(columns[at]!, i)) at++;
      pick[i] = at;
    }
    return choose(output, columns, pick);
  },
};

export const nullif: ExprFunction = {
  name: 'nullif',
  signature: 'nullif(a: T, b: T) → T',
  doc: 'The first argument, but null where it equals the second.',
  type: (args) => {
    expectComparable('nullif', args);
    return args[0]!;
  },
  bind: (_args, _params, output) => (args, length) => {
    const [a, b] = args as [Column, Column];
    const order = comparator(a, b);
    const pick = new Int32Array(length);
    for (let i = 0; i < length; i++)
      if (!isNull(a, i) && !isNull(b, i) && order(i) === 0) pick[i] = -1;
    return choose(output, [a], pick);
  },
};

function extreme(name: string, doc: string, sign: 1 | -1): ExprFunction {
  const type = (args: readonly Dtype[]) => {
    expectCount(name, args, 1, Number.POSITIVE_INFINITY);
    for (let i = 0; i < args.length; i++)
      if (!ORDERED.fits(args[i]!)) throw mismatch(name, i, args[i]!, ORDERED.text);
    return unifyArgs(name, args);
  };
  return {
    name,
    signature: `${name}(a: T, b: T, …) → T`,
    doc,
    type,
    bind: (_args, _params, output) => (args, length) => {
      let best = widen(args[0]!, output);
      for (const arg of args.slice(1)) {
        const next = widen(arg, output);
        const order = comparator(best, next);
        const pick = new Int32Array(length);
        for (let i = 0; i < length; i++)
          if (isNull(best, i) || (!isNull(next, i) && order(i) * sign > 0)) pick[i] = 1;
        best = choose(output, [best, next], pick);
      }
      return best;
    },
  };
}

export const least = extreme(
  'least',
  'The smallest argument; nulls are skipped, null if all are null.',
  1,
);
export const greatest = extreme(
  'greatest',
  'The greatest argument; nulls are skipped, null if all are null.',
  -1,
);
