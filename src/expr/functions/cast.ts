/**
 * cast and try_cast. A cast that would lose the value is `expr/bad-cast` (null from try_cast): a number beyond the
 * target's range, a fraction as a whole number, a text that does not read as the target. Two things are rounded
 * knowingly: numbers to the nearest float, and an instant to its day. Text is read and written in one form:
 * decimal digits, true/false, ISO 8601.
 */
import { SamewiseError } from '../../base/errors.ts';
import { formatDate, formatInstant, parseDate, parseInstant, US_PER_DAY } from '../../base/time.ts';
import type { Column } from '../../types/column.ts';
import { type Dtype, type Kind, parseDtype, printDtype, sameDtype } from '../../types/dtype.ts';
import { INT64_MAX, INT64_MIN, MAX_DATE_DAYS, type Scalar } from '../../types/scalar.ts';
import { ANY, badParam, type ExprFunction, expectArgs, mismatch, type Params } from './function.ts';
import { strictKernel } from './kernels.ts';

/** One value as another type, or null if that would lose it. */
type Conversion = (value: any) => Scalar | null;

const int32 = (n: number): number | null => (n === (n | 0) ? n + 0 : null);
const int64 = (n: bigint): bigint | null => (n < INT64_MIN || n > INT64_MAX ? null : n);
const wholeToInt64 = (n: number) => (Number.isInteger(n) ? int64(BigInt(n)) : null);
const instant = (n: number) => (Number.isSafeInteger(n) ? n : null);
const day = (n: number) => (Math.abs(n) > MAX_DATE_DAYS ? null : n);
/** Rounds to nearest; a finite number beyond the type's range is lost. */
const float32 = (n: number): number | null => {
  const rounded = Math.fround(n);
  return Number.isFinite(rounded) || !Number.isFinite(n) ? rounded + 0 : null;
};

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
const WHOLE = /^[+-]?\d+$/;

function readNumber(text: string): number | null {
  if (text === 'Infinity' || text === '-Infinity') return Number(text);
  const n = DECIMAL.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(n) ? n + 0 : null;
}

/** What `read` makes of the text; null where it refuses. */
function orNull(read: (text: string) => number, text: string): number | null {
  try {
    return read(text);
  } catch {
    return null;
  }
}

const FROM_INT32: Partial<Record<Kind, Conversion>> = {
  int64: (n: number) => BigInt(n),
  float32,
  float64: (n: number) => n,
  string: String,
  date: day,
};

const CONVERSIONS: Partial<Record<Kind, Partial<Record<Kind, Conversion>>>> = {
  bool: {
    int32: Number,
    int64: BigInt,
    float32: Number,
    float64: Number,
    string: String,
  },
  int32: FROM_INT32,
  int64: {
    int32: (n: bigint) => int32(Number(n)),
    float32: (n: bigint) => float32(Number(n)),
    float64: Number,
    string: String,
    timestamp: (n: bigint) => instant(Number(n)),
  },
  float32: {
    int32,
    int64: wholeToInt64,
    float64: (n: number) => n,
    string: String,
  },
  float64: { int32, int64: wholeToInt64, float32, string: String },
  string: {
    bool: (text) => (text === 'true' ? true : text === 'false' ? false : null),
    int32: (text) => (WHOLE.test(text) ? int32(Number(text)) : null),
    int64: (text) => (WHOLE.test(text) ? int64(BigInt(text.replace('+', ''))) : null),
    float32: (text) => {
      const n = readNumber(text);
      return n === null ? null : float32(n);
    },
    float64: readNumber,
    timestamp: (text) => orNull(parseInstant, text),
    date: (text) => {
      const days = orNull(parseDate, text);
      return days === null ? null : day(days);
    },
  },
  timestamp: {
    int64: BigInt,
    string: formatInstant,
    date: (us: number) => Math.floor(us / US_PER_DAY),
  },
  date: {
    int32: (days: number) => days,
    string: formatDate,
    timestamp: (days: number) => instant(days * US_PER_DAY),
  },
};

function target(fn: string, args: readonly Dtype[], params: Params): Dtype {
  expectArgs(fn, args, ANY);
  if (typeof params.to !== 'string') throw badParam(fn, 'to', params.to, 'the name of a type');
  const to = parseDtype(params.to);
  const from = args[0]!;
  if (!sameDtype(from, to) && CONVERSIONS[from.kind]?.[to.kind] === undefined) {
    const sources = Object.keys(CONVERSIONS).filter((k) => CONVERSIONS[k as Kind]![to.kind]);
    const wanted =
      sources.length === 0
        ? `nothing else: no type can be cast to ${printDtype(to)}`
        : `${sources.join(', ')} to make a ${printDtype(to)}`;
    throw mismatch(fn, 0, from, wanted);
  }
  return to;
}

function badCast(value: Scalar, from: Dtype, to: Dtype): SamewiseError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
  const fraction = from.kind.startsWith('float') && to.kind.startsWith('int');
  return new SamewiseError(
    'expr/bad-cast',
    `cannot cast ${shown} from ${printDtype(from)} to ${printDtype(to)} without losing it`,
    { hint: `${fraction ? 'round() it first, or ' : ''}use try_cast to get null instead` },
  );
}

function caster(name: string, doc: string, checked: boolean): ExprFunction {
  return {
    name,
    signature: `${name}(x, to: type) → to`,
    doc,
    type: (args, params) => target(name, args, params),
    bind: ([from], _params, to) => {
      if (sameDtype(from!, to)) return ([x]) => x!;
      const convert = CONVERSIONS[from!.kind]![to.kind]!;
      return strictKernel(to, ([x], fail) => {
        const { data } = x as Column & { data: ArrayLike<any> };
        return (row) => {
          const value = from!.kind === 'bool' ? data[row] === 1 : data[row];
          const converted = convert(value);
          if (converted === null && checked) return fail(row, () => badCast(value, from!, to));
          return converted;
        };
      });
    },
  };
}

export const cast = caster(
  'cast',
  'The value as another type; an error if that would lose it.',
  true,
);
export const tryCast = caster(
  'try_cast',
  'The value as another type; null if that would lose it.',
  false,
);
