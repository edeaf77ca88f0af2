/** Loops that functions share: how a rule for one row becomes the evaluation of a column. */
import type { BoolColumn, Column } from '../../types/column.ts';
import { ColumnBuilder } from '../../types/column.ts';
import { bool, type Dtype, float64 } from '../../types/dtype.ts';
import type { Fail, Kernel } from './function.ts';
import { numbersOf } from './promote.ts';

/** A rule for one row, given non-null arguments; null gives null. */
export type RowRule = (row: number) => unknown;

/** Validity of a row that is null where any argument is: a fresh array, or null if no argument has nulls. */
export function jointValidity(args: readonly Column[], length: number): Uint8Array | null {
  let joint: Uint8Array | null = null;
  for (const { validity } of args) {
    if (validity === null) continue;
    if (joint === null) joint = validity.slice(0, length);
    else for (let i = 0; i < length; i++) joint[i]! &= validity[i]!;
  }
  return joint;
}

/** An array for values of `dtype`, or null where they are not held in a typed array of one element a row. */
export function typedArray(dtype: Dtype, length: number) {
  switch (dtype.kind) {
    case 'bool':
      return new Uint8Array(length);
    case 'int32':
    case 'date':
      return new Int32Array(length);
    case 'int64':
      return new BigInt64Array(length);
    case 'float32':
      return new Float32Array(length);
    case 'float64':
    case 'timestamp':
      return new Float64Array(length);
    default:
      return null;
  }
}

/**
 * A function that is null where any argument is null and follows `rule` elsewhere. A rule's NaN is null and its
 * −0 is +0.
 */
export function strictKernel(
  output: Dtype,
  bind: (args: readonly Column[], fail: Fail) => RowRule,
): Kernel {
  return (args, length, fail) => {
    const rule = bind(args, fail);
    let validity = jointValidity(args, length);
    const data = typedArray(output, length) as Float64Array | null;
    if (data === null) {
      const builder = new ColumnBuilder(output, length);
      for (let i = 0; i < length; i++)
        builder.push(validity !== null && validity[i] === 0 ? null : (rule(i) as any));
      return builder.finish();
    }
    const isFloat = output.kind === 'float64' || output.kind === 'float32';
    for (let i = 0; i < length; i++) {
      if (validity !== null && validity[i] === 0) continue;
      const value = rule(i) as number | null;
      if (value === null || (isFloat && Number.isNaN(value))) {
        validity ??= new Uint8Array(length).fill(1);
        validity[i] = 0;
      } else data[i] = isFloat ? value + 0 : value;
    }
    return { kind: output.kind, dtype: output, length, validity, data } as Column;
  };
}

/** A float64 function of one number; NaN gives null. */
export function floatKernel1(f: (x: number) => number): Kernel {
  return (args, length) => {
    const x = numbersOf(args[0]!);
    const data = new Float64Array(length);
    for (let i = 0; i < length; i++) data[i] = f(x[i]!) + 0;
    return withoutNaN(data, jointValidity(args, length));
  };
}

/** A float64 function of two numbers; NaN gives null. */
export function floatKernel2(f: (x: number, y: number) => number): Kernel {
  return (args, length) => {
    const x = numbersOf(args[0]!);
    const y = numbersOf(args[1]!);
    const data = new Float64Array(length);
    for (let i = 0; i < length; i++) data[i] = f(x[i]!, y[i]!) + 0;
    return withoutNaN(data, jointValidity(args, length));
  };
}

function withoutNaN(data: Float64Array, nulls: Uint8Array | null): Column {
  let validity = nulls;
  const { length } = data;
  for (let i = 0; i < length; i++) {
    if (validity !== null && validity[i] === 0) data[i] = 0;
    else if (Number.isNaN(data[i])) {
      validity ??= new Uint8Array(length).fill(1);
      validity[i] = 0;
      data[i] = 0;
    }
  }
  return { kind: 'float64', dtype: float64, length, validity, data };
}

/** A bool column whose null rows hold 0. */
export function boolColumn(data: Uint8Array, validity: Uint8Array | null): BoolColumn {
  if (validity !== null) for (let i = 0; i < data.length; i++) data[i]! &= validity[i]!;
  return { kind: 'bool', dtype: bool, length: data.length, validity, data };
}

/** Row i of column pick[i], all of type `dtype`; −1 gives null. */
export function choose(dtype: Dtype, columns: readonly Column[], pick: Int32Array): Column {
  const { length } = pick;
  const data = typedArray(dtype, length) as Float64Array | null;
  if (data === null) {
    const builder = new ColumnBuilder(dtype, length);
    for (let i = 0; i < length; i++) {
      if (pick[i]! < 0) builder.pushNull();
      else builder.pushFrom(columns[pick[i]!]!, i);
    }
    return builder.finish();
  }
  let validity: Uint8Array | null = null;
  for (let i = 0; i < length; i++) {
    const column = pick[i]! < 0 ? null : columns[pick[i]!]!;
    if (column === null || (column.validity !== null && column.validity[i] === 0)) {
      validity ??= new Uint8Array(length).fill(1);
      validity[i] = 0;
    } else data[i] = (column.data as Float64Array)[i]!;
  }
  return { kind: dtype.kind, dtype, length, validity, data } as Column;
}
