/**
 * The slow, obvious twin of src/expr: one expression, one row, scalars. Written from the functions' descriptions, with
 * other means where there are any (JS Date for the calendar, bigint for all whole numbers).
 */
import { hash64 } from '../../src/base/hash.ts';
import { formatDate, formatInstant, parseDate, parseInstant } from '../../src/base/time.ts';
import type { Call, Expr } from '../../src/expr/ir.ts';
import type { Batch } from '../../src/types/batch.ts';
import { scalarAt } from '../../src/types/column.ts';
import {
  bool,
  type Dtype,
  float32,
  float64,
  int32,
  int64,
  list,
  parseDtype,
  string,
  vector,
} from '../../src/types/dtype.ts';
import { coerce, compareScalars, type Scalar, sameScalar } from '../../src/types/scalar.ts';

/** A value and its type. */
export interface Typed {
  readonly t: Dtype;
  readonly v: any;
}

/** The row has an error of this code instead of a value. */
export class RowError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

const DAY = 86_400_000_000;
const UNIT: Record<string, number> = {
  us: 1,
  ms: 1e3,
  s: 1e6,
  m: 6e7,
  h: 3.6e9,
  d: DAY,
  w: 7 * DAY,
};

/** The value of `expr` in row `row`, or a `RowError`. */
export function evaluateRow(expr: Expr, batch: Batch, row: number): Typed {
  const ev = (e: Expr) => evaluateRow(e, batch, row);
  switch (expr.kind) {
    case 'column': {
      const column = batch.columns[expr.name]!;
      return { t: column.dtype, v: scalarAt(column, row) };
    }
    case 'literal':
      return { t: expr.dtype, v: coerce(expr.value, expr.dtype) };
    case 'case': {
      const taken = expr.branches.find((branch) => ev(branch.when).v === true)?.then;
      const result = taken ?? expr.otherwise;
      const all = [
        ...expr.branches.map((b) => b.then),
        ...(expr.otherwise ? [expr.otherwise] : []),
      ];
      const t = all.map((e) => staticType(e, batch)).reduce(widest);
      return { t, v: result === null ? null : widenTo(ev(result), t).v };
    }
    case 'js': {
      const inputs = expr.inputs.map((input) => [input.name, ev(input.expr).v] as const);
      if (inputs.some(([, v]) => v === null)) return { t: expr.output, v: null };
      const run = new Function(`return (${expr.source})`)();
      try {
        return { t: expr.output, v: run(Object.fromEntries(inputs)) };
      } catch {
        throw new RowError('expr/function-failed');
      }
    }
    case 'call':
      return evaluateCall(expr, ev, batch);
  }
}

/** Type of an expression, found by evaluating it over a row of nulls. */
function staticType(expr: Expr, batch: Batch): Dtype {
  const nulls = Object.entries(batch.columns).map(
    ([name, c]) => [name, { ...c, validity: new Uint8Array(c.length + 1) }] as const,
  );
  return evaluateRow(withoutErrors(expr), { length: 1, columns: Object.fromEntries(nulls) }, 0).t;
}

/** Literals become nulls, so that nothing can overflow. */
function withoutErrors(expr: Expr): Expr {
  switch (expr.kind) {
    case 'literal':
      return { ...expr, value: null };
    case 'call':
      return { ...expr, args: expr.args.map(withoutErrors) };
    case 'js':
      return {
        ...expr,
        inputs: expr.inputs.map((input) => ({ ...input, expr: withoutErrors(input.expr) })),
      };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map((b) => ({
          when: withoutErrors(b.when),
          // biome-ignore lint/suspicious/noThenProperty: a field of the IR
          then: withoutErrors(b.then),
        })),
        otherwise: expr.otherwise && withoutErrors(expr.otherwise),
      };
    default:
      return expr;
  }
}

function widest(a: Dtype, b: Dtype): Dtype {
  if (a.kind === b.kind) return a;
  return a.kind.startsWith('float') || b.kind.startsWith('float') ? float64 : int64;
}

function widenTo({ t, v }: Typed, to: Dtype): Typed {
  if (v === null || t.kind === to.kind) return { t: to, v };
  return { t: to, v: to.kind === 'int64' ? BigInt(v) : Number(v) };
}

/** null for NaN, +0 for −0. */
const real = (x: number) => (Number.isNaN(x) ? null : x === 0 ? 0 : x);

function whole(t: Dtype, v: bigint): Typed {
  const bits = t.kind === 'int32' ? 31n : 63n;
  if (v < -(2n ** bits) || v >= 2n ** bits) throw new RowError('expr/overflow');
  return { t, v: t.kind === 'int32' ? Number(v) : v };
}

function arithmetic(fn: string, a: Typed, b: Typed): Typed {
  const t =
    fn === 'div' || a.t.kind.startsWith('f') || b.t.kind.startsWith('f')
      ? float64
      : widest(a.t, b.t);
  if (a.v === null || b.v === null) return { t, v: null };
  const zero = b.v === 0 || b.v === 0n;
  if (zero && (fn === 'div' || fn === 'mod')) return { t, v: null };
  if (t.kind === 'float64') {
    const [x, y] = [Number(a.v), Number(b.v)];
    const results: Record<string, number> = {
      add: x + y,
      sub: x - y,
      mul: x * y,
      div: x / y,
      mod: x % y,
    };
    return { t, v: real(results[fn]!) };
  }
  const [x, y] = [BigInt(a.v), BigInt(b.v)];
  if (fn === 'add') return whole(t, x + y);
  if (fn === 'sub') return whole(t, x - y);
  return whole(t, fn === 'mul' ? x * y : x % y);
}

/** Exact order of two numbers of any type: as fractions over a power of two. */
function exactOrder(a: Scalar, b: Scalar): number {
  if (typeof a === typeof b) return compareScalars(a, b);
  if (typeof a === 'number') return -exactOrder(b, a);
  const x = b as number;
  if (!Number.isFinite(x)) return x > 0 ? -1 : 1;
  const floor = BigInt(Math.floor(x));
  if ((a as bigint) !== floor) return (a as bigint) < floor ? -1 : 1;
  return Number.isInteger(x) ? 0 : -1;
}

const utc = (us: number) => new Date(Math.floor(us / 1000));
const microsOf = ({ t, v }: Typed) => (t.kind === 'date' ? v * DAY : v);
const dayOf = ({ t, v }: Typed) => (t.kind === 'date' ? v : Math.floor(v / DAY));

function utcDays(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.getTime() / 86_400_000;
}

function isoWeek(days: number): number {
  const weekOne = (year: number) => {
    const fourth = utcDays(year, 0, 4);
    return fourth - ((new Date(fourth * 86_400_000).getUTCDay() + 6) % 7);
  };
  let year = new Date(days * 86_400_000).getUTCFullYear() + 1;
  while (weekOne(year) > days) year--;
  return Math.floor((days - weekOne(year)) / 7) + 1;
}

function startOf(days: number, unit: string): number {
  const date = new Date(days * 86_400_000);
  const [y, m] = [date.getUTCFullYear(), date.getUTCMonth()];
  if (unit === 'year') return utcDays(y, 0, 1);
  if (unit === 'quarter') return utcDays(y, Math.floor(m / 3) * 3, 1);
  if (unit === 'month') return utcDays(y, m, 1);
  return unit === 'week' ? days - ((date.getUTCDay() + 6) % 7) : days;
}

/** Half away from zero on the decimal digits that print. */
function roundDecimal(x: number, digits: number): number {
  if (!Number.isFinite(x)) return x;
  const [mantissa, e = '0'] = Math.abs(x).toString().split('e') as [string, string?];
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?];
  const scale = fraction.length - Number(e);
  if (scale <= digits) return x;
  const unit = 10n ** BigInt(scale - digits);
  const rounded = (2n * BigInt(whole + fraction) + unit) / (2n * unit);
  return Math.sign(x) * Number(`${rounded}e-${digits}`);
}

function castTo({ t: from, v }: Typed, to: Dtype): Scalar | null {
  if (from.kind === to.kind) return v;
  const integer = (n: bigint) => {
    const bits = to.kind === 'int32' ? 31n : 63n;
    if (n < -(2n ** bits) || n >= 2n ** bits) return null;
    return to.kind === 'int32' ? Number(n) : n;
  };
  const attempt = (read: () => unknown) => {
    try {
      return coerce(read(), to);
    } catch {
      return null;
    }
  };
  switch (to.kind) {
    case 'bool':
      return v === 'true' ? true : v === 'false' ? false : null;
    case 'int32':
    case 'int64':
      if (typeof v === 'string')
        return /^[+-]?[0-9]+$/.test(v) ? integer(BigInt(v.replace(/^\+/, ''))) : null;
      return Number.isInteger(Number(v)) ? integer(BigInt(v)) : null;
    case 'float32':
    case 'float64': {
      if (typeof v === 'string' && !/^-?Infinity$|^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(v))
        return null;
      const n = Number(v);
      if (typeof v === 'string' && !Number.isFinite(n) && !v.includes('Inf')) return null;
      return attempt(() => n);
    }
    case 'string':
      if (from.kind === 'timestamp') return formatInstant(v);
      return from.kind === 'date' ? formatDate(v) : `${v}`;
    case 'timestamp':
      if (typeof v === 'string') return attempt(() => parseInstant(v));
      return attempt(() => (from.kind === 'date' ? v * DAY : v));
    case 'date':
      if (typeof v === 'string') return attempt(() => parseDate(v));
      return attempt(() => (from.kind === 'timestamp' ? Math.floor(v / DAY) : v));
    default:
      throw new Error(`no cast to ${to.kind}`);
  }
}

function dotOf(a: Float32Array, b: Float32Array): number {
  return Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);
}

const utf8 = new TextEncoder();
function hashBytes(v: Scalar): Uint8Array {
  if (typeof v === 'string') return utf8.encode(v);
  if (v instanceof Uint8Array) return v;
  return new Uint8Array(BigInt64Array.of(BigInt(v as number)).buffer);
}

function evaluateCall(
  { fn, args, params = {} }: Call,
  ev: (e: Expr) => Typed,
  batch: Batch,
): Typed {
  // Those that do not look at all of their arguments, or do not give null for a null.
  if (fn === 'and' || fn === 'or') {
    const settled = fn === 'or';
    const a = ev(args[0]!).v;
    if (a === settled) return { t: bool, v: settled };
    const b = ev(args[1]!).v;
    if (b === settled) return { t: bool, v: settled };
    return { t: bool, v: a === null || b === null ? null : !settled };
  }
  if (fn === 'coalesce') {
    const t = args.map((arg) => staticType(arg, batch)).reduce(widest);
    for (const arg of args) {
      const value = ev(arg);
      if (value.v !== null) return widenTo(value, t);
    }
    return { t, v: null };
  }
  const values = args.map(ev);
  const [a, b, c] = values as [Typed, Typed, Typed];
  if (fn === 'is_null') return { t: bool, v: a.v === null };
  if (fn === 'is_not_null') return { t: bool, v: a.v !== null };
  if (fn === 'least' || fn === 'greatest') {
    const t = values.map((x) => x.t).reduce(widest);
    const there = values.map((x) => widenTo(x, t).v).filter((v) => v !== null);
    there.sort(compareScalars);
    return { t, v: (fn === 'least' ? there[0] : there.at(-1)) ?? null };
  }
  if (fn === 'nullif')
    return { t: a.t, v: a.v !== null && b.v !== null && exactOrder(a.v, b.v) === 0 ? null : a.v };
  if (/^(add|sub|mul|div|mod)$/.test(fn)) return arithmetic(fn, a, b);

  // The others are null where an argument is.
  const nul = values.some((x) => x.v === null);
  const out = (t: Dtype, value: () => unknown): Typed => ({ t, v: nul ? null : value() });
  const compared = (holds: (order: number) => boolean) =>
    out(bool, () => holds(exactOrder(a.v, b.v)));
  const float = (value: () => number | null) =>
    out(float64, () => {
      const x = value();
      return x === null ? null : real(x);
    });
  const isWhole = a.t.kind.startsWith('int');
  const listed = () =>
    (params.values as unknown[]).findIndex((v) => sameScalar(coerce(v, a.t), a.v));
  const index = params.index as number;
  switch (fn) {
    case 'neg':
      return isWhole ? (nul ? a : whole(a.t, -BigInt(a.v))) : float(() => -a.v);
    case 'abs':
      if (!isWhole) return float(() => Math.abs(a.v));
      return nul ? a : whole(a.t, a.v < 0 ? -BigInt(a.v) : BigInt(a.v));
    case 'floor':
      return isWhole ? a : float(() => Math.floor(a.v));
    case 'ceil':
      return isWhole ? a : float(() => Math.ceil(a.v));
    case 'round':
      return isWhole ? a : float(() => roundDecimal(a.v, (params.digits as number) ?? 0));
    case 'sign':
      return out(int32, () => (a.v > 0 ? 1 : a.v < 0 ? -1 : 0));
    case 'clip': {
      const t = widest(widest(a.t, b.t), c.t);
      return out(t, () => {
        const [x, low, high] = [a, b, c].map((value) => widenTo(value, t).v);
        if (x < low) return low;
        if (x > high) return high;
        return x;
      });
    }
    case 'log':
      return float(() => Math.log(Number(a.v)));
    case 'log1p':
      return float(() => Math.log1p(Number(a.v)));
    case 'exp':
      return float(() => Math.exp(Number(a.v)));
    case 'sqrt':
      return float(() => Math.sqrt(Number(a.v)));
    case 'pow':
      return float(() => Number(a.v) ** Number(b.v));
    case 'bucketize':
      return out(
        int32,
        () => (params.edges as number[]).filter((edge) => exactOrder(edge, a.v) <= 0).length,
      );
    case 'eq':
      return compared((order) => order === 0);
    case 'ne':
      return compared((order) => order !== 0);
    case 'lt':
      return compared((order) => order < 0);
    case 'le':
      return compared((order) => order <= 0);
    case 'gt':
      return compared((order) => order > 0);
    case 'ge':
      return compared((order) => order >= 0);
    case 'is_in':
      return out(bool, () => listed() >= 0);
    case 'not':
      return out(bool, () => !a.v);
    case 'cast':
    case 'try_cast': {
      const to = parseDtype(params.to as string);
      return out(to, () => {
        const value = castTo(a, to);
        if (value === null && fn === 'cast') throw new RowError('expr/bad-cast');
        return value;
      });
    }
    case 'length':
      return out(int32, () => [...a.v].length);
    case 'lower':
      return out(string, () => a.v.toLowerCase());
    case 'upper':
      return out(string, () => a.v.toUpperCase());
    case 'trim':
      return out(string, () => a.v.replace(/^\s+|\s+$/gu, ''));
    case 'concat':
      return out(string, () => values.map((x) => x.v).join(''));
    case 'substring': {
      const from = (params.start as number) - 1;
      const count = (params.length as number) ?? Number.POSITIVE_INFINITY;
      return out(string, () => [...a.v].slice(from, from + count).join(''));
    }
    case 'contains':
      return out(bool, () => a.v.indexOf(b.v) >= 0);
    case 'starts_with':
      return out(bool, () => a.v.slice(0, b.v.length) === b.v);
    case 'ends_with':
      return out(bool, () => b.v === '' || a.v.slice(-b.v.length) === b.v);
    case 'replace':
      return out(string, () => (b.v === '' ? a.v : a.v.split(b.v).join(c.v)));
    case 'split':
      return out(list(string), () => a.v.split(params.separator));
    case 'regex_match':
      return out(bool, () => a.v.search(new RegExp(params.pattern as string, 'u')) >= 0);
    case 'hour':
      return out(int32, () => utc(a.v).getUTCHours());
    case 'minute':
      return out(int32, () => utc(a.v).getUTCMinutes());
    case 'day_of_week':
      return out(int32, () => utc(microsOf(a)).getUTCDay() || 7);
    case 'day':
      return out(int32, () => utc(microsOf(a)).getUTCDate());
    case 'month':
      return out(int32, () => utc(microsOf(a)).getUTCMonth() + 1);
    case 'year':
      return out(int32, () => utc(microsOf(a)).getUTCFullYear());
    case 'week_of_year':
      return out(int32, () => isoWeek(dayOf(a)));
    case 'truncate':
      return out(a.t, () => {
        const unit = params.unit as string;
        if (a.t.kind === 'date') return startOf(a.v, unit);
        const short = { second: 's', minute: 'm', hour: 'h' }[unit];
        const us = short
          ? Math.floor(a.v / UNIT[short]!) * UNIT[short]!
          : startOf(dayOf(a), unit) * DAY;
        if (!Number.isSafeInteger(us)) throw new RowError('expr/overflow');
        return us;
      });
    case 'diff':
      return float(() => (microsOf(a) - microsOf(b)) / UNIT[params.unit as string]!);
    case 'days_since':
      return out(int32, () => {
        const us = BigInt(microsOf(a)) - BigInt(microsOf(b));
        const day = BigInt(DAY);
        return Number(us / day) - (us < 0n && us % day !== 0n ? 1 : 0);
      });
    case 'plus':
      return out(a.t, () => {
        const moved = microsOf(a) + (params.us as number);
        if (a.t.kind === 'date') return moved / DAY;
        if (!Number.isSafeInteger(moved)) throw new RowError('expr/overflow');
        return moved;
      });
    case 'one_hot':
      return out(vector((params.values as unknown[]).length), () =>
        Float32Array.from(params.values as unknown[], (_, i) => (i === listed() ? 1 : 0)),
      );
    case 'ordinal':
      return out(int32, () => (listed() >= 0 ? listed() : ((params.other as number) ?? null)));
    case 'hash_bucket':
      return out(int32, () =>
        Number(BigInt.asUintN(64, hash64(hashBytes(a.v))) % BigInt(params.buckets as number)),
      );
    case 'dot':
      return float(() => dotOf(a.v, b.v));
    case 'cosine':
      return float(() => {
        const length = Math.sqrt(dotOf(a.v, a.v) * dotOf(b.v, b.v));
        const x = dotOf(a.v, b.v) / length;
        return length === 0 ? null : Math.min(1, Math.max(-1, x));
      });
    case 'l2':
      return float(() => {
        const squares = Array.from(a.v as Float32Array, (x, i) => (x - b.v[i]) * (x - b.v[i]));
        return Math.sqrt(squares.reduce((sum, x) => sum + x, 0));
      });
    case 'norm':
      return float(() => Math.sqrt(dotOf(a.v, a.v)));
    case 'vector_at':
      return out(float32, () => a.v.at(index));
    case 'size':
      return out(int32, () => a.v.length);
    case 'list_at':
      return out((a.t as any).of, () => a.v.at(index) ?? null);
    case 'list_contains':
      return out(bool, () => a.v.some((x: any) => x !== null && exactOrder(x, b.v) === 0));
    case 'distinct':
      return out(a.t, () =>
        a.v.filter((x: any, i: number) => a.v.findIndex((y: any) => sameScalar(x, y)) === i),
      );
    default:
      throw new Error(`the twin does not know ${fn}`);
  }
}
