/** What HTTP answers at T is what a fold over the events gives: random views, histories, page sizes and read times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { completeSpec } from '../../src/aggregate/index.ts';
import type { Window } from '../../src/aggregate/window.ts';
import type { Definition, Feature } from '../../src/model/index.ts';
import { parseExactJson } from '../../src/serving/json.ts';
import { bool, type Dtype, list } from '../../src/types/dtype.ts';
import { scalarFromJson } from '../../src/types/json.ts';
import { compareScalars, type Scalar, sameScalar, scalarToJson } from '../../src/types/scalar.ts';
import { naive } from '../oracle/aggregate.ts';
import { seen } from '../oracle/window.ts';
import { cases } from '../support/cases.ts';
import {
  entity,
  feature,
  float64,
  int64,
  materialize,
  over,
  serverOver,
  source,
  string,
  view,
} from './support.ts';

const COLUMNS: Record<string, Dtype> = { amount: float64, code: int64, word: string };
const ENTITY = entity('pair', { name: string, number: int64 });
const SOURCE = source('events', { name: string, number: int64, ...COLUMNS });
const KEYS: readonly [string, bigint][] = [
  ['a', 1n],
  ['a1', 0n],
  ['ü/&=,😀', 2n ** 53n + 1n],
  ['', -(2n ** 63n)],
];

/** Aggregates with the columns that they take and what they give. */
const FUNCTIONS: readonly [string, readonly (string | null)[], (input: Dtype) => Dtype][] = [
  ['count', [null, 'word'], () => int64],
  ['sum', ['amount', 'code'], (input) => input],
  ['avg', ['amount', 'code'], () => float64],
  ['min', ['amount', 'code', 'word'], (input) => input],
  ['max', ['amount', 'code', 'word'], (input) => input],
  ['latest', ['amount', 'code', 'word'], (input) => input],
  ['last_k', ['amount', 'code', 'word'], (input) => list(input)],
  ['distinct_count', ['code', 'word'], () => int64],
  ['stddev', ['amount'], () => float64],
];

const arbitraryWindow: fc.Arbitrary<Window> = fc
  .record({
    sizeUs: fc.option(fc.integer({ min: 1, max: 40 })),
    delayUs: fc.constantFrom(0, 0, 3),
    last: fc.option(fc.integer({ min: 1, max: 4 })),
  })
  .map((window) => over(null, window));
const VALUES: Record<string, fc.Arbitrary<Scalar | null>> = {
  amount: fc.option(fc.constantFrom(0.1, -2.5, 1e16, 0, 7)),
  code: fc.option(fc.constantFrom(2n ** 53n + 1n, -(2n ** 60n), 0n, 3n)),
  word: fc.option(fc.constantFrom('', 'é"\\\n', '日本', '\u2028')),
};
const FALLBACKS: Record<string, Scalar> = { float64: -1.5, int64: 2n ** 53n + 3n, string: 'none' };

const arbitraryFeature = fc
  .record({
    fn: fc.constantFrom(...FUNCTIONS),
    input: fc.nat(),
    window: arbitraryWindow,
    fallback: fc.boolean(),
  })
  .map(({ fn: [fn, inputs, outputOf], input: pick, window, fallback }): Omit<Feature, 'name'> => {
    const input = inputs[pick % inputs.length]!;
    const dtype = outputOf(input === null ? bool : COLUMNS[input]!);
    const standIn = fallback ? FALLBACKS[dtype.kind] : undefined;
    const made = feature('', dtype, fn, input, window, null);
    return {
      ...made,
      aggregate: completeSpec(fn, fn === 'last_k' ? { k: 2 } : {}),
      default: standIn === undefined ? null : scalarToJson(standIn, dtype),
    };
  });

const arbitraryCase = fc.record({
  features: fc.array(arbitraryFeature, { minLength: 1, maxLength: 6 }),
  events: fc.array(
    fc.record({
      // Most are of one key, so that its page has blocks.
      key: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(KEYS.length - 2)),
      at: fc.integer({ min: -20, max: 60 }),
      ...VALUES,
    }),
    { maxLength: 80 },
  ),
  reads: fc.array(fc.integer({ min: -25, max: 70 }), { minLength: 1, maxLength: 3 }),
  through: fc.boolean(),
  small: fc.boolean(),
});

/** Pages so small that a dozen events fill some blocks. */
const SMALL_PAGES = { pageBytes: 200, indexBytes: 150, minRows: 2, minEntries: 2 };

type Row = Readonly<Record<string, Scalar | null>>;

function expected(each: Feature, rows: readonly Row[], readUs: number): Scalar | null {
  const input = each.input?.kind === 'column' ? each.input.name : null;
  const times = rows.map(({ at }) => at as number);
  const values = seen(each.window, readUs, times).map((row) =>
    input === null ? true : rows[row]![input]!,
  );
  const dtype = input === null ? null : COLUMNS[input]!;
  const { fn, params } = each.aggregate;
  const value = fn === 'latest' ? (values.at(-1) ?? null) : naive(fn, params, values, dtype);
  return value ?? scalarFromJson(each.default, each.dtype, {});
}

test('HTTP agrees with a fold over all events', async () => {
  const base: Definition[] = [ENTITY, SOURCE];
  const { app, online, registry } = await serverOver(base);
  let fetchedBlocks = 0;
  online.before = (call) => {
    if (call === 'blocks') fetchedBlocks++;
  };
  let count = 0;
  await fc.assert(
    fc.asyncProperty(arbitraryCase, async ({ features, events, reads, through, small }) => {
      const name = `v${count++}`;
      const named = features.map((each, i) => ({ ...each, name: `f${i}` }));
      const made = view(name, 'pair', ['name', 'number'], 'events', named);
      const keys = ['name', 'number'].map((column) => ({ from: 'column', column }) as const);
      registry.define([
        made,
        {
          kind: 'featureService',
          name: `s_${name}`,
          description: '',
          owner: '',
          tags: {},
          model: null,
          members: [{ view: name, features: null, keys, as: null }],
        },
      ]);
      const rows: Row[] = events.map(({ key, ...event }, i) => {
        const [who, number] = KEYS[key]!;
        return { ...event, id: BigInt(i), name: who, number } as Row;
      });
      const limits = small ? SMALL_PAGES : undefined;
      await materialize(online, [...base, made], name, rows, limits);

      for (const at of reads) {
        const readUs = through ? at + 1 : at;
        const want = KEYS.map(([who, number]) => {
          const own = rows
            .filter((row) => row.name === who && row.number === number)
            .sort((a, b) => (a.at as number) - (b.at as number) || compareScalars(a.id!, b.id!));
          return named.map((each) => expected(each, own, readUs));
        });
        const check = (got: Record<string, unknown>, k: number) =>
          named.forEach((each, i) => {
            const value = scalarFromJson(got[each.name], each.dtype, {});
            const message = `${name} ${KEYS[k]} ${each.aggregate.fn} at ${at}`;
            assert.ok(sameScalar(value, want[k]![i]!), message);
          });
        const batch = await app.inject({
          method: 'POST',
          url: `/api/v1/services/s_${name}/vectors`,
          headers: { 'content-type': 'application/json' },
          payload: `{"at":"${at}","through":${through},"entities":[${KEYS.map(
            ([who, number]) => `{"name":${JSON.stringify(who)},"number":${number}}`,
          )}]}`,
        });
        assert.equal(batch.statusCode, 200, batch.body);
        const { vectors } = parseExactJson(batch.body) as { vectors: Record<string, unknown>[] };
        vectors.forEach(check);
        const k = Math.abs(at) % KEYS.length;
        const [who, number] = KEYS[k]!;
        const list = named.map((each) => `${name}:${each.name}`).join();
        const one = await app.inject(
          `/api/v1/features/online?entity=pair&id=${encodeURIComponent(who)}&id=${number}&features=${list}&at=${at}&through=${through}`,
        );
        assert.equal(one.statusCode, 200, one.body);
        const answer = (parseExactJson(one.body) as { features: Record<string, unknown> }).features;
        check(
          Object.fromEntries(
            Object.entries(answer).map(([ref, value]) => [ref.split(':')[1], value]),
          ),
          k,
        );
      }
    }),
    { numRuns: cases(150) },
  );
  assert.ok(fetchedBlocks > 0, 'some reads need blocks');
  await app.close();
});
