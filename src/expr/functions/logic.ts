/** and, or, not in SQL's three-valued logic: null is "unknown", and what does not depend on it is known. */
import type { BoolColumn } from '../../types/column.ts';
import { bool } from '../../types/dtype.ts';
import { BOOL, type ExprFunction, expectArgs } from './function.ts';
import { boolColumn } from './kernels.ts';

/** `and` is settled by a false, `or` by a true; then the other side does not matter, not even its error. */
function connective(name: string, doc: string, settling: 0 | 1): ExprFunction {
  return {
    name,
    operator: name,
    signature: `${name}(a: bool, b: bool) → bool`,
    doc,
    type: (args) => {
      expectArgs(name, args, BOOL, BOOL);
      return bool;
    },
    reaches: (args, position, row) => {
      const first = args[0] as BoolColumn;
      return position === 0 || first.validity?.[row] === 0 || first.data[row] !== settling;
    },
    bind: () => (args, length) => {
      const [a, b] = args as [BoolColumn, BoolColumn];
      const data = new Uint8Array(length);
      let validity: Uint8Array | null = null;
      for (let i = 0; i < length; i++) {
        const aKnown = a.validity === null || a.validity[i] === 1;
        const bKnown = b.validity === null || b.validity[i] === 1;
        if ((aKnown && a.data[i] === settling) || (bKnown && b.data[i] === settling))
          data[i] = settling;
        else if (aKnown && bKnown) data[i] = 1 - settling;
        else {
          validity ??= new Uint8Array(length).fill(1);
          validity[i] = 0;
        }
      }
      return boolColumn(data, validity);
    },
  };
}

export const and = connective(
  'and',
  'True if both are true, false if either is false, else null.',
  0,
);
export const or = connective(
  'or',
  'True if either is true, false if both are false, else null.',
  1,
);

export const not: ExprFunction = {
  name: 'not',
  signature: 'not(x: bool) → bool',
  doc: 'The opposite; null stays null.',
  type: (args) => {
    expectArgs('not', args, BOOL);
    return bool;
  },
  bind:
    () =>
    ([x], length) => {
      const { data, validity } = x as BoolColumn;
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) out[i] = 1 - data[i]!;
      return boolColumn(out, validity?.slice() ?? null);
    },
};
