/** Slow and simple aggregates, so that the rooms above can be built before the real ones are here. */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { SamewiseError } from '../base/errors.ts';
import { type Column, scalarAt } from '../types/column.ts';
import { type Dtype, float64, int64, list } from '../types/dtype.ts';
import { coerce, compareScalars, type Scalar, scalarToJson } from '../types/scalar.ts';
import type { Aggregate, AggregateSpec, Side } from './aggregate.ts';

type Rows = (Scalar | null)[];

const SCALE = 1074n;
function big(x: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const e = (bits >> 52n) & 2047n;
  const m = (bits & ((1n << 52n) - 1n)) | (e === 0n ? 0n : 1n << 52n);
  const v = m << ((e === 0n ? 1n : e) - 1n);
  return bits >> 63n ? -v : v;
}
/** num / den rounded to the nearest double, ties to even. */
function ratio(num: bigint, den: bigint): number {
  if (num === 0n) return 0;
  const neg = num < 0n !== den < 0n;
  let n = num < 0n ? -num : num;
  let d = den < 0n ? -den : den;
  let shift = n.toString(2).length - d.toString(2).length - 55;
  if (shift < -1140) shift = -1140;
  if (shift >= 0) d <<= BigInt(shift);
  else n <<= BigInt(-shift);
  let q = n / d;
  let sticky = n % d !== 0n;
  let e = shift;
  while (q >> 53n > 0n || e < -1074) {
    const drop = BigInt(Math.max(1, q.toString(2).length - 53, -1074 - e));
    const rest = q & ((1n << drop) - 1n);
    const half = 1n << (drop - 1n);
    q >>= drop;
    e += Number(drop);
    if (rest > half || (rest === half && (sticky || q & 1n))) q += 1n;
    sticky = false;
  }
  const value =
    e > 0
      ? Number(q) * 2 ** Math.min(e, 1023) * 2 ** Math.max(0, e - 1023)
      : e < -1000
        ? Number(q) * 2 ** -1000 * 2 ** (e + 1000)
        : Number(q) * 2 ** e;
  return neg ? -value : value;
}
const ONE = 1n << SCALE;

function total(rows: Rows): bigint {
  return rows.reduce<bigint>((s, x) => s + (typeof x === 'bigint' ? x * ONE : big(Number(x))), 0n);
}

type Finish = (rows: Rows, spec: AggregateSpec) => Scalar | null;
const FINISH: Record<string, Finish> = {
  count: (r) => BigInt(r.length),
  sum: (r) =>
    r.length === 0 ? null : typeof r[0] === 'bigint' ? total(r) / ONE : ratio(total(r), ONE),
  avg: (r) => (r.length === 0 ? null : ratio(total(r), ONE * BigInt(r.length))),
  min: (r) => (r.length === 0 ? null : r.reduce((a, b) => (compareScalars(b!, a!) < 0 ? b : a))),
  max: (r) => (r.length === 0 ? null : r.reduce((a, b) => (compareScalars(b!, a!) > 0 ? b : a))),
  first: (r) => r[0] ?? null,
  last: (r) => r.at(-1) ?? null,
  latest: (r) => r.at(-1) ?? null,
  first_k: (r, s) => r.slice(0, s.params.k!),
  last_k: (r, s) => r.slice(-s.params.k!),
};

export function standIn(spec: AggregateSpec, input: Dtype | null): Aggregate<Rows> {
  const finish = FINISH[spec.fn];
  if (finish === undefined)
    throw new SamewiseError('aggregate/unknown', `unknown aggregate ${spec.fn}`);
  const numeric = ['int32', 'int64', 'float32', 'float64'].includes(input?.kind ?? '');
  if ((spec.fn === 'sum' || spec.fn === 'avg') && !numeric)
    throw new SamewiseError('aggregate/bad-input', `${spec.fn} does not take this input`);
  const keepNulls = spec.fn === 'latest' || input === null;
  const output =
    spec.fn === 'count'
      ? int64
      : spec.fn === 'avg'
        ? float64
        : spec.fn === 'sum'
          ? input!.kind.startsWith('int')
            ? int64
            : float64
          : spec.fn.endsWith('_k')
            ? list(input!)
            : input!;
  const widen = (v: Scalar | null) =>
    spec.fn === 'sum' && output === int64 && typeof v === 'number' ? BigInt(v) : v;
  const rowsOf = (column: Column | null, lo: number, hi: number): Rows => {
    const out: Rows = [];
    for (let i = lo; i < hi; i++) {
      const v = column === null ? true : widen(scalarAt(column, i));
      if (v !== null || keepNulls) out.push(v);
    }
    return out;
  };
  const join = (s: Rows, more: Rows, side: Side) => {
    s.splice(side === 'after' ? s.length : 0, 0, ...more);
  };
  return {
    fn: spec.fn,
    output,
    create: () => [],
    clear: (s) => {
      s.length = 0;
    },
    add: (s, column, lo, hi, side) => join(s, rowsOf(column, lo, hi), side),
    absorb: (s, other, side) => join(s, [...other], side),
    result: (s) => finish(s, spec),
    encode: (s, w: ByteWriter) =>
      w.string(
        JSON.stringify(
          s.map((v) =>
            input === null
              ? v
              : scalarToJson(v, spec.fn === 'sum' && output === int64 ? int64 : input),
          ),
        ),
      ),
    decode: (r: ByteReader) =>
      (JSON.parse(r.string()) as unknown[]).map((v) =>
        input === null
          ? (v as Scalar)
          : coerce(v, spec.fn === 'sum' && output === int64 ? int64 : input),
      ),
  };
}
