/** Random well-typed expressions over a fixed schema, and random batches of it, nulls and edges included. */
import fc from 'fast-check';
import { type Expr, jsFunction, Value } from '../../src/expr/index.ts';
import { type Batch, batchOf, type Schema } from '../../src/types/batch.ts';
import { columnOf } from '../../src/types/column.ts';
import {
  bool,
  bytes,
  type Dtype,
  date,
  float32,
  float64,
  int32,
  int64,
  list,
  printDtype,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import { INT64_MAX, INT64_MIN, type Scalar, scalarToJson } from '../../src/types/scalar.ts';

export const TYPES: readonly Dtype[] = [
  bool,
  int32,
  int64,
  float32,
  float64,
  string,
  bytes,
  timestamp,
  date,
  list(string),
  list(int64),
  vector(2),
];

/** Two columns of every type. */
export const SCHEMA: Schema = TYPES.flatMap((dtype) =>
  ['a', 'b'].map((which) => ({ name: `${which}_${printDtype(dtype)}`, dtype })),
);

const WORDS = [
  '',
  'a',
  'b',
  'ab',
  'A b',
  ' x ',
  'a,b,,c',
  '7',
  '-12',
  '+3',
  '1.5',
  'true',
  'é',
  '😀a',
  'ß',
  '2024-02-29',
  '2024-02-29T10:20:30.5Z',
  '1e3',
  '.5',
  '1e400',
  'Infinity',
];

/** A value of `dtype`, often at an edge. */
function scalar(dtype: Dtype): fc.Arbitrary<Scalar> {
  switch (dtype.kind) {
    case 'bool':
      return fc.boolean();
    case 'int32':
      return fc.oneof(
        fc.integer({ min: -4, max: 4 }),
        fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 1000),
        fc.integer(),
      );
    case 'int64':
      return fc.oneof(
        fc.bigInt({ min: -4n, max: 4n }),
        fc.constantFrom(INT64_MAX, INT64_MIN, 2n ** 53n + 1n, -(2n ** 53n) - 1n),
        fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
      );
    case 'float32':
      return fc
        .oneof(fc.constantFrom(0, 1, -1, 0.5, 3.25), fc.float({ noNaN: true }))
        .map((x) => x + 0);
    case 'float64':
      return fc
        .oneof(
          fc.constantFrom(0, 1, -1, 0.5, -2.5, 1.005, 2 ** 53, 1e300, Number.POSITIVE_INFINITY),
          fc.integer({ min: -1000, max: 1000 }).map((n) => n / 8),
          fc.double({ noNaN: true }),
        )
        .map((x) => x + 0);
    case 'string':
      return fc.oneof(fc.constantFrom(...WORDS), fc.string({ unit: 'grapheme', maxLength: 4 }));
    case 'bytes':
      return fc.uint8Array({ maxLength: 3 });
    case 'timestamp':
      return fc.oneof(
        fc.integer({ min: -3, max: 3 }).map((n) => n * 43_200_000_000 + 0),
        fc.constantFrom(
          Number.MAX_SAFE_INTEGER,
          -Number.MAX_SAFE_INTEGER,
          -1,
          1_709_202_030_000_001,
        ),
        fc.maxSafeInteger().map((n) => n + 0),
      );
    case 'date':
      return fc.oneof(
        fc.integer({ min: -800, max: 800 }),
        fc.integer({ min: -100_000, max: 100_000 }),
      );
    case 'list':
      return fc.array(fc.option(scalar(dtype.of), { freq: 4 }), { maxLength: 4 });
    case 'vector':
      return fc
        .array(scalar(float32), { minLength: dtype.size, maxLength: dtype.size })
        .map((xs) => Float32Array.from(xs as number[]));
  }
}

/** A batch of 0 to 6 rows of the schema. */
export const batch: fc.Arbitrary<Batch> = fc
  .integer({ min: 0, max: 6 })
  .chain((length) =>
    fc
      .tuple(
        ...SCHEMA.map(({ dtype }) =>
          fc.array(fc.option(scalar(dtype), { freq: 5 }), { minLength: length, maxLength: length }),
        ),
      )
      .map((columns) =>
        batchOf(
          Object.fromEntries(
            SCHEMA.map(({ name, dtype }, i) => [name, columnOf(dtype, columns[i]!)]),
          ),
          length,
        ),
      ),
  );

/** A function that gives values, nulls and errors. */
const risky = jsFunction({
  name: 'risky',
  inputs: { x: float64, n: int32 },
  output: float64,
  fn: ({ x, n }) => {
    if (n === 3) throw new Error('three');
    return n < 0 ? null : Math.min(x, n);
  },
});

type Gen = (dtype: Dtype, depth: number) => fc.Arbitrary<Expr>;

const any = <T>(...of: readonly T[]) => fc.constantFrom(...of);
const numbers = [int32, int64, float32, float64];
const discrete = [bool, int32, int64, string, bytes, timestamp, date];
const ordered = [...discrete, float32, float64];
const times = [timestamp, date];

/** Calls that give `dtype`: for each its name, the types of its arguments and its params. */
function calls(dtype: Dtype, gen: Gen, depth: number): fc.Arbitrary<Expr>[] {
  const call = (
    fn: string,
    args: fc.Arbitrary<readonly Dtype[]> | readonly Dtype[],
    params?:
      | fc.Arbitrary<Record<string, unknown>>
      | ((args: readonly Dtype[]) => fc.Arbitrary<Record<string, unknown>>),
  ): fc.Arbitrary<Expr> =>
    (Array.isArray(args)
      ? fc.constant(args as readonly Dtype[])
      : (args as fc.Arbitrary<readonly Dtype[]>)
    ).chain((types) =>
      fc
        .tuple(
          fc.tuple(...types.map((t) => gen(t, depth - 1))),
          params === undefined
            ? fc.constant(undefined)
            : typeof params === 'function'
              ? params(types)
              : params,
        )
        .map(
          ([exprs, given]): Expr =>
            given === undefined
              ? { kind: 'call', fn, args: exprs }
              : { kind: 'call', fn, args: exprs, params: given },
        ),
    );
  const pairOf = (types: readonly Dtype[]) => any(...types).map((t) => [t, t]);
  const numberPair = fc.tuple(any(...numbers), any(...numbers));
  const values = ([of]: readonly Dtype[]) =>
    fc
      .uniqueArray(scalar(of!), {
        minLength: 1,
        maxLength: of!.kind === 'bool' ? 2 : 3,
        selector: (v) => `${v}`,
      })
      .map((vs) => ({ values: vs.map((v) => scalarToJson(v, of!)) }));
  const castFrom: Partial<Record<Dtype['kind'], Dtype[]>> = {
    bool: [string],
    int32: [bool, int64, float32, float64, string, date],
    int64: [bool, int32, float32, float64, string, timestamp],
    float32: [bool, int32, int64, float64, string],
    float64: [bool, int32, int64, float32, string],
    string: [bool, int32, int64, float32, float64, timestamp, date],
    timestamp: [int64, string, date],
    date: [int32, string, timestamp],
  };
  const out: fc.Arbitrary<Expr>[] = [
    call('coalesce', [dtype, dtype]),
    fc
      .tuple(
        gen(bool, depth - 1),
        gen(dtype, depth - 1),
        gen(bool, depth - 1),
        gen(dtype, depth - 1),
        fc.option(gen(dtype, depth - 1)),
      )
      .map(
        ([w1, t1, w2, t2, otherwise]): Expr => ({
          kind: 'case',
          branches: [
            // biome-ignore lint/suspicious/noThenProperty: a field of the IR
            { when: w1, then: t1 },
            // biome-ignore lint/suspicious/noThenProperty: a field of the IR
            { when: w2, then: t2 },
          ],
          otherwise,
        }),
      ),
  ];
  const { kind } = dtype;
  if (ordered.includes(dtype as any)) {
    const partner = numbers.includes(dtype as any)
      ? any(...numbers).map((t) => [dtype, t])
      : [dtype, dtype];
    out.push(
      call('least', [dtype, dtype, dtype]),
      call('greatest', [dtype, dtype]),
      call('nullif', partner),
    );
  }
  const sources = castFrom[kind];
  if (sources !== undefined)
    for (const fn of ['cast', 'try_cast', 'try_cast'])
      out.push(
        call(
          fn,
          any(...sources).map((t) => [t]),
          fc.constant({ to: kind }),
        ),
      );
  if (kind === 'bool') {
    out.push(
      ...['eq', 'ne', 'lt', 'le', 'gt', 'ge'].map((fn) =>
        call(fn, fc.oneof(pairOf(ordered), numberPair)),
      ),
      ...['and', 'or'].map((fn) => call(fn, [bool, bool])),
      call('not', [bool]),
      ...['is_null', 'is_not_null'].map((fn) =>
        call(
          fn,
          any(...TYPES).map((t) => [t]),
        ),
      ),
      call(
        'is_in',
        any(...discrete).map((t) => [t]),
        values,
      ),
      ...['contains', 'starts_with', 'ends_with'].map((fn) => call(fn, [string, string])),
      call(
        'regex_match',
        [string],
        any('^a', '\\d+', '[a-c]$', '.', '^\\p{L}').map((pattern) => ({ pattern })),
      ),
      call(
        'list_contains',
        any([list(string), string], [list(int64), int64], [list(int64), float64]),
      ),
    );
  }
  if (kind === 'float64') {
    const mixed = any(
      [float64, float64],
      [int32, float64],
      [float32, int64],
      [float32, float32],
      [float64, int64],
    );
    out.push(
      ...['add', 'sub', 'mul', 'mod'].map((fn) => call(fn, mixed)),
      call('div', numberPair),
      call('pow', numberPair),
      ...['log', 'log1p', 'exp', 'sqrt'].map((fn) =>
        call(
          fn,
          any(...numbers).map((t) => [t]),
        ),
      ),
      ...['neg', 'abs', 'floor', 'ceil'].map((fn) => call(fn, any([float64], [float32]))),
      call(
        'round',
        any([float64], [float32]),
        any<Record<string, unknown>>({}, { digits: 0 }, { digits: 2 }, { digits: 15 }),
      ),
      call(
        'clip',
        any([float64, int32, int64], [int64, float32, float64], [float64, float64, float64]),
      ),
      call(
        'diff',
        fc.tuple(any(...times), any(...times)),
        any('us', 'ms', 's', 'm', 'h', 'd', 'w').map((unit) => ({ unit })),
      ),
      ...['dot', 'cosine', 'l2'].map((fn) => call(fn, [vector(2), vector(2)])),
      call('norm', [vector(2)]),
    );
  }
  if (kind === 'float32')
    out.push(
      call(
        'vector_at',
        [vector(2)],
        any(-2, -1, 0, 1).map((index) => ({ index })),
      ),
    );
  if (kind === 'int32' || kind === 'int64') {
    const pairs =
      kind === 'int32' ? any([int32, int32]) : any([int64, int64], [int32, int64], [int64, int32]);
    out.push(
      ...['add', 'sub', 'mul', 'mod'].map((fn) => call(fn, pairs)),
      ...['neg', 'abs', 'floor', 'ceil'].map((fn) => call(fn, [dtype])),
      call('round', [dtype], fc.constant({ digits: 2 })),
      call('clip', kind === 'int32' ? [int32, int32, int32] : [int64, int32, int64]),
    );
  }
  if (kind === 'int32')
    out.push(
      call(
        'sign',
        any(...numbers).map((t) => [t]),
      ),
      call(
        'bucketize',
        any(...numbers).map((t) => [t]),
        any([0], [-1.5, 0, 1e9], [-(2 ** 40), 0.5]).map((edges) => ({ edges })),
      ),
      call('length', [string]),
      ...['hour', 'minute'].map((fn) => call(fn, [timestamp])),
      ...['day_of_week', 'day', 'month', 'year', 'week_of_year'].map((fn) =>
        call(
          fn,
          any(...times).map((t) => [t]),
        ),
      ),
      call('days_since', fc.tuple(any(...times), any(...times))),
      call(
        'ordinal',
        any(...discrete).map((t) => [t]),
        (types) =>
          fc.tuple(values(types), any({}, { other: -1 })).map(([v, o]) => ({ ...v, ...o })),
      ),
      call(
        'hash_bucket',
        any(...discrete).map((t) => [t]),
        any(1, 7, 1000, 2 ** 26).map((buckets) => ({ buckets })),
      ),
      call('size', any([list(string)], [list(int64)])),
    );
  if (kind === 'string')
    out.push(
      ...['lower', 'upper', 'trim'].map((fn) => call(fn, [string])),
      call('concat', any([string], [string, string, string])),
      call('replace', [string, string, string]),
      call(
        'substring',
        [string],
        any<Record<string, unknown>>(
          { start: 1 },
          { start: 2, length: 1 },
          { start: 3 },
          { start: 1, length: 0 },
        ),
      ),
    );
  if (kind === 'timestamp')
    out.push(
      call(
        'truncate',
        [timestamp],
        any('second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year').map((unit) => ({
          unit,
        })),
      ),
      call(
        'plus',
        [timestamp],
        any(-1, 3_600_000_000, 86_400_000_000).map((us) => ({ us })),
      ),
    );
  if (kind === 'date')
    out.push(
      call(
        'truncate',
        [date],
        any('day', 'week', 'month', 'quarter', 'year').map((unit) => ({ unit })),
      ),
      call(
        'plus',
        [date],
        any(-86_400_000_000, 864_000_000_000).map((us) => ({ us })),
      ),
    );
  if (kind === 'float64' || kind === 'int32')
    out.push(
      fc
        .tuple(gen(float64, depth - 1), gen(int32, depth - 1))
        .map(([x, n]) => risky.call({ x: new Value(x, float64), n: new Value(n, int32) }).expr)
        .map((expr) =>
          kind === 'float64'
            ? expr
            : { kind: 'call', fn: 'try_cast', args: [expr], params: { to: 'int32' } },
        ),
    );
  if (kind === 'list') out.push(call('distinct', [dtype]));
  if (kind === 'list' && dtype.of.kind === 'string')
    out.push(
      call(
        'split',
        [string],
        any(',', 'a').map((separator) => ({ separator })),
      ),
    );
  if (kind === 'string' || kind === 'int64')
    out.push(
      call(
        'list_at',
        [list(dtype)],
        any(-2, -1, 0, 1, 5).map((index) => ({ index })),
      ),
    );
  if (kind === 'vector')
    out.push(
      call(
        'one_hot',
        [int32],
        any([0, 1], [7, -1]).map((vs) => ({ values: vs })),
      ),
    );
  return out;
}

const made = new Map<string, fc.Arbitrary<Expr>>();

/** A well-typed expression of type `dtype`, at most `depth` calls deep. */
export const exprOf: Gen = (dtype, depth) => {
  const key = `${printDtype(dtype)} ${depth}`;
  let arbitrary = made.get(key);
  if (arbitrary === undefined) {
    const leaf = leafOf(dtype);
    arbitrary = depth <= 0 ? leaf : fc.oneof(leaf, ...calls(dtype, exprOf, depth));
    made.set(key, arbitrary);
  }
  return arbitrary;
};

function leafOf(dtype: Dtype): fc.Arbitrary<Expr> {
  const column = any('a', 'b').map(
    (which): Expr => ({ kind: 'column', name: `${which}_${printDtype(dtype)}` }),
  );
  const literal = fc
    .option(scalar(dtype), { freq: 8 })
    .map((v): Expr => ({ kind: 'literal', dtype, value: scalarToJson(v, dtype) }));
  return fc.oneof({ weight: 4, arbitrary: column }, { weight: 1, arbitrary: literal });
}
