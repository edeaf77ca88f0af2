/** Plan and assemble against a twin that works out each output of each row on its own, by recursion. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../../src/base/hash.ts';
import { columnsOf, compile } from '../../src/expr/index.ts';
import {
  assemble,
  entityOf,
  featuresTaken,
  keyColumnsOf,
  type Member,
  ownKeys,
  planService,
  viewOf,
} from '../../src/model/index.ts';
import { type Batch, batchOf } from '../../src/types/batch.ts';
import { type Column, columnOf, scalarAt } from '../../src/types/column.ts';
import { type Dtype, float64, int64, string } from '../../src/types/dtype.ts';
import { coerce, type Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { catalog } from './fixtures.ts';

type Row = Readonly<Record<string, Scalar | null>>;

/** What the online store would hold: some value, or null, for each entity. */
function stored(view: string, feature: string, key: readonly (Scalar | null)[], dtype: Dtype) {
  if (key.some((part) => part === null)) return null;
  const hash = sha256Hex(`${view}:${feature}:${key.map(String).join('|')}`);
  const n = Number.parseInt(hash.slice(0, 4), 16) % 5;
  if (n === 0) return null;
  return dtype.kind === 'string' ? `city${n}` : coerce(n, dtype);
}

/** The twin. */
function twin(member: Member, feature: string, row: Row, withDefault = true): Scalar | null {
  const view = viewOf(catalog, member.view);
  const definition = view.features.find(({ name }) => name === feature)!;
  let value: Scalar | null;
  if (view.kind === 'featureView') {
    const key = member.keys.map((origin) =>
      origin.from === 'column' ? row[origin.column]! : twin(origin.member, origin.feature, row),
    );
    value = stored(view.name, feature, key, definition.dtype);
  } else {
    const { expr } = view.features.find(({ name }) => name === feature)!;
    const schema: { name: string; dtype: Dtype }[] = [];
    const columns: Record<string, Column> = {};
    for (const name of columnsOf(expr)) {
      const [alias, rest] = name.split('.') as [string, string];
      const used = view.uses[alias];
      const dtype =
        used === undefined
          ? view.request.find((field) => field.name === rest)!.dtype
          : viewOf(catalog, used.view).features.find((f) => f.name === rest)!.dtype;
      const input = used === undefined ? row[rest]! : twin(used, rest, row);
      schema.push({ name, dtype });
      columns[name] = columnOf(dtype, [input]);
    }
    value = scalarAt(compile([expr], schema).run({ length: 1, columns })[0]!, 0);
  }
  return value === null && withDefault ? coerce(definition.default, definition.dtype) : value;
}

const cityOrigin: fc.Arbitrary<Member['keys'][number]> = fc.oneof(
  fc.constant({ from: 'column', column: 'ship_to' } as const),
  fc.constant({ from: 'column', column: 'bill_to' } as const),
  fc
    .constantFrom<[string, string]>(['user_stats', 'last_city'], ['profile', 'home'])
    .chain(([view, feature]) =>
      fc.constantFrom('user_id', 'payer').map((column) => ({
        from: 'feature' as const,
        feature,
        member: {
          view,
          features: [feature],
          keys: [{ from: 'column' as const, column }],
          as: null,
        },
      })),
    ),
);
/** One look-up more: the city that was last seen where … */
const deeperOrigin: fc.Arbitrary<Member['keys'][number]> = cityOrigin.map((origin) => ({
  from: 'feature',
  feature: 'last_seen_city',
  member: { view: 'city_stats', features: null, keys: [origin], as: null },
}));

const member: fc.Arbitrary<Member> = fc
  .constantFrom('user_stats', 'profile', 'city_stats', 'ratios', 'twice')
  .chain((name) => {
    const view = viewOf(catalog, name);
    const names = view.features.map((f) => f.name);
    const keys: fc.Arbitrary<Member['keys']> =
      view.kind === 'onDemandView'
        ? fc.constant([])
        : name === 'city_stats'
          ? fc.oneof(cityOrigin, deeperOrigin).map((origin) => [origin])
          : fc.constantFrom(ownKeys(entityOf(catalog, view.entity)), [
              { from: 'column', column: 'payer' },
            ] as Member['keys']);
    return fc.record({
      view: fc.constant(name),
      features: fc.option(fc.subarray(names, { minLength: 1 })),
      keys,
      as: fc.constant(null),
    });
  });

const row = fc.record({
  user_id: fc.option(fc.bigInt({ min: 0n, max: 9n })),
  payer: fc.option(fc.bigInt({ min: 0n, max: 9n })),
  ship_to: fc.option(fc.constantFrom('city1', 'city2', 'elsewhere')),
  bill_to: fc.option(fc.constantFrom('city1', 'city2')),
  price: fc.option(fc.double({ noNaN: true, min: 0, max: 100 })),
});
const TYPES = { user_id: int64, payer: int64, ship_to: string, bill_to: string, price: float64 };

test('every output of every row is what the twin works out', () => {
  fc.assert(
    fc.property(
      fc.array(member, { minLength: 1, maxLength: 6 }),
      fc.array(row, { maxLength: 6 }),
      (members, rows) => {
        // A prefix each, so that no two outputs clash.
        const named = members.map((m, i) => ({ ...m, as: `m${i}` }));
        const plan = planService(catalog, named);
        const request: Batch = batchOf(
          Object.fromEntries(
            Object.entries(TYPES).map(([name, dtype]) => [
              name,
              columnOf(
                dtype,
                rows.map((r) => (r as Row)[name]!),
              ),
            ]),
          ),
          rows.length,
        );
        const looked: Column[][] = [];
        for (const lookup of plan.lookups) {
          const keys = keyColumnsOf(plan, lookup, looked, request);
          const { view } = lookup.program;
          looked.push(
            lookup.features.map((f, i) =>
              columnOf(
                lookup.dtypes[i]!,
                rows.map((_, r) =>
                  stored(
                    view.name,
                    view.features[f]!.name,
                    keys.map((key) => scalarAt(key, r)),
                    lookup.dtypes[i]!,
                  ),
                ),
              ),
            ),
          );
        }
        const out = assemble(plan, looked, request);
        let at = 0;
        for (const m of named) {
          for (const { name } of featuresTaken(viewOf(catalog, m.view), m)) {
            rows.forEach((r, i) => {
              assert.deepEqual(scalarAt(out.columns[at]!, i), twin(m, name, r), name);
              assert.deepEqual(scalarAt(out.raw[at]!, i), twin(m, name, r, false), name);
            });
            at++;
          }
        }
        assert.equal(at, plan.outputs.length);
        const uses = plan.lookups.map(({ program, keys }) =>
          JSON.stringify([program.view.name, keys]),
        );
        assert.equal(new Set(uses).size, uses.length, 'no look-up happens twice');
      },
    ),
    { numRuns: cases(300) },
  );
});
