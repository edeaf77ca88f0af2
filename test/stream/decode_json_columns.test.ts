/** JSON straight into columns says the same as JSON record by record, to the bit and to the dead letter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LogRecord } from '../../src/stream/contract.ts';
import { decoderFor } from '../../src/stream/decode/index.ts';
import { type ReadBatch, readBatch } from '../../src/stream/read_batch.ts';
import { scalarsOf } from '../../src/types/column.ts';
import {
  bool,
  float32,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
} from '../../src/types/dtype.ts';
import { cases } from '../support/cases.ts';
import { bytesOf, recordOf, sourceOf } from './decode_support.ts';

const COLUMNS = [
  { name: 'id', dtype: int64 },
  { name: 'at', dtype: timestamp },
  { name: 'amount', dtype: float64 },
  { name: 'n', dtype: int32 },
  { name: 'good', dtype: bool },
  { name: 'note', dtype: string },
];
const MAX_BYTES = 400;
const APPENDED = sourceOf(COLUMNS, { eventId: 'id' });
const MUTABLE = sourceOf(COLUMNS, { eventId: 'id', mutable: true });

/** What pages and history are given, in values that can be compared. */
function said(batch: ReadBatch) {
  const { rows, positions, deadLetters, ...rest } = batch;
  return {
    ...rest,
    positions: positions.map(String),
    rows: Object.entries(rows.columns).map(([name, column]) => [name, scalarsOf(column)]),
    deadLetters: deadLetters.map((letter) => ({ ...letter, position: String(letter.position) })),
  };
}

/** The records with their values one behind the other in one piece: what ends a value is where the next one begins. */
function inOnePiece(records: readonly LogRecord[]): LogRecord[] {
  const bytes = Buffer.concat(records.map(({ value }) => value ?? new Uint8Array(0)));
  let to = 0;
  return records.map((record) => {
    const { value } = record;
    const from = to;
    to += value?.length ?? 0;
    return { ...record, placed: value && { bytes, from, to } };
  });
}

/** Both ways; gives how many records were read straight into columns. */
async function compare(source: typeof APPENDED, records: readonly LogRecord[]): Promise<number> {
  const decoder = decoderFor(source, { maxBytes: MAX_BYTES });
  const placed = records.map((record, i) => ({
    ...record,
    position: BigInt(i),
    timestampUs: 9e14,
  }));
  const each = readBatch(source, 'p', null, placed, await decoder.decode(placed));
  const columns = await decoder.columns!(placed);
  assert.deepEqual(said(readBatch(source, 'p', null, placed, columns)), said(each));
  const piece = await decoder.columns!(inOnePiece(placed));
  assert.deepEqual(said(readBatch(source, 'p', null, placed, piece)), said(each));
  assert.deepEqual([...piece.others.keys()], [...columns.others.keys()]);
  return records.length - columns.others.size;
}

const INTEGERS = [
  '0',
  '-0',
  '7',
  '-12',
  '2147483647',
  '2147483648',
  '-2147483648',
  '01',
  '+1',
  '-',
];
const LARGE = [
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '-9223372036854775808',
  '1e400',
];
const FLOATS = [
  '0.1',
  '-0.0',
  '1.',
  '.5',
  '1.10',
  '12345678901234567890.5',
  '1e5',
  '2E-3',
  '1e',
  '5e-324',
  '0.30000000000000004',
];
const TEXTS = [
  '""',
  '"a b"',
  '"é"',
  '"\\n"',
  '"\\u0041"',
  '"a\u0001"',
  '"1"',
  '"2020-01-02T03:04:05Z"',
  '"NaN"',
  '"\ud83d\ude00"',
  '"x',
];
const OTHERS = ['null', 'true', 'false', 'nul', 'True', '{}', '[1,[2]]', '{"id":1}', ''];
const anyValue = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...INTEGERS, ...LARGE, ...FLOATS, ...TEXTS, ...OTHERS) },
  { weight: 2, arbitrary: fc.double().map((x) => JSON.stringify(x)) },
  { weight: 2, arbitrary: fc.integer({ min: -(10 ** 12), max: 10 ** 12 }).map(String) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(99_999), fc.nat(999)).map((two) => two.join('.')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)) },
);
const good: Record<string, fc.Arbitrary<string>> = {
  id: fc.oneof(
    { weight: 9, arbitrary: fc.maxSafeInteger().map(String) },
    { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) },
  ),
  at: fc.oneof(
    fc.nat(2 ** 30).map(String),
    fc.constantFrom('"1970-01-01T00:00:01.5Z"', '800000000'),
  ),
  amount: fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => JSON.stringify(x)),
  n: fc.integer().map(String),
  good: fc.constantFrom('true', 'false', 'null'),
  note: fc
    .oneof(fc.stringMatching(/^[ -~]{0,8}$/), fc.string())
    .map((text) => JSON.stringify(text)),
};
const blank = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('', ' ', '\n\t ', '\r') },
  { weight: 1, arbitrary: fc.constant('\u00a0') },
);

/** An object with most of the columns, most of them of their type. */
const anyObject = fc
  .tuple(
    fc.record(good),
    fc.array(fc.tuple(fc.constantFrom(...COLUMNS.map(({ name }) => name)), anyValue), {
      maxLength: 1,
    }),
    fc.array(
      fc.tuple(fc.constantFrom('x', '__op', '__proto__', 'é', 'constructor', 'id'), anyValue),
      { maxLength: 1 },
    ),
    fc.nat(60),
    fc.nat(30),
    fc.array(blank, { minLength: 6, maxLength: 6 }),
  )
  .map(([values, wrong, more, without, turned, blanks]) => {
    const fields = [...Object.entries({ ...values, ...Object.fromEntries(wrong) }), ...more];
    if (without < fields.length) fields.splice(without, 1);
    if (turned < fields.length) fields.push(...fields.splice(0, turned));
    const [a, b, c, d, e, f] = blanks;
    const inner = fields.map(([name, value]) => `${a}"${name}"${b}:${c}${value}${d}`).join();
    return `${e}{${inner}}${f}`;
  });

/** Whole, cut, with a byte changed, or no object at all. */
const anyRecord = fc
  .tuple(
    anyObject,
    fc.option(fc.tuple(fc.nat(200), fc.nat(255)), { freq: 1 }),
    fc.option(fc.nat(200), { freq: 1 }),
    fc.nat(40),
  )
  .map(([text, changed, cut, odd]) => {
    if (odd === 0) return recordOf(null, { key: '{"id":5}' });
    if (odd === 1) return recordOf(text, { headers: { 'samewise-op': 'retract' } });
    if (odd === 2) return recordOf(JSON.stringify(text));
    if (odd === 3) return recordOf(new Uint8Array([0, 0, 0, 0, 1, ...bytesOf(text)!]));
    const bytes = bytesOf(text)!.slice(0, cut ?? undefined);
    if (changed !== null && changed[0] < bytes.length) bytes[changed[0]] = changed[1];
    return recordOf(bytes);
  });

test('whatever records hold, both ways say the same', async () => {
  let straight = 0;
  let all = 0;
  for (const source of [APPENDED, MUTABLE])
    await fc.assert(
      fc.asyncProperty(fc.array(anyRecord, { minLength: 1, maxLength: 12 }), async (records) => {
        straight += await compare(source, records);
        all += records.length;
      }),
      { numRuns: cases(1_500) },
    );
  assert.ok(straight > 0.2 * all && straight < 0.9 * all, `${straight} of ${all}`);
});

test('what is plain goes straight into columns', async () => {
  const records = [
    '{"id":1,"at":5,"amount":1.25,"n":-3,"good":true,"note":"a"}',
    ' { "note" : null , "good" : null , "n" : null , "amount" : -1e-3 , "at" : "1970-01-01T00:00:01Z" , "id" : 9007199254740991, "more" : "x" } ',
  ].map((text) => recordOf(text));
  assert.equal(await compare(APPENDED, records), 2);
});

test('a record that is cut is not mended by what lies behind it', async () => {
  const whole = '{"id":1,"at":5,"amount":1.25,"n":-3,"good":true,"note":"a","x":false,"last":null}';
  for (let at = 0; at <= whole.length; at++) {
    const records = [whole.slice(0, at), whole.slice(at), whole].map((part) => recordOf(part));
    const straight = at === 0 || at === whole.length ? 2 : 1;
    assert.equal(await compare(APPENDED, records), straight, `cut at ${at}`);
  }
});

test('columns of other kinds, and names that are not plain, are left to the general way', () => {
  const has = (...columns: { name: string; dtype: (typeof COLUMNS)[number]['dtype'] }[]) =>
    decoderFor(sourceOf([COLUMNS[1]!, ...columns])).columns !== undefined;
  assert.ok(has({ name: 'a-b.c d', dtype: string }));
  for (const dtype of [float32, list(int64)]) assert.ok(!has({ name: 'a', dtype: dtype as never }));
  for (const name of ['constructor', 'é', '"', '__op']) assert.ok(!has({ name, dtype: int64 }));
  for (const more of [{ op: 'n' }, { arrivalTime: 'at' }])
    assert.equal(decoderFor(sourceOf(COLUMNS, more)).columns, undefined);
});
