/** Labels as an Arrow stream: every type comes through a training set as it was; what is damaged is refused with a code. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Duration,
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Schema,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  TimeUnit,
  tableFromIPC,
  tableToIPC,
  Uint8,
  Uint32,
  Uint64,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import type { TrainingRequest, TrainingResult } from '../../src/offline/contract.ts';
import { openProject } from './support.ts';
import { catalog, members } from './world.ts';

const project = await openProject();
after(() => project.close());

const BASE = Date.UTC(2024, 0, 1) * 1000;
before(async () => {
  const { quotes, people } = catalog.sources;
  await project.write('quotes/1.parquet', quotes!.columns, [
    { quote: 'a', at: BASE, seen: BASE, user: 'u', item: 1n, price: 1.5, size: 2n, town: 'x' },
  ]);
  // A fallback is read from it.
  await project.write('people/1.parquet', people!.columns, []);
});

function request(labels: TrainingRequest['labels']): TrainingRequest {
  return {
    catalog,
    service: null,
    members: members.newest,
    labels,
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'arrow', path: project.path('out.arrow') },
  };
}

async function trained(bytes: Uint8Array): Promise<{ result: TrainingResult; table: Table }> {
  const path = project.path('labels.arrow');
  writeFileSync(path, bytes);
  const result = await project.store.train(request({ type: 'arrow', path }));
  return { result, table: tableFromIPC(readFileSync(result.path)) };
}

const T_US = BigInt(BASE) + 5_000_000n;
const KEYS: Record<string, Vector> = {
  user: vectorFromArray(['u', 'u', null], new Utf8()),
  item: vectorFromArray([1n, 2n, 1n], new Int64()),
  T: vectorFromArray(
    [T_US, T_US, T_US].map((us) => Number(us) / 1000),
    new TimestampMicrosecond(),
  ),
};

/** Raw values: the library's getters round. */
function rawOf(vector: Vector): unknown[] {
  return vector.data.flatMap((data) =>
    Array.from({ length: data.length }, (_, i) => {
      if (!data.getValid(i)) return null;
      const { stride } = data;
      const { values } = data as { values: ArrayLike<unknown> };
      return stride === 1
        ? String(values[i])
        : Array.from({ length: stride }, (_, k) => values[i * stride + k]).join();
    }),
  );
}

const TIMES = [BASE / 1000, null, -86_400_000];
/** A name, the type, values, and what comes out where that is another type. */
const COLUMNS: readonly (readonly [
  string,
  DataType,
  readonly unknown[],
  (DataType | undefined)?,
])[] = [
  ['yes', new Bool(), [true, null, false]],
  ['i8', new Int8(), [-128, null, 127]],
  ['i16', new Int16(), [-32768, 1, null]],
  ['i32', new Int32(), [-(2 ** 31), null, 2 ** 31 - 1]],
  ['i64', new Int64(), [-(2n ** 63n), null, 2n ** 63n - 1n]],
  ['u8', new Uint8(), [255, null, 0]],
  ['u32', new Uint32(), [2 ** 32 - 1, null, 0]],
  ['u64', new Uint64(), [2n ** 64n - 1n, null, 0n]],
  ['f32', new Float32(), [1.5, null, Number.NaN]],
  ['f64', new Float64(), [0.1, null, Number.NEGATIVE_INFINITY]],
  ['day', new DateDay(), TIMES],
  ['sec', new TimestampSecond(), TIMES, new TimestampMicrosecond()],
  ['ms', new TimestampMillisecond(), TIMES, new TimestampMicrosecond()],
  ['us', new TimestampMicrosecond(), TIMES],
  ['ns', new TimestampNanosecond(), TIMES],
  ['zoned', new TimestampMicrosecond('UTC'), TIMES],
];

test('every type of a label column comes out as it went in', async () => {
  const given = Object.fromEntries(
    COLUMNS.map(([name, type, values]) => [name, vectorFromArray(values as never[], type)]),
  );
  const { result, table } = await trained(tableToIPC(new Table({ ...KEYS, ...given }), 'stream'));
  assert.equal(result.rows, 3);
  for (const [name, type, values, becomes] of COLUMNS) {
    const column = table.getChild(name)!;
    const expected = becomes ? vectorFromArray(values as never[], becomes) : given[name]!;
    assert.equal(String(column.type), String(becomes ?? type), name);
    if (name === 'yes') assert.deepEqual([...column], values);
    else assert.deepEqual(rawOf(column), rawOf(expected), name);
  }
});

test('texts, bytes, dictionaries and lists', async () => {
  const given = {
    text: vectorFromArray(['', null, 'ü€𝄞'], new Utf8()),
    blob: vectorFromArray([Uint8Array.of(0, 255), null, new Uint8Array(0)], new Binary()),
    category: vectorFromArray(['b', 'a', 'b'], new Dictionary(new Utf8(), new Int8())),
    list: vectorFromArray([[1n, null], [], null], new List(new Field('item', new Int64(), true))),
    small: vectorFromArray([[1, 2], null, []], new List(new Field('item', new Int8(), true))),
    times: vectorFromArray(
      [[BASE / 1000], null, []],
      new List(new Field('item', new TimestampMillisecond(), true)),
    ),
    vector: vectorFromArray(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      new FixedSizeList(2, new Field('item', new Float32(), true)),
    ),
  };
  const { table } = await trained(tableToIPC(new Table({ ...KEYS, ...given }), 'stream'));
  const plain = (name: string) =>
    [...table.getChild(name)!].map((value) =>
      value === null || typeof value === 'string' ? value : [...value],
    );
  assert.deepEqual(plain('text'), ['', null, 'ü€𝄞']);
  assert.deepEqual(plain('blob'), [[0, 255], null, []]);
  assert.deepEqual(plain('category'), ['b', 'a', 'b']);
  assert.deepEqual(plain('list'), [[1n, null], [], null]);
  assert.deepEqual(plain('small'), [[1, 2], null, []]);
  assert.deepEqual(plain('times'), [[BASE / 1000], null, []]);
  assert.deepEqual(plain('vector'), [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
});

test('decimals keep all their digits', async () => {
  const words = (value: bigint) =>
    [0n, 32n, 64n, 96n].map((shift) => Number((BigInt.asUintN(128, value) >> shift) & 0xffffffffn));
  const values = [10n ** 37n + 1n, -5n, 123n];
  const amount = vectorFromArray(
    values.map((v) => Uint32Array.from(words(v))),
    new Decimal(2, 38, 128),
  );
  const { table } = await trained(tableToIPC(new Table({ ...KEYS, amount }), 'stream'));
  assert.equal(String(table.getChild('amount')!.type), String(amount.type));
  assert.deepEqual(rawOf(table.getChild('amount')!), rawOf(amount));
});

test('a file is read like a stream, batch after batch, and what was kept rebuilds the same', async () => {
  const one = new Table({ ...KEYS });
  const many = one.concat(one, one);
  const file = Buffer.concat([
    Buffer.from('ARROW1\0\0'),
    tableToIPC(many, 'stream'),
    Buffer.alloc(9),
  ]);
  const { result, table } = await trained(file);
  assert.equal(result.rows, 9);
  assert.deepEqual([...table.getChild('user')!], ['u', 'u', null, 'u', 'u', null, 'u', 'u', null]);
  const stream = tableFromIPC(readFileSync(result.path).subarray(8));
  assert.deepEqual([...stream.getChild('price')!], [...table.getChild('price')!]);
  const again = await project.store.rebuild(result.manifestPath, project.path('again.arrow'));
  assert.deepEqual(again.warnings, []);
  assert.deepEqual(readFileSync(again.path), readFileSync(result.path));
});

async function refusal(bytes: Uint8Array): Promise<SamewiseError> {
  const error = await trained(bytes).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SamewiseError, String(error));
  return error;
}

test('what labels cannot hold is said by name', async () => {
  const lasted = vectorFromArray([1n, 2n, 3n], new Duration(TimeUnit.SECOND));
  const odd = await refusal(tableToIPC(new Table({ ...KEYS, lasted } as never), 'stream'));
  assert.equal(odd.code, 'offline/bad-labels');
  assert.equal(odd.where.column, 'lasted');
  const finer = vectorFromArray([1, 2, 3], new TimestampNanosecond('UTC'));
  finer.data[0]!.values[1] = 1n;
  const fine = await refusal(tableToIPC(new Table({ ...KEYS, finer }), 'stream'));
  assert.equal(fine.where.column, 'finer');
  for (const bytes of [new Uint8Array(0), Buffer.from('user,item,T\nu,1,2'), new Uint8Array(64)])
    assert.equal((await refusal(bytes)).code, 'offline/bad-labels');
  for (const name of ['', null]) {
    const schema = new Schema([new Field(name as string, new Utf8(), true)]);
    const unnamed = tableToIPC(new Table(schema), 'stream');
    assert.equal((await refusal(unnamed)).message, 'a column has no name');
  }
  const twice = new Table({ ...KEYS, USER: KEYS.user! });
  assert.match((await refusal(tableToIPC(twice, 'stream'))).message, /two columns/);
});

test('damaged streams are refused or read, never a crash', async () => {
  const whole = tableToIPC(
    new Table({
      ...KEYS,
      category: vectorFromArray(['b', 'a', 'b'], new Dictionary(new Utf8(), new Int8())),
      list: vectorFromArray([[1n, null], [], null], new List(new Field('item', new Int64(), true))),
    }),
    'stream',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), {
        maxLength: 4,
      }),
      fc.option(fc.nat(whole.length)),
      async (flips, cut) => {
        const bytes = whole.slice(0, cut ?? undefined);
        for (const [at, by] of flips) if (at < bytes.length) bytes[at] = bytes[at]! ^ by;
        await trained(bytes).catch((error) => {
          if (!(error instanceof SamewiseError)) throw error;
        });
      },
    ),
    { numRuns: 60 },
  );
});
