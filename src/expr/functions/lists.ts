/** Functions of lists: null where the list is null. Positions count from 0, negative ones from the end. */
import { type Column, ColumnBuilder, isNull, type ListColumn } from '../../types/column.ts';
import { bool, type Dtype, int32, isNumeric } from '../../types/dtype.ts';
import { compareScalars, type Scalar } from '../../types/scalar.ts';
import { lookupKey } from './compare.ts';
import {
  type ExprFunction,
  expectArgs,
  expectCount,
  intParam,
  LIST,
  mismatch,
  ORDERED,
} from './function.ts';
import { strictKernel } from './kernels.ts';

export const size: ExprFunction = {
  name: 'size',
  signature: 'size(x: list(T)) → int32',
  doc: 'Number of elements, nulls included.',
  type: (args) => {
    expectArgs('size', args, LIST);
    return int32;
  },
  bind: () =>
    strictKernel(int32, ([x]) => {
      const { offsets } = x as ListColumn;
      return (row) => offsets[row + 1]! - offsets[row]!;
    }),
};

export const listAt: ExprFunction = {
  name: 'list_at',
  signature: 'list_at(x: list(T), index) → T',
  doc: 'The element at index (0 the first, −1 the last); null where there is none.',
  type: (args, params) => {
    expectArgs('list_at', args, LIST);
    intParam('list_at', params, 'index', -(2 ** 31), 2 ** 31 - 1);
    return elementType(args[0]!);
  },
  bind:
    (_args, params, output) =>
    ([x], length) => {
      const { offsets, data } = x as ListColumn;
      const index = params.index as number;
      const builder = new ColumnBuilder(output, length);
      for (let row = 0; row < length; row++) {
        const at = index < 0 ? offsets[row + 1]! + index : offsets[row]! + index;
        const there = !isNull(x!, row) && at >= offsets[row]! && at < offsets[row + 1]!;
        builder.pushFrom(data, there ? at : -1);
      }
      return builder.finish();
    },
};

export const listContains: ExprFunction = {
  name: 'list_contains',
  signature: 'list_contains(x: list(T), element: T) → bool',
  doc: 'Whether an element of the list equals the value; null elements equal nothing.',
  type: (args) => {
    expectCount('list_contains', args, 2, 2);
    const of = orderedElements('list_contains', args);
    const element = args[1]!;
    if (element.kind !== of.kind && !(isNumeric(element) && isNumeric(of)))
      throw mismatch('list_contains', 1, element, `${of.kind}, as the list's elements are`);
    return bool;
  },
  bind: () =>
    strictKernel(bool, ([x, y]) => {
      const { offsets, data } = x as ListColumn;
      const wanted = y as Column & { data: ArrayLike<Scalar> };
      const elements = data as Column & { data: ArrayLike<Scalar> };
      return (row) => {
        for (let i = offsets[row]!; i < offsets[row + 1]!; i++)
          if (!isNull(elements, i) && compareScalars(elements.data[i]!, wanted.data[row]!) === 0)
            return true;
        return false;
      };
    }),
};

export const distinct: ExprFunction = {
  name: 'distinct',
  signature: 'distinct(x: list(T)) → list(T)',
  doc: 'Each element once, in the order of first occurrence; nulls count as equal.',
  type: (args) => {
    expectCount('distinct', args, 1, 1);
    orderedElements('distinct', args);
    return args[0]!;
  },
  bind: (_args, _params, output) =>
    strictKernel(output, ([x]) => {
      const { offsets, data } = x as ListColumn;
      const isBool = data.kind === 'bool';
      return (row) => {
        const seen = new Set<unknown>();
        const out: (Scalar | null)[] = [];
        for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
          const raw = (data.data as ArrayLike<Scalar>)[i]!;
          const value = isNull(data, i) ? null : isBool ? raw === 1 : raw;
          const key = value === null ? null : lookupKey(value);
          if (seen.has(key)) continue;
          seen.add(key);
          out.push(value);
        }
        return out;
      };
    }),
};

function elementType(list: Dtype): Dtype {
  return (list as ListColumn['dtype']).of;
}

function orderedElements(fn: string, args: readonly Dtype[]): Dtype {
  const [list] = args as [Dtype];
  if (!LIST.fits(list) || !ORDERED.fits(elementType(list)))
    throw mismatch(fn, 0, list, 'a list whose elements have an order');
  return elementType(list);
}
